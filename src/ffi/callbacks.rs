//! What calls back into the host, and the jobs it takes.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::answers;
use super::convert;
use super::process;
use super::types::*;
use crate::client::{Decision, Job, SpawnCallback, Status};
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

/// The releases that wait for a driving call of their client, so that they run on a thread that expects them.
#[derive(Default)]
pub(super) struct Releases(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    queue: Vec<Release>,
    /// Calls that will empty the queue before they return.
    drivers: usize,
    /// The client was freed.
    closed: bool,
}

impl Releases {
    /// A driving call begins.
    pub(super) fn enter(&self) {
        lock(&self.0).drivers += 1;
    }

    /// A driving call ends.
    pub(super) fn leave(&self) {
        self.drain(|waiting| waiting.drivers -= 1);
    }

    /// The client is freed: who comes later calls for himself.
    pub(super) fn close(&self) {
        self.drain(|waiting| waiting.closed = true);
    }

    /// Empties the queue, with no lock held during the calls, and does `last` while it is empty.
    fn drain(&self, last: impl FnOnce(&mut Waiting)) {
        loop {
            let mut waiting = lock(&self.0);
            if waiting.queue.is_empty() {
                return last(&mut waiting);
            }
            let queue = std::mem::take(&mut waiting.queue);
            drop(waiting);
            queue.into_iter().for_each(Release::call);
        }
    }

    fn push(&self, release: Release) {
        let mut waiting = lock(&self.0);
        if waiting.closed && waiting.drivers == 0 {
            drop(waiting);
            return release.call();
        }
        waiting.queue.push(release);
    }
}

/// A body that stays the host's.
pub(super) struct Borrowed {
    release: Release,
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
        Self { release, armed: AtomicBool::new(false), releases }
    }

    pub(super) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }
}

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        if self.release.body_len == 0 {
            return &[];
        }
        // SAFETY: promised to the constructor; the release comes after the last reference to this is gone.
        unsafe { std::slice::from_raw_parts(self.release.body, self.release.body_len) }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if self.armed.load(Ordering::SeqCst) {
            self.releases.push(self.release);
        }
    }
}
