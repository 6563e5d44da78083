//! Deadlines of parked tasks, earliest first; one live deadline per task.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::time::Instant;
use crate::synca::Entry;

/// A heap that forgets late: most deadlines never come, since what they guard against does not happen, and a deadline
/// that is taken back stays in its place until it is at the top or most are of its kind. Setting one that is later than
/// all others, the usual case, is one comparison.
///
/// Whether an entry still holds is not known here: the caller says, by what the task's slot has as its deadline.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Entry)>>,
    /// Entries that hold.
    live: usize,
}

impl Timers {
    pub(super) fn insert(&mut self, at: Instant, entry: Entry) {
        self.heap.push(Reverse((at, entry)));
        self.live += 1;
    }

    /// One entry does not hold any more.
    pub(super) fn remove(&mut self) {
        self.live = self.live.saturating_sub(1);
    }

    /// Takes the earliest task whose deadline is not after `now`.
    pub(super) fn pop_due(&mut self, now: Instant, holds: impl Fn(Instant, Entry) -> bool) -> Option<Entry> {
        let at = self.next(holds)?;
        if at > now {
            return None;
        }
        self.live = self.live.saturating_sub(1);
        self.heap.pop().map(|Reverse((_, entry))| entry)
    }

    /// The earliest deadline.
    pub(super) fn next(&mut self, holds: impl Fn(Instant, Entry) -> bool) -> Option<Instant> {
        if self.heap.len() > STALE_MIN + 2 * self.live {
            self.heap.retain(|Reverse((at, entry))| holds(*at, *entry));
        }
        while let Some(Reverse((at, entry))) = self.heap.peek() {
            if holds(*at, *entry) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}

/// So many entries that do not hold are carried along; beyond them no more than hold.
const STALE_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: due tasks come in order of their deadlines, later ones stay. Method: three deadlines, one taken back.
    #[test]
    fn due_in_order() {
        let mut timers = Timers::default();
        let (a, b, c) = (Entry::new(0, 1), Entry::new(1, 1), Entry::new(2, 1));
        timers.insert(Instant::from_nanos(30), a);
        timers.insert(Instant::from_nanos(10), b);
        timers.insert(Instant::from_nanos(20), c);
        timers.remove();
        let holds = |_, entry| entry != c;
        assert_eq!(timers.next(holds), Some(Instant::from_nanos(10)));
        assert_eq!(timers.pop_due(Instant::from_nanos(10), holds), Some(b));
        assert_eq!(timers.pop_due(Instant::from_nanos(29), holds), None);
        assert_eq!(timers.pop_due(Instant::from_nanos(30), holds), Some(a));
        assert_eq!(timers.next(holds), None);
    }

    /// Goal: what was taken back is forgotten before it is the most. Method: ten thousand deadlines that never come,
    /// three at a time.
    #[test]
    fn stale_entries_are_bounded() {
        let mut timers = Timers::default();
        for index in 0..10_000 {
            timers.insert(Instant::from_nanos(u64::from(index)), Entry::new(index, 1));
            if index >= 3 {
                timers.remove();
            }
            let holds = |_, entry: Entry| entry.index() + 3 > index;
            assert!(timers.next(holds).is_some());
            assert!(timers.len() <= STALE_MIN + 2 * 4, "{}", timers.len());
        }
    }
}
