//! The executor's own tests: over the simulator where time or order matter, over the system's poller and loopback
//! sockets where the OS does.

#[cfg(all(any(target_os = "linux", target_os = "android"), not(valtron_polling)))]
mod epoll;
mod names;
mod order;
#[cfg(unix)]
mod os;
mod parking;

use std::time::Duration;

use super::clock::SystemClock;
use super::poller::HostPoller;
use super::test_tasks::{from_fn, FnTask, Status};
use super::time::{Clock, Instant};
use super::{DoNext, Executor, NoAction, TaskIterator, TaskStatus, Wait};
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

/// A clock that moves when it is told.
#[derive(Clone, Default)]
struct StoppedClock(Arc<Mutex<Duration>>);

impl StoppedClock {
    fn advance(&self, by: Duration) {
        *lock(&self.0) += by;
    }
}

impl Clock for StoppedClock {
    fn read(&self) -> Instant {
        Instant::default().after(*lock(&self.0))
    }
}

/// One step, which takes so long and bears a label.
struct Labelled {
    clock: StoppedClock,
    takes: Duration,
    label: u32,
}

impl TaskIterator for Labelled {
    type Ready = ();
    type Pending = Wait;
    type Spawner = NoAction;

    fn label(&self) -> u32 {
        self.label
    }

    fn next(&mut self) -> Option<Status> {
        self.clock.advance(self.takes);
        None
    }
}

/// Goal: the longest step is known with its label, by itself and not with what ran before it, until it is reset.
#[test]
fn the_longest_step() {
    let clock = StoppedClock::default();
    let mut executor = Executor::new(Arc::new(HostPoller::new()), Arc::new(clock.clone()));
    let handle = executor.handle();
    let mut run = |steps: &[(u64, u32)]| {
        for (millis, label) in steps {
            let task = Labelled { clock: clock.clone(), takes: Duration::from_millis(*millis), label: *label };
            executor.handle().spawn(DoNext::boxed(task, |()| ()));
        }
        executor.run_once(LONG);
        clock.advance(LONG);
    };
    assert_eq!(handle.longest_step(false), (Duration::ZERO, 0));
    run(&[(3, 1), (7, 2), (5, 3)]);
    assert_eq!(handle.longest_step(false), (Duration::from_millis(7), 2));
    assert_eq!(handle.longest_step(true), (Duration::from_millis(7), 2));
    run(&[(2, 4), (1, 5)]);
    assert_eq!(handle.longest_step(false), (Duration::from_millis(2), 4));
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
