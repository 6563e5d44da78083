//! One value from one task (or thread) to another, with the wakes that go with it. Neither end ever waits for the
//! other: a poll holds one of them, a thread of the host may hold the other, and the system may stop that thread
//! anywhere.

use super::sync::atomic::{AtomicBool, Ordering};
use super::sync::{lock, try_lock, Arc, Mutex};
use super::TaskWaker;

struct Shared<T> {
    /// Locked by the sender before `sent`, by the receiver after it: they never meet there.
    value: Mutex<Option<T>>,
    sent: AtomicBool,
    sender: End,
    receiver: End,
}

/// One end, as the other one sees it.
struct End {
    /// Set, and looked at after a waker was put below, by swaps, one chain: either the look sees that it was set, or
    /// whoever sets it finds the waker.
    left: AtomicBool,
    /// Who is woken when it leaves. Two meet here only when it leaves while the other one puts its waker there; then
    /// either goes on without it, see there.
    waker: Mutex<Option<TaskWaker>>,
}

impl End {
    fn new() -> Self {
        Self { left: AtomicBool::new(false), waker: Mutex::new(None) }
    }

    fn has_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    fn wake_when_it_leaves(&self, waker: TaskWaker) {
        // Held, it has left, and says so before.
        if let Some(mut place) = try_lock(&self.waker) {
            *place = Some(waker.clone());
        }
        if self.left.fetch_or(false, Ordering::SeqCst) {
            waker.wake();
        }
    }

    fn leave(&self) {
        self.left.swap(true, Ordering::SeqCst);
        // Held, a waker is put there, and whoever does so looks after it whether we have left.
        if let Some(waker) = self.take_waker() {
            waker.wake();
        }
    }

    fn take_waker(&self) -> Option<TaskWaker> {
        try_lock(&self.waker)?.take()
    }
}

/// Gives the value. Dropped without sending, it wakes the receiver, which then sees [`Received::Closed`].
pub struct Sender<T>(Arc<Shared<T>>);

/// Takes the value. Dropped, it wakes the sender's task, which learns from [`Sender::is_closed`] that nobody waits
/// any more.
pub struct Receiver<T>(Arc<Shared<T>>);

/// What a look at the channel found.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<T> {
    /// Nothing yet.
    Empty,
    /// The value; seen once.
    Value(T),
    /// The sender went away without a value, or the value was taken before.
    Closed,
}

/// A channel for one value.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = (End::new(), End::new());
    let shared = Arc::new(Shared { value: Mutex::new(None), sent: AtomicBool::new(false), sender, receiver });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Sender<T> {
    /// Hands the value over and wakes the receiver; gives it back if nobody waits for it.
    pub fn send(self, value: T) -> Result<(), T> {
        if self.is_closed() {
            return Err(value);
        }
        *lock(&self.0.value) = Some(value);
        self.0.sent.store(true, Ordering::SeqCst);
        // The drop of `self` wakes the receiver.
        Ok(())
    }

    /// The receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.0.receiver.has_left()
    }

    /// Who is woken when the receiver goes away; at once if it has gone already.
    pub fn set_waker(&self, waker: TaskWaker) {
        self.0.receiver.wake_when_it_leaves(waker);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        drop(self.0.receiver.take_waker());
        self.0.sender.leave();
    }
}

impl<T> Receiver<T> {
    /// Looks, without waiting.
    pub fn try_recv(&self) -> Received<T> {
        // In this order: the sender sends before it leaves.
        let left = self.0.sender.has_left();
        if self.0.sent.load(Ordering::SeqCst) {
            return lock(&self.0.value).take().map_or(Received::Closed, Received::Value);
        }
        if left {
            Received::Closed
        } else {
            Received::Empty
        }
    }

    /// Who is woken when the value comes or the sender goes away; at once if that has happened already.
    pub fn set_waker(&self, waker: TaskWaker) {
        self.0.sender.wake_when_it_leaves(waker);
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        drop(self.0.sender.take_waker());
        // A value that comes at this very moment goes with the sender.
        drop(self.try_recv());
        self.0.receiver.leave();
    }
}
