//! Work that a host may take to its own threads.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::Mutex;

use super::status::Status;
use crate::synca::sync::lock;
use crate::synca::TaskWaker;

/// The work of a job.
pub type Work = Box<dyn FnOnce() + Send>;

/// One piece of work that a host may run on any thread, at most once. Its owner, a task, waits for no lock here.
pub struct Job {
    state: AtomicU8,
    /// For whoever ends the idleness, so that no two ever meet here.
    work: Mutex<Option<Work>>,
    owner: TaskWaker,
    live: Box<dyn Fn() -> bool + Send + Sync>,
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const DONE: u8 = 2;
const EXPIRED: u8 = 3;
const CANCELLED: u8 = 4;

impl Job {
    /// `owner` is woken when it is done. `live` tells, with no lock held, whether the request still wants it.
    pub fn new(work: Option<Work>, owner: TaskWaker, live: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { state: AtomicU8::new(IDLE), work: Mutex::new(work), owner, live: Box::new(live) }
    }

    /// Runs the work here and now, if it still waits.
    pub fn run(&self) -> Status {
        // A host knows of a request's end before the task that asked has run again: by its own cancel, or by a worker.
        if !(self.live)() {
            self.cancel();
        }
        let work = match self.leave_idle(RUNNING) {
            Ok(work) => work,
            Err(EXPIRED) => return Status::JobExpired,
            Err(CANCELLED) => return Status::JobCancelled,
            Err(_) => return Status::JobAlreadyRun,
        };
        // A panic leaves no result behind: the owner sees a job done without one and fails that request alone.
        let outcome = work.map(|work| catch_unwind(AssertUnwindSafe(work)));
        self.state.store(DONE, Ordering::SeqCst);
        self.owner.wake();
        match outcome {
            Some(Err(_)) => Status::Internal,
            _ => Status::Ok,
        }
    }

    /// It was started; its clock has stopped.
    pub fn started(&self) -> bool {
        matches!(self.state.load(Ordering::SeqCst), RUNNING | DONE)
    }

    /// The work is over.
    pub fn is_done(&self) -> bool {
        self.state.load(Ordering::SeqCst) == DONE
    }

    /// The owner takes the work back, unless it was started.
    pub fn reclaim(&self) -> Option<Work> {
        self.leave_idle(EXPIRED).ok().flatten()
    }

    /// The work is not wanted any more, unless it was started.
    pub fn cancel(&self) {
        drop(self.leave_idle(CANCELLED));
    }

    /// The work, to whoever says first what becomes of it; else what that was.
    fn leave_idle(&self, state: u8) -> Result<Option<Work>, u8> {
        self.state.compare_exchange(IDLE, state, Ordering::SeqCst, Ordering::SeqCst)?;
        Ok(lock(&self.work).take())
    }
}
