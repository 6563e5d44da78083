//! Ready tasks in the order they will run.

use std::collections::VecDeque;

use crate::synca::Entry;

/// Two queues. A lifted task runs before all scheduled ones, once: after its first step it queues like any other, so
/// a child that always has more to do cannot starve the rest.
#[derive(Debug, Default)]
pub(super) struct RunQueues {
    lifted: VecDeque<Entry>,
    normal: VecDeque<Entry>,
}

impl RunQueues {
    pub(super) fn push_lifted(&mut self, entry: Entry) {
        self.lifted.push_back(entry);
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.normal.push_back(entry);
    }

    /// The task to run next.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.lifted.pop_front().or_else(|| self.normal.pop_front())
    }

    /// As `pop`, but `pick(n)` says which of the `n` candidates: how a simulator finds out what depends on the order.
    pub(super) fn pop_by(&mut self, pick: &mut dyn FnMut(usize) -> usize) -> Option<Entry> {
        let queue = if self.lifted.is_empty() { &mut self.normal } else { &mut self.lifted };
        if queue.is_empty() {
            return None;
        }
        let index = pick(queue.len()) % queue.len();
        queue.remove(index)
    }

    pub(super) fn len(&self) -> usize {
        self.lifted.len() + self.normal.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lifted.is_empty() && self.normal.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: lifted tasks come first and in the order of lifting. Method: mix both kinds, pop all.
    #[test]
    fn lifted_before_normal() {
        let mut queues = RunQueues::default();
        let entry = |index| Entry::new(index, 1);
        queues.push(entry(0));
        queues.push_lifted(entry(1));
        queues.push(entry(2));
        queues.push_lifted(entry(3));
        let order: Vec<u32> = std::iter::from_fn(|| queues.pop()).map(Entry::index).collect();
        assert_eq!(order, [1, 3, 0, 2]);
        assert!(queues.is_empty());
    }
}
