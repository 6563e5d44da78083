//! Every interleaving of the wake protocol, by loom: `RUSTFLAGS="--cfg loom" cargo test --lib loom`.

use loom::sync::Condvar;
use loom::thread;

use super::oneshot::{self, Received};
use super::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use super::sync::{lock, Arc, Mutex};
use super::{Entry, TaskWaker, WakeQueue};

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

    /// What `Executor::wait` does. Only an interrupt ends the wait, so a lost one is a deadlock, which loom reports.
    fn sleep(&self) {
        self.sleep_unless(|| false);
    }

    fn sleep_unless(&self, work: impl Fn() -> bool) {
        if self.queue.prepare_sleep() && !work() {
            let mut notified = lock(&self.poller.0);
            while !*notified {
                notified = self.poller.1.wait(notified).unwrap();
            }
            *notified = false;
        }
        self.queue.end_sleep();
    }

    /// What `Executor::take_wakes` does: is the task to be run?
    fn take(&self, waker: &TaskWaker) -> bool {
        let mut woken = Vec::new();
        self.queue.drain(&mut woken);
        woken.contains(&waker.entry()) && waker.is_notified()
    }
}

/// Goal: a wake is never lost, wherever it falls: before a step, within it, while the task parks, while the driver
/// goes to sleep. Method: a task that ends when it sees a value that another thread publishes before it wakes; one
/// driver as the executor does it.
#[test]
fn loom_a_wake_is_never_lost() {
    loom::model(|| {
        let driver = Driver::new();
        let waker = TaskWaker::new(Entry::new(0, 1), driver.queue.clone());
        let value = Arc::new(AtomicU32::new(0));
        let other = {
            let (waker, value) = (waker.clone(), value.clone());
            thread::spawn(move || {
                value.store(1, Ordering::SeqCst);
                waker.wake();
            })
        };
        let mut ready = true;
        loop {
            ready |= driver.take(&waker);
            if ready {
                // A step: the bit first, then the look at what the wake was about.
                waker.take_notified();
                if value.load(Ordering::SeqCst) == 1 {
                    break;
                }
                // It parks.
                ready = waker.is_notified();
            }
            if !ready {
                driver.sleep();
            }
        }
        other.join().unwrap();
    });
}

/// Goal: two wakes of two threads both have a step after them. Method: each adds one before it wakes; the task ends
/// at two.
#[test]
fn loom_two_wakers_coalesce_without_loss() {
    let mut model = loom::model::Builder::new();
    // All interleavings of three threads are too many; three pre-emptions find what there is to find.
    model.preemption_bound = Some(3);
    model.check(|| {
        let driver = Driver::new();
        let waker = TaskWaker::new(Entry::new(0, 1), driver.queue.clone());
        let value = Arc::new(AtomicU32::new(0));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (waker, value) = (waker.clone(), value.clone());
                thread::spawn(move || {
                    value.fetch_add(1, Ordering::SeqCst);
                    waker.wake();
                })
            })
            .collect();
        let mut ready = true;
        loop {
            ready |= driver.take(&waker);
            if ready {
                waker.take_notified();
                if value.load(Ordering::SeqCst) == 2 {
                    break;
                }
                ready = waker.is_notified();
            }
            if !ready {
                driver.sleep();
            }
        }
        for other in others {
            other.join().unwrap();
        }
    });
}

/// Goal: work that comes by the inbox ends a sleep too. Method: the inbox is a list with its flag; a turn looks at
/// the flag, the sleeper at the list under its lock after it said that it sleeps, as `Executor::wait` does.
#[test]
fn loom_staged_work_ends_a_sleep() {
    loom::model(|| {
        let driver = Driver::new();
        let inbox = Arc::new((Mutex::new(Vec::new()), AtomicBool::new(false)));
        let other = {
            let (queue, inbox) = (driver.queue.clone(), inbox.clone());
            thread::spawn(move || {
                {
                    let mut staged = lock(&inbox.0);
                    staged.push(7);
                    inbox.1.store(true, Ordering::SeqCst);
                }
                queue.interrupt_if_sleeping();
            })
        };
        loop {
            if inbox.1.load(Ordering::SeqCst) {
                inbox.1.store(false, Ordering::SeqCst);
                assert_eq!(lock(&inbox.0).pop(), Some(7));
                break;
            }
            driver.sleep_unless(|| !lock(&inbox.0).is_empty());
        }
        other.join().unwrap();
    });
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
                driver.take(&waker);
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
                driver.take(&waker);
            }
            assert!(sender.is_closed());
        }
        assert_eq!(sender.send(1), Err(1));
        other.join().unwrap();
    });
}
