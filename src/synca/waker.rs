//! [`TaskWaker`]: the one thing of the executor that any thread may call.

use super::sync::atomic::{AtomicBool, Ordering};
use super::sync::Arc;
use super::{Entry, ShardedQueue};

/// Where wakes of one executor gather until its next turn takes them.
pub struct WakeQueue {
    woken: ShardedQueue<Entry>,
    /// The driving thread sleeps in the poller, or is about to: whoever adds work must interrupt it. Changed by swaps
    /// alone, one chain of changes: of a push before its swap and a sleeper's look after its own, either the look sees
    /// the push, or the pusher's swap sees the sleeper.
    sleeping: AtomicBool,
    interrupt: Box<dyn Fn() + Send + Sync>,
}

impl WakeQueue {
    /// `interrupt` ends a wait of the poller; it is called only while the driver sleeps.
    pub fn new(interrupt: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        Arc::new(Self { woken: ShardedQueue::default(), sleeping: AtomicBool::new(false), interrupt })
    }

    /// Moves the gathered wakes to `into`, keeping both allocations. One that comes at this very moment may stay.
    pub fn drain(&self, into: &mut Vec<Entry>) {
        self.woken.drain(into);
    }

    /// The same, for who may wait: none stays that kept the driver from its sleep.
    pub fn drain_all(&self, into: &mut Vec<Entry>) {
        self.woken.drain_all(into);
    }

    /// No wake waits to be taken.
    pub fn is_empty(&self) -> bool {
        self.woken.is_empty()
    }

    /// The driver says that it goes to sleep. False: a wake came first, so it must not.
    pub fn prepare_sleep(&self) -> bool {
        self.sleeping.swap(true, Ordering::SeqCst);
        let quiet = self.woken.is_empty();
        if !quiet {
            self.sleeping.swap(false, Ordering::SeqCst);
        }
        quiet
    }

    /// The driver is awake again.
    pub fn end_sleep(&self) {
        self.sleeping.swap(false, Ordering::SeqCst);
    }

    /// The driver sleeps, or is about to.
    #[cfg(test)]
    pub fn is_asleep(&self) -> bool {
        self.sleeping.load(Ordering::SeqCst)
    }

    /// Interrupts the driver if it sleeps; for work that comes another way than a wake.
    pub fn interrupt_if_sleeping(&self) {
        if self.sleeping.swap(false, Ordering::SeqCst) {
            (self.interrupt)();
        }
    }

    fn push(&self, entry: Entry) {
        self.woken.push(entry);
        self.interrupt_if_sleeping();
    }
}

/// Wakes one task. Cheap to clone; harmless after the task has ended.
///
/// Wakes coalesce: until the task runs again, all but the first are one swap of a flag. The executor clears the flag
/// at one place, just before it runs the task: a wake before that is answered by this run, a wake after it sets the
/// flag again and queues the task again. So a set flag means that the task is queued, or its key is in the wake
/// queue, or on its way there; a key taken from the queue whose flag is clear is stale.
#[derive(Clone)]
pub struct TaskWaker {
    shared: Arc<WakerShared>,
}

struct WakerShared {
    entry: Entry,
    notified: AtomicBool,
    queue: Arc<WakeQueue>,
}

impl TaskWaker {
    /// A waker for the task under `entry` of the executor that owns `queue`.
    pub fn new(entry: Entry, queue: Arc<WakeQueue>) -> Self {
        Self { shared: Arc::new(WakerShared { entry, notified: AtomicBool::new(false), queue }) }
    }

    /// Makes this a new waker for another task of the same executor, in the same memory. False: others have it, too,
    /// and it stays what it was.
    pub fn renew(&mut self, entry: Entry) -> bool {
        let Some(shared) = Arc::get_mut(&mut self.shared) else { return false };
        shared.entry = entry;
        shared.notified = AtomicBool::new(false);
        true
    }

    /// Makes the task ready. Any thread, and none waits for another here.
    pub fn wake(&self) {
        if !self.shared.notified.swap(true, Ordering::SeqCst) {
            self.shared.queue.push(self.shared.entry);
        }
    }

    /// The task this wakes.
    pub fn entry(&self) -> Entry {
        self.shared.entry
    }

    /// A wake came that no run has answered yet.
    pub fn is_notified(&self) -> bool {
        self.shared.notified.load(Ordering::SeqCst)
    }

    /// The executor takes the notified bit before it runs the task. True: a wake had come.
    pub fn take_notified(&self) -> bool {
        self.shared.notified.swap(false, Ordering::SeqCst)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Goal: a waker that nobody else has serves another task, as one that was made for it; one that somebody has does
    /// not. Method: wake the first task, renew with and without a second holder, wake the second task.
    #[test]
    fn a_spent_waker_is_renewed() {
        let queue = WakeQueue::new(Box::new(|| {}));
        let (first, second) = (Entry::new(0, 1), Entry::new(0, 2));
        let mut waker = TaskWaker::new(first, queue.clone());
        let other = waker.clone();
        other.wake();
        assert!(!waker.renew(second) && waker.entry() == first && waker.is_notified());
        drop(other);
        assert!(waker.renew(second) && waker.entry() == second && !waker.is_notified());
        waker.wake();
        let mut woken = Vec::new();
        queue.drain(&mut woken);
        assert_eq!(woken, [first, second]);
    }
}
