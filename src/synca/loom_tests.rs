//! Every interleaving of the channels' protocol, by loom: `RUSTFLAGS="--cfg loom" cargo test --lib loom`. The executor
//! has its own tests of this kind, over its own code.

use loom::sync::Condvar;
use loom::thread;

use super::oneshot::{self, Received};
use super::sync::atomic::{AtomicU32, Ordering};
use super::sync::{lock, Arc, Mutex};
use super::{Bell, DelegationMutex, Entry, Serve, ShardedQueue, TaskMutex, TaskWaker, WakeQueue};

/// A driver and its poller: a sticky flag under a lock stands for the eventfd.
struct Driver {
    queue: Arc<WakeQueue>,
    poller: Arc<(Mutex<bool>, Condvar)>,
}

impl Driver {
    fn new() -> Self {
        let poller = Arc::new((Mutex::new(false), Condvar::new()));
        let notified = poller.clone();
        let queue = WakeQueue::new(Box::new(move || {
            *lock(&notified.0) = true;
            notified.1.notify_one();
        }));
        Self { queue, poller }
    }

    /// As an executor that has nothing else to do. Only an interrupt ends the wait, so a lost one is a deadlock, which
    /// loom reports.
    fn sleep(&self) {
        if self.queue.prepare_sleep() {
            let mut notified = lock(&self.poller.0);
            while !*notified {
                notified = self.poller.1.wait(notified).unwrap();
            }
            *notified = false;
        }
        self.queue.end_sleep();
    }

    /// Empties the queue, so that the next sleep is one.
    fn take(&self) {
        self.queue.drain(&mut Vec::new());
    }
}

/// Goal: a receiver that sets its waker and then finds nothing is woken. Method: the sender sends meanwhile.
#[test]
fn loom_oneshot_wakes_the_receiver() {
    loom::model(|| {
        let driver = Driver::new();
        let waker = TaskWaker::new(Entry::new(0, 1), driver.queue.clone());
        let (sender, receiver) = oneshot::channel();
        let other = thread::spawn(move || sender.send(5).unwrap());
        receiver.set_waker(waker.clone());
        let received = loop {
            waker.take_notified();
            match receiver.try_recv() {
                Received::Empty => {}
                other => break other,
            }
            while !waker.is_notified() {
                driver.sleep();
                driver.take();
            }
        };
        assert_eq!(received, Received::Value(5));
        other.join().unwrap();
        assert_eq!(receiver.try_recv(), Received::Closed);
    });
}

/// Goal: a sender learns that nobody waits any more, whether the receiver goes before or after it set its waker.
/// Method: drop the receiver on another thread.
#[test]
fn loom_oneshot_wakes_the_sender() {
    loom::model(|| {
        let driver = Driver::new();
        let waker = TaskWaker::new(Entry::new(0, 1), driver.queue.clone());
        let (sender, receiver) = oneshot::channel::<u32>();
        let other = thread::spawn(move || drop(receiver));
        if !sender.is_closed() {
            sender.set_waker(waker.clone());
            while !waker.is_notified() {
                driver.sleep();
                driver.take();
            }
            assert!(sender.is_closed());
        }
        assert_eq!(sender.send(1), Err(1));
        other.join().unwrap();
    });
}

/// Goal: whoever hangs a bell and then sleeps is told of everything, although two ring at once. Method: two threads
/// that each do something and ring; the third sleeps until both have. A lost ring is a deadlock.
#[test]
fn loom_a_ring_is_never_lost() {
    loom::model(|| {
        let state = Arc::new((Bell::default(), AtomicU32::new(0), Mutex::new(false), Condvar::new()));
        let ringers: Vec<_> = (0..2)
            .map(|_| {
                let state = state.clone();
                thread::spawn(move || {
                    state.1.fetch_add(1, Ordering::SeqCst);
                    state.0.ring(|()| {
                        *lock(&state.2) = true;
                        state.3.notify_one();
                    });
                })
            })
            .collect();
        state.0.hang(());
        while state.1.load(Ordering::SeqCst) < 2 {
            let mut told = lock(&state.2);
            while !*told {
                told = state.3.wait(told).unwrap();
            }
            *told = false;
        }
        ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
    });
}

/// Goal: a task that finds a lock held is woken when it is free, and gets in without a look more than it needs. Method:
/// two threads hold it meanwhile; the task sleeps whenever it is told that a wake will come.
#[test]
fn loom_a_held_lock_wakes_the_task() {
    loom::model(|| {
        let driver = Driver::new();
        let waker = TaskWaker::new(Entry::new(0, 1), driver.queue.clone());
        let mutex = Arc::new(TaskMutex::new(0));
        let holders: Vec<_> = (0..2)
            .map(|_| {
                let mutex = mutex.clone();
                thread::spawn(move || {
                    let mut value = mutex.lock();
                    // Else nothing can come between the lock and its release.
                    thread::yield_now();
                    *value += 1;
                })
            })
            .collect();
        loop {
            waker.take_notified();
            if let Some(mut value) = mutex.try_lock() {
                *value += 1;
                break;
            }
            if mutex.wake_when_free(&waker) {
                driver.sleep();
            } else {
                thread::yield_now();
            }
            driver.take();
        }
        holders.into_iter().for_each(|holder| holder.join().unwrap());
        assert_eq!(*mutex.lock(), 3);
    });
}

/// Goal: a queue with parts loses nothing. Method: two push, one drains until it has both.
#[test]
fn loom_a_sharded_queue_loses_nothing() {
    loom::model(|| {
        let queue = Arc::new(ShardedQueue::default());
        let pushing: Vec<_> = (0..2)
            .map(|n| {
                let queue = queue.clone();
                thread::spawn(move || queue.push(n))
            })
            .collect();
        let mut all = Vec::new();
        queue.drain(&mut all);
        pushing.into_iter().for_each(|pushing| pushing.join().unwrap());
        all.extend(queue.pop());
        queue.drain_all(&mut all);
        all.sort_unstable();
        assert_eq!(all, [0, 1]);
        assert!(queue.is_empty());
    });
}

/// Goal: what is posted is served by whoever has the lock, once, and nobody waits for it. Method: one holds the lock,
/// two post; when all are done, all is served.
#[test]
fn loom_what_is_posted_is_served() {
    struct Sum(u32);

    impl Serve for Sum {
        type Request = u32;
        type Effect = u32;

        fn serve(&mut self, request: u32) -> u32 {
            self.0 += request;
            request
        }
    }

    loom::model(|| {
        let state = Arc::new((DelegationMutex::new(Sum(0)), AtomicU32::new(0)));
        let posting: Vec<_> = (1..=2)
            .map(|n| {
                let state = state.clone();
                thread::spawn(move || {
                    state.0.post(n, |effect| {
                        state.1.fetch_add(effect, Ordering::SeqCst);
                    });
                })
            })
            .collect();
        let count = |effect| {
            state.1.fetch_add(effect, Ordering::SeqCst);
        };
        state.0.with(|_| thread::yield_now(), count);
        posting.into_iter().for_each(|posting| posting.join().unwrap());
        let sum = state.0.with(|sum| sum.0, |_| panic!("nothing was left"));
        assert_eq!((sum, state.1.load(Ordering::SeqCst)), (3, 3));
    });
}

/// Goal: an end that leaves is seen by the other, whatever that one does. Method: the receiver goes while the sender
/// sends: the value comes back, or is taken, or goes with the channel.
#[test]
fn loom_oneshot_ends_meet() {
    loom::model(|| {
        let value = Arc::new(());
        let (sender, receiver) = oneshot::channel();
        let sent = value.clone();
        let other = thread::spawn(move || drop(sender.send(sent)));
        let taken = receiver.try_recv();
        if matches!(taken, Received::Value(_)) {
            assert_eq!(receiver.try_recv(), Received::Closed);
        }
        drop((taken, receiver));
        other.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}
