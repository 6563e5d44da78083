//! Calls that wait while another thread drives.

use std::sync::atomic::{fence, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::synca::sync::lock;
use crate::synca::{Bell, Chunks};
use crate::valtron::poller::Poller;

/// Each sleeps at a poller of its own, in a place of its own.
#[derive(Default)]
pub struct Passengers {
    count: AtomicUsize,
    /// Places that were ever taken.
    used: AtomicUsize,
    places: Chunks<Bell<Arc<dyn Poller>>>,
    /// Places that were left.
    free: Mutex<Vec<usize>>,
}

impl Passengers {
    /// From now on `poller` is notified of everything, until [`leave`](Self::leave) with the answer. `None`: more wait
    /// than there are places.
    pub fn board(&self, poller: Arc<dyn Poller>) -> Option<usize> {
        let free = lock(&self.free).pop();
        let place = free.unwrap_or_else(|| self.used.fetch_add(1, Ordering::SeqCst));
        self.places.make(place)?.hang(poller);
        self.count.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Some(place)
    }

    /// The end of [`board`](Self::board).
    pub fn leave(&self, place: usize) {
        let Some(seat) = self.places.get(place) else { return };
        if seat.take().is_some() {
            self.count.fetch_sub(1, Ordering::SeqCst);
            lock(&self.free).push(place);
        }
    }

    /// How many wait, or are about to.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Something happened to a request, or a driver let go. Waits for nobody.
    pub fn wake(&self) {
        // A passenger boards, and then tries to drive and looks for what it waits for; a driver lets go, or an event is
        // raised, and then here is looked: one sees the other. So whoever is just boarding may be passed over.
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        // All places: to stop after as many as there are passengers would pass over one for the sake of another who has
        // boarded meanwhile.
        for place in self.places.iter().take(self.used.load(Ordering::SeqCst)) {
            place.ring(|poller| poller.notify());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;
    use crate::synca::Entry;
    use crate::valtron::poller::{Readiness, Source, WatchList};
    use crate::valtron::{Interest, SocketKey};

    /// Counts what it is told.
    #[derive(Default)]
    struct Told(AtomicUsize);

    impl Poller for Told {
        fn register(&self, _source: Source) -> io::Result<(SocketKey, Arc<Readiness>)> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn deregister(&self, _key: SocketKey) {}

        fn arm(&self, _key: SocketKey, _interest: Interest, _waiter: Entry) -> bool {
            false
        }

        fn disarm(&self, _key: SocketKey, _waiter: Entry) {}

        fn watch(&self, _key: SocketKey, _list: &Arc<WatchList>) -> bool {
            false
        }

        fn wait(&self, _timeout: Option<Duration>, _woken: &mut Vec<Entry>) -> io::Result<usize> {
            Ok(0)
        }

        fn notify(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }

        fn handle(&self) -> Option<i64> {
            None
        }
    }

    /// Goal: who waits is told, who left is not, a place serves again, and one who is just boarding holds nobody up.
    /// Method: more passengers than a chunk has places; the lock of one place held.
    #[test]
    fn who_waits_is_told() {
        let passengers = Passengers::default();
        let told: Vec<_> = (0..70).map(|_| Arc::new(Told::default())).collect();
        let places: Vec<_> = told.iter().map(|one| passengers.board(one.clone()).expect("a place")).collect();
        passengers.leave(places[3]);
        passengers.leave(places[3]);
        let boarding = passengers.places.get(places[5]).expect("a place").hold();
        passengers.wake();
        drop(boarding);
        let seen = |at: usize| told[at].0.load(Ordering::SeqCst);
        assert_eq!((0..70).filter(|at| seen(*at) != 1).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(passengers.board(told[3].clone()), Some(places[3]));
        passengers.wake();
        // Who was busy is told of what came meanwhile, too.
        assert_eq!((seen(3), seen(5), seen(69)), (1, 2, 2));
        places.iter().for_each(|place| passengers.leave(*place));
        passengers.wake();
        assert_eq!((seen(3), seen(69)), (1, 2));
    }
}
