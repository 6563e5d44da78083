//! What the look-ups of a client share: who waits for which name, and what names were found lately. So a name costs one
//! look-up, however many connections want it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::LookupResult;
use crate::synca::oneshot;
use crate::valtron::time::Instant;

/// How long found addresses are used again. Resolvers do not tell how long an answer holds; libcurl chose the same.
pub const NAME_KEPT: Duration = Duration::from_secs(60);

/// Names remembered by one client: more than a program talks to within a minute, and a bound.
pub const NAMES_KEPT_MAX: usize = 256;

/// Look-ups that may wait for a thread; more answer [`LookupError::Busy`](super::LookupError::Busy).
pub const RESOLVER_QUEUE_MAX: usize = 1024;

/// Someone who waits for a name.
pub(super) struct Waiter {
    port: u16,
    answer: oneshot::Sender<LookupResult>,
}

impl Waiter {
    pub(super) fn new(port: u16, answer: oneshot::Sender<LookupResult>) -> Self {
        Self { port, answer }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Whoever gave up meanwhile does not want it.
    pub(super) fn tell(self, result: &LookupResult) {
        let _ = self.answer.send(match result {
            Ok(addresses) => Ok(with_port(addresses, self.port)),
            Err(error) => Err(error.clone()),
        });
    }
}

fn with_port(addresses: &[SocketAddr], port: u16) -> Vec<SocketAddr> {
    let mut addresses = addresses.to_vec();
    addresses.iter_mut().for_each(|address| address.set_port(port));
    addresses
}

/// Addresses found lately.
#[derive(Default)]
pub(super) struct Known(HashMap<String, (Instant, Vec<SocketAddr>)>);

impl Known {
    pub(super) fn find(&self, host: &str, port: u16, now: Instant) -> Option<Vec<SocketAddr>> {
        let (found, addresses) = self.0.get(host)?;
        (now.since(*found) < NAME_KEPT).then(|| with_port(addresses, port))
    }

    pub(super) fn keep(&mut self, host: &str, addresses: &[SocketAddr], now: Instant) {
        if self.0.len() >= NAMES_KEPT_MAX && !self.0.contains_key(host) {
            self.0.retain(|_, (found, _)| now.since(*found) < NAME_KEPT);
            if self.0.len() >= NAMES_KEPT_MAX {
                let oldest = self.0.iter().min_by_key(|(_, (found, _))| *found).map(|(name, _)| name.clone());
                oldest.and_then(|name| self.0.remove(&name));
            }
        }
        self.0.insert(host.to_owned(), (now, addresses.to_vec()));
    }

    pub(super) fn forget(&mut self, host: &str) {
        self.0.remove(host);
    }
}

/// Names that are wanted: first come, first looked up, each once.
#[derive(Default)]
pub(super) struct Wanted {
    queue: VecDeque<String>,
    /// Of those in the queue and of those that a thread looks up.
    waiters: HashMap<String, Vec<Waiter>>,
}

/// What became of a wish.
pub(super) enum Wish {
    /// The name is looked up already, or is in the queue already.
    Joined,
    /// It is in the queue now.
    Queued,
    /// The queue is full.
    Full(Waiter),
}

impl Wanted {
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Now and then, those who gave up go to `dropped`: a look-up may be stuck for long.
    pub(super) fn add(&mut self, host: &str, waiter: Waiter, dropped: &mut Vec<Waiter>) -> Wish {
        if let Some(waiters) = self.waiters.get_mut(host) {
            if waiters.len() == waiters.capacity() {
                let all = std::mem::take(waiters).into_iter();
                let (gone, waiting) = all.partition(|waiter| waiter.answer.is_closed());
                *waiters = waiting;
                dropped.extend::<Vec<_>>(gone);
                // Not again before as many have come.
                waiters.reserve(waiters.len());
            }
            waiters.push(waiter);
            return Wish::Joined;
        }
        if self.queue.len() >= RESOLVER_QUEUE_MAX {
            return Wish::Full(waiter);
        }
        self.queue.push_back(host.to_owned());
        self.waiters.insert(host.to_owned(), vec![waiter]);
        Wish::Queued
    }

    /// The next name that somebody still waits for, its port to ask with, and how many were passed over.
    pub(super) fn next(&mut self, dropped: &mut Vec<Waiter>) -> (Option<(String, u16)>, u64) {
        let mut abandoned = 0;
        while let Some(host) = self.queue.pop_front() {
            let waiting = self.waiters.get(&host).and_then(|all| all.iter().find(|one| !one.answer.is_closed()));
            if let Some(port) = waiting.map(|waiter| waiter.port) {
                return (Some((host, port)), abandoned);
            }
            abandoned += 1;
            dropped.extend(self.take(&host));
        }
        (None, abandoned)
    }

    /// Who waits for a name that was looked up.
    pub(super) fn take(&mut self, host: &str) -> Vec<Waiter> {
        self.waiters.remove(host).unwrap_or_default()
    }

    /// Forgets the queued names that nobody waits for any more. Returns how many those were.
    pub(super) fn drop_abandoned(&mut self, dropped: &mut Vec<Waiter>) -> u64 {
        let before = self.queue.len();
        let waiters = &mut self.waiters;
        self.queue.retain(|host| {
            let wanted = waiters.get(host).is_some_and(|all| all.iter().any(|one| !one.answer.is_closed()));
            if !wanted {
                dropped.extend(waiters.remove(host).unwrap_or_default());
            }
            wanted
        });
        (before - self.queue.len()) as u64
    }

    /// Empties the queue; who waits for it comes back.
    pub(super) fn drop_queued(&mut self) -> Vec<Waiter> {
        let queue = std::mem::take(&mut self.queue);
        queue.iter().flat_map(|host| self.take(host)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::default().after(Duration::from_secs(seconds))
    }

    /// Goal: an answer serves its time, for any port, and the memory of names is bounded: the oldest goes. Method: a
    /// clock by hand.
    #[test]
    fn names_are_known_for_a_while() {
        let address: SocketAddr = "192.0.2.1:80".parse().expect("an address");
        let mut known = Known::default();
        known.keep("a", &[address], at(0));
        assert_eq!(known.find("a", 443, at(59)), Some(vec!["192.0.2.1:443".parse().expect("an address")]));
        assert_eq!((known.find("a", 80, at(60)), known.find("b", 80, at(0))), (None, None));
        for n in 1..=NAMES_KEPT_MAX {
            known.keep(&n.to_string(), &[address], at(1));
        }
        assert_eq!((known.0.len(), known.find("a", 80, at(2))), (NAMES_KEPT_MAX, None));
        known.keep("late", &[address], at(61));
        assert_eq!(known.0.len(), 1, "the old ones went first");
        known.forget("late");
        assert_eq!(known.find("late", 80, at(61)), None);
    }

    /// Goal: who gives up a name that a look-up is stuck at costs no memory. Method: many, beside some that wait on.
    #[test]
    fn who_gives_up_is_forgotten() {
        let (mut wanted, mut dropped) = (Wanted::default(), Vec::new());
        let mut add = |_| {
            let (answer, receiver) = oneshot::channel();
            assert!(matches!(wanted.add("a", Waiter::new(80, answer), &mut dropped), Wish::Queued | Wish::Joined));
            receiver
        };
        let waiting: Vec<_> = (0..100).map(&mut add).collect();
        (0..10_000).map(add).for_each(drop);
        let all = wanted.take("a");
        assert!(all.len() <= 300 && all.len() + dropped.len() == 10_100, "{} of {}", all.len(), dropped.len());
        assert!(dropped.iter().all(|waiter| waiter.answer.is_closed()));
        drop(all);
        assert!(waiting.iter().all(|receiver| receiver.try_recv() == oneshot::Received::Closed));
    }
}
