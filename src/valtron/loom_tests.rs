//! Every interleaving of an executor with those who wake it, by loom: `RUSTFLAGS="--cfg loom" cargo test --lib loom`.
//! It is the executor itself that runs here; only its poller is a model. Whatever is lost leaves the driver asleep for
//! ever, which loom reports as a deadlock.

use std::io;
use std::time::Duration;

use loom::sync::Condvar;
use loom::thread;

use super::poller::{HostPoller, Poller, Readiness, Source, WatchList};
use super::test_tasks::{from_fn, FnTask};
use super::time::{Clock, Instant};
use super::wait::{Interest, SocketKey, Wait};
use super::{single, DoNext, Executor, TaskStatus};
use crate::synca::oneshot::Received;
use crate::synca::sync::atomic::{AtomicU32, Ordering};
use crate::synca::sync::{lock, Arc, Mutex};
use crate::synca::Entry;

/// Sockets whose readiness is set by calls, and a sticky flag under a lock that stands for the kernel.
#[derive(Default)]
struct LoomPoller {
    sockets: HostPoller,
    readable: Mutex<bool>,
    changed: Condvar,
}

impl LoomPoller {
    fn set_ready(&self, key: SocketKey, bits: u32) {
        self.sockets.set_ready(key, bits);
        self.notify();
    }

    /// What a host does that has the poller's handle in a loop of its own. Takes nothing.
    fn sleep_on_handle(&self) {
        let mut readable = lock(&self.readable);
        while !*readable {
            readable = self.changed.wait(readable).unwrap();
        }
    }
}

impl Poller for LoomPoller {
    fn register(&self, source: Source) -> io::Result<(SocketKey, Arc<Readiness>)> {
        self.sockets.register(source)
    }

    fn deregister(&self, key: SocketKey) {
        self.sockets.deregister(key);
    }

    fn arm(&self, key: SocketKey, interest: Interest, waiter: Entry) -> bool {
        self.sockets.arm(key, interest, waiter)
    }

    fn disarm(&self, key: SocketKey, waiter: Entry) {
        self.sockets.disarm(key, waiter);
    }

    fn watch(&self, key: SocketKey, list: &Arc<WatchList>) -> bool {
        self.sockets.watch(key, list)
    }

    fn wait(&self, timeout: Option<Duration>, woken: &mut Vec<Entry>) -> io::Result<usize> {
        if timeout.is_none() {
            self.sleep_on_handle();
        }
        *lock(&self.readable) = false;
        self.sockets.wait(timeout, woken)
    }

    fn notify(&self) {
        *lock(&self.readable) = true;
        self.changed.notify_one();
    }

    fn handle(&self) -> Option<i64> {
        None
    }
}

struct NoTime;

impl Clock for NoTime {
    fn read(&self) -> Instant {
        Instant::default()
    }
}

fn executor() -> (Executor, Arc<LoomPoller>) {
    let poller = Arc::new(LoomPoller::default());
    (Executor::new(poller.clone(), Arc::new(NoTime)), poller)
}

/// As a worker drives, until no task is left.
fn drive(executor: &mut Executor) {
    loop {
        executor.run_ready(Duration::ZERO);
        if executor.task_count() == 0 {
            break;
        }
        executor.wait(None).unwrap();
    }
    assert_eq!(executor.stats().panics, 0);
}

/// Ends once `goal` wakers, each on a thread that begins with the task, have added one before they woke it.
fn counts_to(goal: u32) -> FnTask {
    let value = Arc::new(AtomicU32::new(0));
    let seen = value.clone();
    let task = from_fn(move || (seen.load(Ordering::SeqCst) < goal).then_some(TaskStatus::Pending(Wait::EXTERNAL)));
    task.on_start(move |waker| {
        for _ in 0..goal {
            let (waker, value) = (waker.clone(), value.clone());
            thread::spawn(move || {
                value.fetch_add(1, Ordering::SeqCst);
                waker.wake();
            });
        }
    })
}

fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // A turn has many accesses; three pre-emptions find what there is to find.
    builder.preemption_bound = Some(3);
    builder.max_branches = 10_000;
    builder.check(test);
}

/// Goal: a wake is never lost, wherever it falls: before a step, within it, while the task parks, while the driver goes
/// to sleep.
#[test]
fn loom_a_wake_is_never_lost() {
    model(|| {
        let (mut executor, _poller) = executor();
        executor.handle().spawn(DoNext::boxed(counts_to(1), |()| ()));
        drive(&mut executor);
    });
}

/// Goal: a task does not park past a wake that came while it ran: the notified bit is tested at the park. Method: where
/// the step saw the waking thread at its end, the task must be ready, before anybody looks at the queue of wakes.
#[test]
fn loom_a_wake_within_the_step_is_seen_at_the_park() {
    model(|| {
        let (mut executor, _poller) = executor();
        let woken = Arc::new(AtomicU32::new(0));
        let seen = Arc::new(AtomicU32::new(0));
        let (looks, notes) = (woken.clone(), seen.clone());
        let mut first = true;
        let task = from_fn(move || {
            notes.store(looks.load(Ordering::SeqCst), Ordering::SeqCst);
            std::mem::take(&mut first).then_some(TaskStatus::Pending(Wait::EXTERNAL))
        });
        let task = task.on_start(move |waker| {
            let (waker, woken) = (waker.clone(), woken.clone());
            thread::spawn(move || {
                waker.wake();
                woken.store(1, Ordering::SeqCst);
            });
        });
        let entry = executor.handle().schedule(DoNext::boxed(task, |()| ())).unwrap();
        executor.run_ready(Duration::ZERO);
        assert!(seen.load(Ordering::SeqCst) == 0 || executor.wait_of(entry).is_none());
        drive(&mut executor);
    });
}

/// Goal: two wakes of two threads both have a step after them.
#[test]
fn loom_two_wakers_coalesce_without_loss() {
    model(|| {
        let (mut executor, _poller) = executor();
        executor.handle().spawn(DoNext::boxed(counts_to(2), |()| ()));
        drive(&mut executor);
    });
}

/// Goal: work that comes by the inbox ends a sleep too. Method: nothing else would.
#[test]
fn loom_staged_work_ends_a_sleep() {
    model(|| {
        let (mut executor, _poller) = executor();
        let handle = executor.handle();
        thread::spawn(move || handle.spawn(DoNext::boxed(from_fn(|| None), |()| ())));
        while executor.stats().polls == 0 {
            executor.wait(None).unwrap();
            executor.run_ready(Duration::ZERO);
        }
    });
}

/// Goal: two threads that put work in at once find a part of the inbox each, and none of it is lost, wherever the turn
/// finds a part held. Method: as above, until both have run and given their keys back.
#[test]
fn loom_two_stage_at_once() {
    model(|| {
        let (mut executor, _poller) = executor();
        for _ in 0..2 {
            let handle = executor.handle();
            thread::spawn(move || handle.spawn(DoNext::boxed(from_fn(|| None), |()| ())));
        }
        // What found its part held comes later, or gives its key back later.
        while executor.stats().polls < 2 || executor.task_count() > 0 {
            if executor.stats().polls < 2 {
                executor.wait(None).unwrap();
            }
            executor.run_ready(Duration::ZERO);
            thread::yield_now();
        }
    });
}

/// Goal: an edge that comes while its reader finds the socket empty, clears the bit and parks is not lost. Method: the
/// socket is a count of bytes.
#[test]
fn loom_an_edge_is_never_lost() {
    model(|| {
        let (mut executor, poller) = executor();
        let (key, readiness) = poller.register(Source::Virtual).unwrap();
        let socket = Arc::new(AtomicU32::new(0));
        let bytes = socket.clone();
        let task = from_fn(move || {
            let (_, ticket) = readiness.load();
            if bytes.swap(0, Ordering::SeqCst) > 0 {
                return None;
            }
            readiness.clear(Readiness::READ, ticket);
            Some(TaskStatus::Pending(Wait::io(key, Interest::Read)))
        });
        executor.handle().spawn(DoNext::boxed(task, |()| ()));
        thread::spawn(move || {
            // Not a store: loom would not order it against the swap.
            socket.fetch_add(1, Ordering::SeqCst);
            poller.set_ready(key, Readiness::READ);
        });
        drive(&mut executor);
    });
}

/// Goal: a host that sleeps on the handle is told of a wake, also of one between the turn and its sleep.
#[test]
fn loom_a_host_that_sleeps_on_the_handle_is_told() {
    model(|| {
        let (mut executor, poller) = executor();
        executor.handle().set_host_waits(true);
        executor.handle().spawn(DoNext::boxed(counts_to(1), |()| ()));
        loop {
            executor.run_once(Duration::ZERO);
            if executor.task_count() == 0 {
                break;
            }
            poller.sleep_on_handle();
        }
    });
}

/// Goal: a task that finds its sink full is woken by the reader that makes room, and by one that goes away. Method: two
/// results, room for one; the reader takes the first and goes.
#[test]
fn loom_room_in_a_sink_wakes_its_task() {
    model(|| {
        let (mut executor, _poller) = executor();
        let mut left = 2;
        let task = from_fn(move || {
            left -= 1;
            (left >= 0).then_some(TaskStatus::Ready(()))
        });
        let results = single::spawn(&executor, task);
        executor.run_ready(Duration::ZERO);
        thread::spawn(move || assert_eq!(results.try_recv(), Received::Value(())));
        drive(&mut executor);
    });
}
