//! What calls back into the host, and the jobs it takes.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::answers;
use super::convert;
use super::process;
use super::types::*;
use crate::client::{BodyBytes, Decision, Job, SpawnCallback, Status};
use crate::synca::sync::{lock, try_lock};
use crate::synca::ShardedQueue;

/// A host's pointer, which the library only carries.
#[derive(Clone, Copy)]
struct User(*mut c_void);

// SAFETY: it is never followed here; the header says on which threads the host gets it back.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl User {
    fn pointer(&self) -> *mut c_void {
        self.0
    }
}

/// A job that a host holds, and the process it belongs to.
pub(super) struct Pending {
    job: Arc<Job>,
    forks: u64,
}

impl Pending {
    /// For the host, which gives it back to [`free`](Self::free).
    pub(super) fn hand_out(job: Arc<Job>) -> *mut valtron_job {
        Box::into_raw(Box::new(valtron_job(Self { job, forks: process::forks() })))
    }

    /// The job, to be run.
    ///
    /// # Safety
    /// `job` is NULL or from [`hand_out`](Self::hand_out), not freed yet.
    pub(super) unsafe fn usable(job: *const valtron_job) -> Result<Arc<Job>, Status> {
        // SAFETY: promised to us.
        let pending = unsafe { job.as_ref() }.ok_or(Status::NullJob)?;
        if pending.0.forks != process::forks() {
            return Err(Status::Forked);
        }
        Ok(pending.0.job.clone())
    }

    /// # Safety
    /// As for [`usable`](Self::usable), and nobody uses it any more.
    pub(super) unsafe fn free(job: *mut valtron_job) {
        // SAFETY: promised to us.
        let foreign = unsafe { job.as_ref() }.is_none_or(|pending| pending.0.forks != process::forks());
        if !foreign {
            // SAFETY: promised to us. In a child it is left alone: a lock inside may be held by a thread that is not
            // there.
            drop(unsafe { Box::from_raw(job) });
        }
    }
}

/// The host's answer function, as the client wants it.
pub(super) fn spawn_callback(
    callback: unsafe extern "C" fn(*mut c_void, *const valtron_spawn, *mut *mut valtron_job) -> valtron_decision,
    user: *mut c_void,
) -> SpawnCallback {
    let user = User(user);
    Box::new(move |info, job| {
        let spawn = answers::spawn(info);
        let offered = Pending::hand_out(job.clone());
        let mut place = offered;
        // SAFETY: the host promises a function that can be called so; the question and the place outlive the call.
        let answer = unsafe { callback(user.pointer(), &raw const spawn, &raw mut place) };
        match answer {
            // From here on it is the host's, which may have run and freed it already.
            super::codes::VALTRON_DECISION_TAKE => return Decision::Take,
            // SAFETY: it was not taken, so it is still ours alone.
            _ => unsafe { Pending::free(offered) },
        }
        convert::decision(answer, false).unwrap_or(Decision::Run)
    })
}

/// One call of a `valtron_release_callback`.
struct Release {
    callback: unsafe extern "C" fn(*mut c_void, *const u8, usize),
    user: User,
    body: *const u8,
    body_len: usize,
}

// SAFETY: the bytes are only read, and the host promises that they stay as they are until released.
unsafe impl Send for Release {}
// SAFETY: as above.
unsafe impl Sync for Release {}

impl Release {
    fn call(&self) {
        // SAFETY: the host promises a function that can be called so, once, which is here.
        unsafe { (self.callback)(self.user.pointer(), self.body, self.body_len) }
    }
}

/// The releases that wait for a driving call of their client, so that they run on a thread that expects them, and those
/// still owed. A poll waits for nobody here, whatever other threads of the host lend meanwhile.
#[derive(Default)]
pub(super) struct Releases {
    /// What requests gave back.
    queue: ShardedQueue<Arc<Lent>>,
    /// What requests have, and what was released since; each lender throws the latter out when it is much. For
    /// [`close`](Self::close).
    lent: Mutex<Ledger>,
}

#[derive(Default)]
struct Ledger {
    all: Vec<Arc<Lent>>,
    /// Those in the list when it was last cleared up.
    kept: usize,
}

/// A body in a request.
struct Lent {
    release: Release,
    /// The bytes are gone. Held while somebody looks at them, which is for one step of a request at most.
    gone: Mutex<bool>,
    /// It is released: whoever sets this does so at once, and until then it is in the ledger. So one that comes back
    /// too late for the last look at the queue is not lost.
    back: AtomicBool,
}

impl Lent {
    /// Once, whoever calls it.
    fn release(&self) {
        if !self.back.swap(true, Ordering::SeqCst) {
            self.release.call();
        }
    }
}

impl Releases {
    /// Empties the queue, with no lock held during the calls. For the end of a driving call. What a worker gives back
    /// at this very moment may stay for the next one.
    pub(super) fn drain(&self) {
        let mut queue = Vec::new();
        loop {
            self.queue.drain(&mut queue);
            if queue.is_empty() {
                return;
            }
            queue.drain(..).for_each(|lent| lent.release());
        }
    }

    /// The client is freed: takes every body back, also from a worker that is not done with it, so that none is
    /// released later, on a thread that is not the host's. Waits for a worker only while it sends from that very body.
    pub(super) fn close(&self) {
        let lent = std::mem::take(&mut lock(&self.lent).all);
        for lent in lent {
            *lock(&lent.gone) = true;
            lent.release();
        }
    }

    fn lend(&self, lent: &Arc<Lent>) {
        let mut ledger = lock(&self.lent);
        if ledger.all.len() >= LENT_MIN + 2 * ledger.kept {
            ledger.all.retain(|lent| !lent.back.load(Ordering::SeqCst));
            ledger.kept = ledger.all.len();
        }
        ledger.all.push(lent.clone());
    }
}

/// The list of lent bodies is cleared up at twice what it held after the last time, and so many: each costs O(1).
const LENT_MIN: usize = 64;

/// A body that stays the host's.
pub(super) struct Borrowed {
    lent: Arc<Lent>,
    /// The request exists: now the release is owed.
    armed: AtomicBool,
    releases: Arc<Releases>,
}

impl Borrowed {
    /// # Safety
    /// `body` is good for reading `body_len` bytes, which stay as they are until `callback` is called or this is
    /// dropped unarmed; `callback` can be called with `user`.
    pub(super) unsafe fn new(
        callback: unsafe extern "C" fn(*mut c_void, *const u8, usize),
        user: *mut c_void,
        body: *const u8,
        body_len: usize,
        releases: Arc<Releases>,
    ) -> Self {
        let release = Release { callback, user: User(user), body, body_len };
        let lent = Arc::new(Lent { release, gone: Mutex::default(), back: AtomicBool::new(false) });
        Self { lent, armed: AtomicBool::new(false), releases }
    }

    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
        self.releases.lend(&self.lent);
    }
}

impl BodyBytes for Borrowed {
    fn count(&self) -> usize {
        self.lent.release.body_len
    }

    fn lend(&self, use_it: &mut dyn FnMut(&[u8])) -> bool {
        let Some(gone) = try_lock(&self.lent.gone) else {
            // It is being taken back.
            return false;
        };
        if *gone {
            return false;
        }
        match self.lent.release.body_len {
            0 => use_it(&[]),
            // SAFETY: promised to the constructor; the release waits for `gone`, or for the last reference to this.
            len => use_it(unsafe { std::slice::from_raw_parts(self.lent.release.body, len) }),
        }
        true
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if self.armed.load(Ordering::SeqCst) {
            self.releases.queue.push(self.lent.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts its calls in the place that `user` points to.
    unsafe extern "C" fn count(user: *mut c_void, _: *const u8, _: usize) {
        // SAFETY: the tests give a place that outlives the releases.
        unsafe { (*user.cast::<AtomicBool>()).store(true, Ordering::SeqCst) };
    }

    fn borrowed(releases: &Arc<Releases>, called: &AtomicBool) -> Borrowed {
        let user = std::ptr::from_ref(called).cast_mut().cast();
        // SAFETY: no byte is borrowed.
        unsafe { Borrowed::new(count, user, std::ptr::null(), 0, releases.clone()) }
    }

    fn called(place: &AtomicBool) -> bool {
        place.swap(false, Ordering::SeqCst)
    }

    /// Goal: a request that is done with a body, and the driving call that releases it, wait for nobody who lends one
    /// meanwhile, and each release comes once. Method: hold the list of lent bodies.
    #[test]
    fn giving_back_waits_for_no_lender() {
        let (releases, place) = (Arc::new(Releases::default()), AtomicBool::new(false));
        let unarmed = borrowed(&releases, &place);
        drop(unarmed);
        let [first, second] = [(); 2].map(|()| borrowed(&releases, &place));
        first.arm();
        second.arm();
        let lender = lock(&releases.lent);
        drop(first);
        assert!(!called(&place), "in a driving call only");
        releases.drain();
        assert!(called(&place));
        drop(lender);
        assert!(second.lend(&mut |bytes| assert!(bytes.is_empty())));
        releases.close();
        assert!(called(&place), "taken back");
        assert!(!second.lend(&mut |_| panic!("the bytes are gone")));
        drop(second);
        releases.close();
        assert!(!called(&place), "once");
    }

    /// Goal: a body that comes back while its client is freed is released, too, by the one or by the other. Method: a
    /// thread that is stopped while it gives one back.
    #[test]
    fn giving_back_meets_the_end() {
        let (releases, place) = (Arc::new(Releases::default()), AtomicBool::new(false));
        let body = borrowed(&releases, &place);
        body.arm();
        let lent = body.lent.clone();
        let before = Arc::strong_count(&lent);
        let stopped = releases.queue.hold(0);
        std::thread::scope(|scope| {
            scope.spawn(move || drop(body));
            while Arc::strong_count(&lent) == before && !lent.back.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            releases.close();
            drop(stopped);
        });
        assert!(called(&place));
        releases.drain();
        assert!(!called(&place), "once");
    }

    /// Goal: the list of lent bodies does not grow with the requests made. Method: many, one after the other, beside
    /// some that last.
    #[test]
    fn what_came_back_is_forgotten() {
        let (releases, place) = (Arc::new(Releases::default()), AtomicBool::new(false));
        let last: Vec<_> = (0..10).map(|_| borrowed(&releases, &place)).collect();
        last.iter().for_each(Borrowed::arm);
        for _ in 0..10_000 {
            borrowed(&releases, &place).arm();
            releases.drain();
        }
        assert!(lock(&releases.lent).all.len() <= LENT_MIN + 2 * last.len() + 1);
        releases.drain();
        assert!(called(&place));
        drop(last);
        releases.drain();
        assert!(called(&place));
    }
}
