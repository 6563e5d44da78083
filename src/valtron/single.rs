//! Tasks on the caller's thread: they run inside its calls and nowhere else.
//!
//! ```
//! use valtron_http::synca::oneshot::Received;
//! use valtron_http::valtron::clock::SystemClock;
//! use valtron_http::valtron::{poller, single, Executor, NoAction, TaskIterator, TaskStatus, Wait};
//!
//! struct Countdown(u32);
//!
//! impl TaskIterator for Countdown {
//!     type Ready = u32;
//!     type Pending = Wait;
//!     type Spawner = NoAction;
//!
//!     fn next(&mut self) -> Option<TaskStatus<u32, Wait, NoAction>> {
//!         self.0 = self.0.checked_sub(1)?;
//!         Some(TaskStatus::Ready(self.0))
//!     }
//! }
//!
//! let mut executor = Executor::new(poller::system()?, std::sync::Arc::new(SystemClock::new()));
//! let results = single::spawn(&executor, Countdown(2));
//! single::run_until_complete(&mut executor, None)?;
//! assert_eq!(results.try_recv(), Received::Value(1));
//! assert_eq!(results.try_recv(), Received::Value(0));
//! assert_eq!(results.try_recv(), Received::Closed);
//! # std::io::Result::Ok(())
//! ```

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::do_next::{DoNext, ResultSink};
use super::executor::{Executor, Turn};
use super::inbox::ExecutorHandle;
use super::task::TaskIterator;
use super::wait::Wait;
use crate::synca::oneshot::Received;
use crate::synca::sync::{lock, Arc, Mutex};
use crate::synca::TaskWaker;

/// How long [`run_until_complete`] runs tasks between two looks at whether it is done.
const SLICE: Duration = Duration::from_millis(5);

/// Results of one task that wait to be taken. Most tasks give one; a task that gives many runs ahead of its reader by
/// so many, then is parked. Loom sees all there is to see with one.
pub const RESULTS_MAX: usize = if cfg!(loom) { 1 } else { 64 };

/// What tasks can be given to.
pub trait Spawn {
    /// The handle of the executor that will run them.
    fn spawn_handle(&self) -> ExecutorHandle;
}

impl Spawn for Executor {
    fn spawn_handle(&self) -> ExecutorHandle {
        self.handle()
    }
}

impl Spawn for ExecutorHandle {
    fn spawn_handle(&self) -> ExecutorHandle {
        self.clone()
    }
}

/// Gives `task` to the executor; its results come through what this returns. While [`RESULTS_MAX`] of them wait to be
/// taken the task is parked, whatever else comes.
pub fn spawn<T>(executor: &impl Spawn, task: T) -> Results<T::Ready>
where
    T: TaskIterator + Send + 'static,
    T::Ready: Send + 'static,
    T::Pending: Into<Wait>,
{
    let (sink, results) = results();
    executor.spawn_handle().spawn(DoNext::boxed(task, sink));
    results
}

/// Runs ready tasks within `budget`; never blocks. See [`Executor::run_once`].
pub fn run_once(executor: &mut Executor, budget: Duration) -> Turn {
    executor.run_once(budget)
}

/// Blocks until all tasks are over; false: `limit` was over first. A signal ends it with
/// [`io::ErrorKind::Interrupted`]; call it again. A task that is parked until its results are taken is not over: take
/// them between calls of [`run_until`], or on another thread.
pub fn run_until_complete(executor: &mut Executor, limit: Option<Duration>) -> io::Result<bool> {
    run_until(executor, limit, |executor| executor.task_count() == 0)
}

/// As [`run_until_complete`], but until `done` says so.
pub fn run_until(
    executor: &mut Executor,
    limit: Option<Duration>,
    mut done: impl FnMut(&Executor) -> bool,
) -> io::Result<bool> {
    let start = executor.read_clock();
    let end = limit.map(|limit| start.after(limit));
    let mut turn = executor.run_once(Duration::ZERO);
    loop {
        if done(executor) {
            return Ok(true);
        }
        let left = end.map(|end| end.since(executor.read_clock()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(false);
        }
        if !turn.work_left {
            executor.wait(left)?;
        }
        turn = executor.run_ready(left.map_or(SLICE, |left| left.min(SLICE)));
    }
}

/// The results of one task, in order. They are kept until taken, [`RESULTS_MAX`] at most.
pub struct Results<T>(Arc<Mutex<Shared<T>>>);

/// The task's end of [`Results`].
pub(super) struct Sink<T> {
    shared: Arc<Mutex<Shared<T>>>,
    /// The task's own.
    waker: Option<TaskWaker>,
}

struct Shared<T> {
    values: VecDeque<T>,
    waker: Option<TaskWaker>,
    /// The task, parked for want of room.
    producer: Option<TaskWaker>,
    sink_gone: bool,
    results_gone: bool,
}

pub(super) fn results<T>() -> (Sink<T>, Results<T>) {
    let shared = Shared { values: VecDeque::new(), waker: None, producer: None, sink_gone: false, results_gone: false };
    let shared = Arc::new(Mutex::new(shared));
    (Sink { shared: shared.clone(), waker: None }, Results(shared))
}

impl<T> Results<T> {
    /// Looks, without waiting.
    pub fn try_recv(&self) -> Received<T> {
        let mut shared = lock(&self.0);
        let received = match shared.values.pop_front() {
            Some(value) => Received::Value(value),
            None if shared.sink_gone => Received::Closed,
            None => Received::Empty,
        };
        let producer = shared.producer.take();
        drop(shared);
        if let Some(producer) = producer {
            producer.wake();
        }
        received
    }

    /// Who is woken when a result comes or the task ends; at once if there is something to see already.
    pub fn set_waker(&self, waker: TaskWaker) {
        let late = {
            let mut shared = lock(&self.0);
            shared.waker = Some(waker.clone());
            shared.sink_gone || !shared.values.is_empty()
        };
        if late {
            waker.wake();
        }
    }
}

impl<T> Drop for Results<T> {
    fn drop(&mut self) {
        let (values, producer) = {
            let mut shared = lock(&self.0);
            shared.results_gone = true;
            shared.waker = None;
            (std::mem::take(&mut shared.values), shared.producer.take())
        };
        drop(values);
        if let Some(producer) = producer {
            producer.wake();
        }
    }
}

impl<T: Send> ResultSink<T> for Sink<T> {
    fn started(&mut self, waker: &TaskWaker) {
        self.waker = Some(waker.clone());
    }

    fn has_room(&mut self) -> bool {
        let mut shared = lock(&self.shared);
        let has_room = shared.results_gone || shared.values.len() < RESULTS_MAX;
        if !has_room {
            shared.producer.clone_from(&self.waker);
        }
        has_room
    }

    fn push(&mut self, value: T) {
        let waker = {
            let mut shared = lock(&self.shared);
            if !shared.results_gone {
                shared.values.push_back(value);
            }
            shared.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Sink<T> {
    fn drop(&mut self) {
        let waker = {
            let mut shared = lock(&self.shared);
            shared.sink_gone = true;
            shared.producer = None;
            shared.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
