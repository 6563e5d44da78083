//! One value from one task (or thread) to another, with the wakes that go with it.

use super::sync::{lock, Arc, Mutex};
use super::TaskWaker;

struct Shared<T> {
    value: Option<T>,
    sender_gone: bool,
    receiver_gone: bool,
    receiver_waker: Option<TaskWaker>,
    sender_waker: Option<TaskWaker>,
}

/// Gives the value. Dropped without sending, it wakes the receiver, which then sees [`Received::Closed`].
pub struct Sender<T>(Arc<Mutex<Shared<T>>>);

/// Takes the value. Dropped, it wakes the sender's task, which learns from [`Sender::is_closed`] that nobody waits
/// any more.
pub struct Receiver<T>(Arc<Mutex<Shared<T>>>);

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
    let shared = Arc::new(Mutex::new(Shared {
        value: None,
        sender_gone: false,
        receiver_gone: false,
        receiver_waker: None,
        sender_waker: None,
    }));
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Sender<T> {
    /// Hands the value over and wakes the receiver; gives it back if nobody waits for it.
    pub fn send(self, value: T) -> Result<(), T> {
        let mut shared = lock(&self.0);
        if shared.receiver_gone {
            return Err(value);
        }
        shared.value = Some(value);
        // The drop of `self` wakes the receiver.
        Ok(())
    }

    /// The receiver is gone.
    pub fn is_closed(&self) -> bool {
        lock(&self.0).receiver_gone
    }

    /// Who is woken when the receiver goes away; at once if it has gone already.
    pub fn set_waker(&self, waker: TaskWaker) {
        let late = {
            let mut shared = lock(&self.0);
            if shared.receiver_gone {
                true
            } else {
                shared.sender_waker = Some(waker.clone());
                false
            }
        };
        if late {
            waker.wake();
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut shared = lock(&self.0);
            shared.sender_gone = true;
            shared.sender_waker = None;
            shared.receiver_waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Receiver<T> {
    /// Looks, without waiting.
    pub fn try_recv(&self) -> Received<T> {
        let mut shared = lock(&self.0);
        match shared.value.take() {
            Some(value) => Received::Value(value),
            None if shared.sender_gone => Received::Closed,
            None => Received::Empty,
        }
    }

    /// Who is woken when the value comes or the sender goes away; at once if that has happened already.
    pub fn set_waker(&self, waker: TaskWaker) {
        let late = {
            let mut shared = lock(&self.0);
            if shared.sender_gone {
                true
            } else {
                shared.receiver_waker = Some(waker.clone());
                false
            }
        };
        if late {
            waker.wake();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let (waker, value) = {
            let mut shared = lock(&self.0);
            shared.receiver_gone = true;
            shared.receiver_waker = None;
            (shared.sender_waker.take(), shared.value.take())
        };
        drop(value);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
