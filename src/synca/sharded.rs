//! [`ShardedQueue`]: a queue that whoever comes from any thread uses without waiting for the others.

use std::collections::VecDeque;

use super::sync::atomic::{AtomicUsize, Ordering};
use super::sync::{lock, try_lock, Mutex, MutexGuard};

/// So many threads can be stopped by the scheduler in the middle of a push, and the next one still finds a place.
const SHARDS: usize = 4;

/// A queue in parts, each with a lock of its own. A push takes the first part that nobody holds, so it waits only while
/// all are held, each for one push or pop. Where nobody meets, all lies in one part, first in, first out; entries that
/// were pushed at the same time may change places.
pub struct ShardedQueue<T> {
    shards: [Shard<T>; SHARDS],
    /// Where the next pop begins: no part is passed over for ever.
    turn: AtomicUsize,
}

struct Shard<T> {
    entries: Mutex<VecDeque<T>>,
    /// How many those are; written under the lock.
    len: AtomicUsize,
}

impl<T> Default for ShardedQueue<T> {
    fn default() -> Self {
        let shard = || Shard { entries: Mutex::new(VecDeque::new()), len: AtomicUsize::new(0) };
        Self { shards: std::array::from_fn(|_| shard()), turn: AtomicUsize::new(0) }
    }
}

impl<T> ShardedQueue<T> {
    /// Adds an entry.
    pub fn push(&self, entry: T) {
        for shard in &self.shards {
            if let Some(mut entries) = try_lock(&shard.entries) {
                return shard.add(&mut entries, entry);
            }
        }
        let shard = &self.shards[0];
        shard.add(&mut lock(&shard.entries), entry);
    }

    /// Takes an old entry out. Waits for a push in progress rather than overlook what is there.
    pub fn pop(&self) -> Option<T> {
        let mut popped = None;
        self.pop_some(1, |entry| popped = Some(entry));
        popped
    }

    /// Takes up to `most` old entries out, many under one lock; how many. Waits as [`pop`](Self::pop) does.
    pub fn pop_some(&self, most: usize, mut sink: impl FnMut(T)) -> usize {
        let start = self.turn.fetch_add(1, Ordering::SeqCst);
        let mut held = [false; SHARDS];
        let mut popped = 0;
        for at in (0..SHARDS).map(|n| start.wrapping_add(n) % SHARDS) {
            let shard = &self.shards[at];
            if popped == most || shard.is_empty() {
                continue;
            }
            match try_lock(&shard.entries) {
                Some(mut entries) => popped += shard.take(&mut entries, most - popped, &mut sink),
                None => held[at] = true,
            }
        }
        let mut late = self.shards.iter().zip(held).filter(|(_, held)| *held).map(|(shard, _)| shard);
        while let (0, Some(shard)) = (popped, late.next()) {
            popped = shard.take(&mut lock(&shard.entries), most, &mut sink);
        }
        popped
    }

    /// Moves the entries to `into`, keeping the allocations. What another thread pushes at this very moment may stay.
    pub fn drain(&self, into: &mut Vec<T>) {
        self.drain_with(into, |shard| try_lock(&shard.entries));
    }

    /// The same, for who may wait: all that shows is taken.
    pub fn drain_all(&self, into: &mut Vec<T>) {
        self.drain_with(into, |shard| Some(lock(&shard.entries)));
    }

    fn drain_with<'a>(&'a self, into: &mut Vec<T>, held: impl Fn(&'a Shard<T>) -> Option<MutexGuard<'a, VecDeque<T>>>) {
        for shard in self.shards.iter().filter(|shard| !shard.is_empty()) {
            if let Some(mut entries) = held(shard) {
                into.extend(entries.drain(..));
                shard.len.store(0, Ordering::SeqCst);
            }
        }
    }

    /// What threads do that push at this moment, in each part but the last `free`, for as long as the result lives.
    #[cfg(all(test, not(loom)))]
    pub fn hold(&self, free: usize) -> impl Sized + '_ {
        self.shards.iter().rev().skip(free).map(|shard| lock(&shard.entries)).collect::<Vec<_>>()
    }

    /// There is no entry. Takes no lock.
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(Shard::is_empty)
    }
}

impl<T> Shard<T> {
    fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    fn add(&self, entries: &mut VecDeque<T>, entry: T) {
        entries.push_back(entry);
        self.len.store(entries.len(), Ordering::SeqCst);
    }

    fn take(&self, entries: &mut VecDeque<T>, most: usize, sink: impl FnMut(T)) -> usize {
        let some = entries.len().min(most);
        entries.drain(..some).for_each(sink);
        self.len.store(entries.len(), Ordering::SeqCst);
        some
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Goal: nothing is lost and nobody waits while parts of the queue are held. Method: hold them one by one; what is
    /// pushed meanwhile is popped all the same.
    #[test]
    fn held_parts_are_passed_over() {
        let queue = ShardedQueue::default();
        queue.push(0);
        let held: Vec<_> = (0..SHARDS - 1)
            .map(|part| {
                let guard = lock(&queue.shards[part].entries);
                queue.push(part + 1);
                guard
            })
            .collect();
        assert_eq!(queue.pop(), Some(SHARDS - 1), "the one part that nobody holds");
        let mut drained = Vec::new();
        queue.drain(&mut drained);
        assert!(drained.is_empty() && !queue.is_empty(), "what lies in held parts stays, and shows");
        drop(held);
        queue.drain(&mut drained);
        drained.sort_unstable();
        assert_eq!(drained, (0..SHARDS - 1).collect::<Vec<_>>());
        assert!(queue.is_empty() && queue.pop().is_none());
    }

    /// Goal: first in, first out for one thread.
    #[test]
    fn keeps_order_where_nobody_meets() {
        let queue = ShardedQueue::default();
        (0..100).for_each(|n| queue.push(n));
        assert!((0..50).all(|n| queue.pop() == Some(n)));
        let mut rest = Vec::new();
        assert_eq!([0, 30, 30, 30].map(|most| queue.pop_some(most, |n| rest.push(n))), [0, 30, 20, 0]);
        assert!(rest.into_iter().eq(50..100));
    }
}
