//! The executor's own tests: over the simulator where time or order matter, over epoll and loopback sockets where the
//! OS does.

mod order;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod os;
mod parking;

use std::time::Duration;

use super::clock::SystemClock;
use super::poller::HostPoller;
use super::test_tasks::{from_fn, FnTask, Status};
use super::time::Instant;
use super::{DoNext, Executor, TaskStatus, Wait};
use crate::synca::sync::{lock, Arc, Mutex};

/// An executor over a host poller: the caller's calls are its only events.
fn host_executor() -> (Executor, Arc<HostPoller>) {
    let poller = Arc::new(HostPoller::new());
    (Executor::new(poller.clone(), Arc::new(SystemClock::new())), poller)
}

/// A log that tasks write and the test reads.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

impl Log {
    fn add(&self, line: &'static str) {
        lock(&self.0).push(line);
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut lock(&self.0))
    }
}

/// Logs its name at each of `steps` steps.
fn stepper(log: &Log, name: &'static str, steps: u32) -> FnTask {
    let (log, mut left) = (log.clone(), steps);
    from_fn(move || {
        left = left.checked_sub(1)?;
        log.add(name);
        Some(TaskStatus::Init)
    })
}

fn erased(task: FnTask) -> super::BoxedExecutionIterator {
    DoNext::boxed(task, |()| ())
}

const LONG: Duration = Duration::from_secs(3600);

/// Goal: an executor can be made on one thread and driven on another. Method: the compiler.
#[test]
fn executors_are_send() {
    fn send<T: Send>() {}
    fn shared<T: Clone + Send + Sync>() {}
    send::<Executor>();
    shared::<super::ExecutorHandle>();
}

/// Goal: what an idle or a waiting executor is asked costs nothing but the asking. Method: count turns, polls,
/// events.
#[test]
fn an_idle_turn_runs_nothing() {
    let (mut executor, _poller) = host_executor();
    executor.handle().spawn(erased(from_fn(|| Some(TaskStatus::Pending(Wait::EXTERNAL)))));
    let first = executor.run_once(Duration::ZERO);
    assert_eq!((first.polls, first.work_left, first.next_deadline), (1, false, None::<Instant>));
    for _ in 0..10 {
        assert_eq!(executor.run_once(LONG).polls, 0);
    }
    assert_eq!(executor.stats().polls, 1);
    let _: Option<Status> = None;
}
