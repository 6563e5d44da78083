//! Calls that wait while another thread drives.

use std::sync::atomic::{fence, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::synca::sync::lock;
use crate::valtron::poller::Poller;

/// Each sleeps at a poller of its own.
#[derive(Default)]
pub struct Passengers {
    count: AtomicUsize,
    pollers: Mutex<Vec<Arc<dyn Poller>>>,
}

impl Passengers {
    /// From now on `poller` is notified of everything, until [`leave`](Self::leave).
    pub fn board(&self, poller: Arc<dyn Poller>) {
        lock(&self.pollers).push(poller);
        self.count.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// The end of [`board`](Self::board).
    pub fn leave(&self, poller: &Arc<dyn Poller>) {
        let mut pollers = lock(&self.pollers);
        if let Some(index) = pollers.iter().position(|other| Arc::ptr_eq(other, poller)) {
            pollers.swap_remove(index);
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Something happened to a request, or a driver let go.
    pub fn wake(&self) {
        // A passenger boards and then tries to drive; a driver lets go and then looks here: one sees the other.
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) > 0 {
            lock(&self.pollers).iter().for_each(|poller| poller.notify());
        }
    }
}
