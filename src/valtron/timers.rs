//! Deadlines of parked tasks, earliest first; one live deadline per task.

use std::collections::BTreeSet;

use super::time::Instant;
use crate::synca::Entry;

/// An ordered set, so that a deadline leaves by its key and nothing stale is left to be skipped later. An emptied set
/// keeps its root, so the usual single deadline moves without allocating.
#[derive(Debug, Default)]
pub(super) struct Timers {
    set: BTreeSet<(Instant, Entry)>,
}

impl Timers {
    pub(super) fn insert(&mut self, at: Instant, entry: Entry) {
        let fresh = self.set.insert((at, entry));
        debug_assert!(fresh, "the task table holds at most one deadline per task");
    }

    pub(super) fn remove(&mut self, at: Instant, entry: Entry) {
        self.set.remove(&(at, entry));
    }

    /// Takes the earliest task whose deadline is not after `now`.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Entry> {
        let &(at, entry) = self.set.first()?;
        if at > now {
            return None;
        }
        self.set.pop_first();
        Some(entry)
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.set.first().map(|&(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: due tasks come in order of their deadlines, later ones stay. Method: three deadlines, one removed by
    /// key.
    #[test]
    fn due_in_order() {
        let mut timers = Timers::default();
        let (a, b, c) = (Entry::new(0, 1), Entry::new(1, 1), Entry::new(2, 1));
        timers.insert(Instant::from_nanos(30), a);
        timers.insert(Instant::from_nanos(10), b);
        timers.insert(Instant::from_nanos(20), c);
        timers.remove(Instant::from_nanos(20), c);
        assert_eq!(timers.next(), Some(Instant::from_nanos(10)));
        assert_eq!(timers.pop_due(Instant::from_nanos(10)), Some(b));
        assert_eq!(timers.pop_due(Instant::from_nanos(29)), None);
        assert_eq!(timers.pop_due(Instant::from_nanos(30)), Some(a));
        assert_eq!(timers.next(), None);
    }
}
