//! Tasks on worker threads: each worker drives an executor of its own, and a task never leaves it.
//!
//! Stopping is a signal, never a wait: [`Workers::stop`] returns at once, [`Workers::join`] waits as long as it is
//! told.
//!
//! Here in every build: the feature `multi` only decides where requests run. Where there are no threads (wasm32)
//! [`Workers::start`] answers the system's error.
//!
//! ```
//! use valtron_http::synca::oneshot::Received;
//! use valtron_http::valtron::clock::SystemClock;
//! use valtron_http::valtron::multi::{self, Workers};
//! use valtron_http::valtron::{poller, Executor, NoAction, TaskIterator, TaskStatus, Wait};
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
//! let clock = std::sync::Arc::new(SystemClock::new());
//! let mut workers = Workers::start(2, |_| Ok(Executor::new(poller::system()?, clock.clone())))?;
//! let results = multi::spawn(&workers, Countdown(2));
//! let mut seen = Vec::new();
//! loop {
//!     match results.try_recv() {
//!         Received::Value(value) => seen.push(value),
//!         Received::Empty => std::thread::yield_now(),
//!         Received::Closed => break,
//!     }
//! }
//! assert_eq!(seen, [1, 0]);
//! workers.stop();
//! assert!(workers.join(None));
//! # std::io::Result::Ok(())
//! ```

use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Condvar;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::do_next::BoxedExecutionIterator;
use super::executor::Executor;
use super::inbox::ExecutorHandle;
#[cfg(unix)]
use super::poller::signals::SignalsBlocked;
use super::single::{self, Results, Spawn};
use super::task::TaskIterator;
use super::wait::Wait;
use crate::synca::sync::atomic::{AtomicBool, Ordering};
use crate::synca::sync::{lock, Arc, Mutex};

/// How long a worker runs ready tasks before it tells what it did, and looks at its sockets: short enough that nobody
/// waits for news of one task until many others have run.
const SLICE: Duration = Duration::from_micros(250);

/// What a worker does after each slice of work, on its thread: telling the host at once of all that happened is cheaper
/// than telling it of each thing.
pub type AfterSlice = Arc<dyn Fn() + Send + Sync>;

/// Worker threads and their executors.
pub struct Workers {
    handles: Vec<ExecutorHandle>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    poisoned: AtomicBool,
    running: Mutex<usize>,
    ended: Condvar,
}

impl Workers {
    /// Starts `count` threads, each with the executor that `make_executor` makes for its number. If one cannot start,
    /// none runs.
    pub fn start(count: usize, make_executor: impl Fn(usize) -> io::Result<Executor>) -> io::Result<Self> {
        Self::start_with(count, make_executor, Arc::new(|| {}))
    }

    /// As [`start`](Self::start), with something to do after each slice of work.
    pub fn start_with(
        count: usize,
        make_executor: impl Fn(usize) -> io::Result<Executor>,
        after: AfterSlice,
    ) -> io::Result<Self> {
        // All executors first: an error here leaves no thread behind.
        let executors = (0..count).map(make_executor).collect::<io::Result<Vec<_>>>()?;
        let handles: Vec<_> = executors.iter().map(Executor::handle).collect();
        for handle in &handles {
            handle.set_peers(&handles);
        }
        let mut workers = Self { handles, threads: Vec::new(), shared: Arc::default() };
        #[cfg(unix)]
        let _blocked = SignalsBlocked::new();
        for (index, executor) in executors.into_iter().enumerate() {
            let (shared, after) = (workers.shared.clone(), after.clone());
            *lock(&shared.running) += 1;
            let started =
                Builder::new().name(format!("valtron-{index}")).spawn(move || work(executor, &shared, &after));
            match started {
                Ok(thread) => workers.threads.push(thread),
                Err(error) => {
                    *lock(&workers.shared.running) -= 1;
                    workers.stop();
                    return Err(error);
                }
            }
        }
        Ok(workers)
    }

    /// Waits up to `timeout` (`None`: without limit) until all workers have ended, after [`stop`](Self::stop). False:
    /// some still run.
    pub fn join(&mut self, timeout: Option<Duration>) -> bool {
        let running = lock(&self.shared.running);
        let running = match timeout {
            None => self.shared.ended.wait_while(running, |running| *running > 0).unwrap_or_else(|p| p.into_inner()),
            Some(timeout) => {
                let waited = self.shared.ended.wait_timeout_while(running, timeout, |running| *running > 0);
                waited.unwrap_or_else(|p| p.into_inner()).0
            }
        };
        if *running > 0 {
            return false;
        }
        drop(running);
        for thread in self.threads.drain(..) {
            // A panic of a worker was caught and flagged; nothing comes out here.
            let _ = thread.join();
        }
        true
    }

    /// Tells all workers to end. Tasks still alive are dropped by their workers. Never waits.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for handle in &self.handles {
            handle.notify();
        }
    }

    /// How many workers there are.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// The executor of a worker; numbers beyond the last wrap around.
    ///
    /// # Panics
    ///
    /// If there are no workers.
    pub fn handle(&self, worker: usize) -> &ExecutorHandle {
        &self.handles[worker % self.handles.len()]
    }

    /// Gives `task` to this worker, not to whichever has least to do as [`spawn`] does; its results come through what
    /// this returns.
    pub fn spawn<T>(&self, worker: usize, task: T) -> Results<T::Ready>
    where
        T: TaskIterator + Send + 'static,
        T::Ready: Send + 'static,
        T::Pending: Into<Wait>,
    {
        single::spawn(self.handle(worker), task)
    }

    /// Gives each worker a task of its own, made by `make` there. False: a worker was gone.
    pub fn broadcast(&self, make: Box<dyn Fn() -> BoxedExecutionIterator + Send + Sync>) -> bool {
        self.handles.first().is_some_and(|first| first.broadcast(make))
    }

    /// A worker died outside its tasks, of a panic or of a poller that fails: its tasks are gone.
    pub fn is_poisoned(&self) -> bool {
        self.shared.poisoned.load(Ordering::SeqCst)
    }
}

/// Gives `task` to the worker that has the fewest tasks; its results come through what this returns. As
/// [`single::spawn`], so that code can be written over either.
///
/// # Panics
///
/// If there are no workers.
pub fn spawn<T>(workers: &impl Spawn, task: T) -> Results<T::Ready>
where
    T: TaskIterator + Send + 'static,
    T::Ready: Send + 'static,
    T::Pending: Into<Wait>,
{
    single::spawn(workers, task)
}

impl Spawn for Workers {
    /// The worker that has the fewest tasks.
    fn spawn_handle(&self) -> ExecutorHandle {
        let least = self.handles.iter().min_by_key(|handle| handle.task_count());
        least.expect("tasks are given to workers that there are").clone()
    }
}

impl Drop for Workers {
    /// Signals and lets go: a thread that has not ended yet is left to end by itself.
    fn drop(&mut self) {
        self.stop();
    }
}

fn work(executor: Executor, shared: &Shared, after: &AfterSlice) {
    // The executor is dropped inside: whoever waits for its tasks learns of their end before `join` returns.
    let outcome = catch_unwind(AssertUnwindSafe(|| drive(executor, &shared.stop, after)));
    after();
    if !matches!(outcome, Ok(Ok(()))) {
        shared.poisoned.store(true, Ordering::SeqCst);
    }
    *lock(&shared.running) -= 1;
    shared.ended.notify_all();
    if let Err(payload) = outcome {
        // Its drop could panic again, on a thread that has nobody to catch that.
        std::mem::forget(payload);
    }
}

fn drive(mut executor: Executor, stop: &AtomicBool, after: &AfterSlice) -> io::Result<()> {
    while !stop.load(Ordering::SeqCst) {
        let turn = executor.run_ready(SLICE);
        after();
        if turn.polls > 0 && !turn.work_left {
            // Who was told may be about to bring more, on this very core: a thread that sleeps is woken for the first
            // of it, and sleeps again before the second.
            std::thread::yield_now();
        }
        match executor.wait(None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;
    use crate::synca::oneshot::{self, Received};
    use crate::valtron::clock::SystemClock;
    use crate::valtron::test_tasks::{from_fn, FnTask};
    use crate::valtron::{poller, DoNext, TaskStatus};

    fn workers(count: usize) -> Workers {
        Workers::start(count, |_| Ok(Executor::new(poller::system()?, Arc::new(SystemClock::new())))).unwrap()
    }

    fn send_thread_name(sender: std::sync::mpsc::Sender<String>) -> FnTask {
        let mut sender = Some(sender);
        from_fn(move || {
            let name = std::thread::current().name().unwrap_or("").to_owned();
            sender.take()?.send(name).ok()?;
            Some(TaskStatus::Init)
        })
    }

    /// Goal: a task runs on the worker it was given to, a broadcast on all. Method: tasks send their thread's name.
    #[test]
    fn tasks_run_where_they_were_put() {
        let mut workers = workers(2);
        let (sender, names) = std::sync::mpsc::channel();
        let _results = workers.spawn(1, send_thread_name(sender.clone()));
        assert_eq!(names.recv().unwrap(), "valtron-1");
        let sender = Mutex::new(sender);
        assert!(workers.broadcast(Box::new(move || DoNext::boxed(send_thread_name(lock(&sender).clone()), |()| ()))));
        let mut seen = [names.recv().unwrap(), names.recv().unwrap()];
        seen.sort();
        assert_eq!(seen, ["valtron-0", "valtron-1"]);
        workers.stop();
        assert!(workers.join(None));
        assert!(!workers.is_poisoned());
    }

    /// Goal: a task for no worker in particular goes where there are fewest. Method: tasks that stay, told apart by
    /// what each worker holds.
    #[test]
    fn tasks_spread() {
        let mut workers = workers(2);
        let stay = || from_fn(|| Some(TaskStatus::Pending(Wait::EXTERNAL)));
        let _kept: Vec<_> = (0..6).map(|_| spawn(&workers, stay())).collect();
        assert_eq!([workers.handle(0).task_count(), workers.handle(1).task_count()], [3, 3]);
        workers.stop();
        assert!(workers.join(None));
    }

    /// Goal: stop ends workers that sleep, and their tasks are dropped. Method: a parked task holds a sender.
    #[test]
    fn stop_wakes_sleepers_and_drops_tasks() {
        let mut workers = workers(2);
        let (sender, receiver) = oneshot::channel::<()>();
        let results = workers.spawn(
            0,
            from_fn(move || {
                let _held = &sender;
                Some(TaskStatus::Pending(Wait::EXTERNAL))
            }),
        );
        assert!(!workers.join(Some(Duration::ZERO)));
        workers.stop();
        assert!(workers.join(None));
        assert_eq!(receiver.try_recv(), Received::Closed);
        assert_eq!(results.try_recv(), Received::Closed);
        assert!(workers.handle(0).schedule(DoNext::boxed(from_fn(|| None), |()| ())).is_none());
    }
}
