//! What calls back into the host, and the jobs it takes.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::answers;
use super::convert;
use super::process;
use super::types::*;
use crate::client::{BodyBytes, Decision, Job, SpawnCallback, Status};
use crate::synca::sync::lock;

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
#[derive(Clone, Copy)]
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
    fn call(self) {
        // SAFETY: the host promises a function that can be called so, once, which is here.
        unsafe { (self.callback)(self.user.pointer(), self.body, self.body_len) }
    }
}

/// The releases that wait for a driving call of their client, so that they run on a thread that expects them, and those
/// still owed.
#[derive(Default)]
pub(super) struct Releases(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    queue: Vec<Release>,
    /// Bodies that requests still have, by number.
    lent: HashMap<u64, (Arc<Gate>, Release)>,
    last: u64,
}

/// Held while somebody looks at the bytes, which is for one step of a request at most. True: they are gone.
type Gate = Mutex<bool>;

impl Releases {
    /// Empties the queue, with no lock held during the calls. For the end of a driving call.
    pub(super) fn drain(&self) {
        loop {
            let queue = std::mem::take(&mut lock(&self.0).queue);
            if queue.is_empty() {
                return;
            }
            queue.into_iter().for_each(Release::call);
        }
    }

    /// The client is freed: takes every body back, also from a worker that is not done with it, so that none is
    /// released later, on a thread that is not the host's. Waits for a worker only while it sends from that very body.
    pub(super) fn close(&self) {
        self.drain();
        let lent = std::mem::take(&mut lock(&self.0).lent);
        for (gate, release) in lent.into_values() {
            *lock(&gate) = true;
            release.call();
        }
        self.drain();
    }

    fn lend(&self, gate: &Arc<Gate>, release: Release) -> u64 {
        let mut waiting = lock(&self.0);
        waiting.last += 1;
        let number = waiting.last;
        waiting.lent.insert(number, (gate.clone(), release));
        number
    }

    /// A request is done with a body.
    fn give_back(&self, number: u64) {
        let mut waiting = lock(&self.0);
        // Not there any more: it was taken back.
        if let Some((_, release)) = waiting.lent.remove(&number) {
            waiting.queue.push(release);
        }
    }
}

/// A body that stays the host's.
pub(super) struct Borrowed {
    release: Release,
    gate: Arc<Gate>,
    /// Its number once the request exists: now the release is owed. 0: not yet.
    number: AtomicU64,
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
        Self { release, gate: Arc::default(), number: AtomicU64::new(0), releases }
    }

    pub(super) fn arm(&self) {
        self.number.store(self.releases.lend(&self.gate, self.release), Ordering::SeqCst);
    }
}

impl BodyBytes for Borrowed {
    fn count(&self) -> usize {
        self.release.body_len
    }

    fn lend(&self, use_it: &mut dyn FnMut(&[u8])) -> bool {
        let gone = lock(&self.gate);
        if *gone {
            return false;
        }
        match self.release.body_len {
            0 => use_it(&[]),
            // SAFETY: promised to the constructor; the release waits for the gate, or for the last reference to this.
            len => use_it(unsafe { std::slice::from_raw_parts(self.release.body, len) }),
        }
        true
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let number = self.number.load(Ordering::SeqCst);
        if number != 0 {
            self.releases.give_back(number);
        }
    }
}
