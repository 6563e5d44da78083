//! Ready tasks in the order they will run.

use std::collections::VecDeque;

use crate::synca::Entry;

/// Steps of lifted tasks in a row while others wait; then one of those comes. Enough for the children that a step lifts
/// at once, few enough that a chain of children, each of which lifts the next, only slows the rest down.
pub(super) const LIFTED_IN_A_ROW_MAX: u32 = 16;

/// Three queues. A lifted task runs before the scheduled ones, once: after its first step it queues like any other, so
/// a child that always has more to do cannot starve the rest; nor can a chain of children, by the bound above. A new
/// task takes turns with those that were ready before it, also once: it does not wait behind all of them, while what
/// was written to make it leaves the processor's caches, and a host that makes ever more tasks leaves the others every
/// other step.
#[derive(Debug, Default)]
pub(super) struct RunQueues {
    lifted: VecDeque<Entry>,
    new: VecDeque<Entry>,
    normal: VecDeque<Entry>,
    /// So many normal ones were there before the last new one.
    before_new: usize,
    /// The last step of the two kinds was a new task's.
    was_new: bool,
    /// Lifted tasks taken in a row while normal ones waited.
    lifted_in_a_row: u32,
}

impl RunQueues {
    pub(super) fn push_lifted(&mut self, entry: Entry) {
        self.lifted.push_back(entry);
    }

    pub(super) fn push_new(&mut self, entry: Entry) {
        self.new.push_back(entry);
        self.before_new = self.normal.len();
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.normal.push_back(entry);
    }

    /// The task to run next.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.next_queue().pop_front()
    }

    /// As `pop`, but `pick(n)` says which of the `n` candidates: how a simulator finds out what depends on the order.
    pub(super) fn pop_by(&mut self, pick: &mut dyn FnMut(usize) -> usize) -> Option<Entry> {
        let queue = self.next_queue();
        if queue.is_empty() {
            return None;
        }
        let index = pick(queue.len()) % queue.len();
        queue.remove(index)
    }

    /// Which queue's turn it is; empty only if both are. Counts, so each call must be followed by taking one.
    fn next_queue(&mut self) -> &mut VecDeque<Entry> {
        let others_wait = !self.normal.is_empty() || !self.new.is_empty();
        if self.lifted.is_empty() || (others_wait && self.lifted_in_a_row >= LIFTED_IN_A_ROW_MAX) {
            self.lifted_in_a_row = 0;
            self.was_new = !self.new.is_empty() && (self.before_new == 0 || !self.was_new);
            if self.was_new {
                return &mut self.new;
            }
            self.before_new = self.before_new.saturating_sub(1);
            return &mut self.normal;
        }
        self.lifted_in_a_row = if others_wait { self.lifted_in_a_row + 1 } else { 0 };
        &mut self.lifted
    }

    pub(super) fn len(&self) -> usize {
        self.lifted.len() + self.new.len() + self.normal.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lifted.is_empty() && self.new.is_empty() && self.normal.is_empty()
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

    /// Goal: new tasks and others take turns, each kind in its order; who is alone does not wait. Method: as above.
    #[test]
    fn new_and_normal_take_turns() {
        let mut queues = RunQueues::default();
        let entry = |index| Entry::new(index, 1);
        (0..2).for_each(|index| queues.push(entry(index)));
        (10..14).for_each(|index| queues.push_new(entry(index)));
        queues.push_lifted(entry(20));
        let order: Vec<u32> = std::iter::from_fn(|| queues.pop()).map(Entry::index).collect();
        assert_eq!(order, [20, 10, 0, 11, 1, 12, 13]);
        assert_eq!((queues.len(), queues.is_empty()), (0, true));
    }

    /// Goal: past the bound a normal task comes, by either way of picking, and the count begins anew.
    #[test]
    fn lifted_in_a_row() {
        for by_pick in [false, true] {
            let mut queues = RunQueues::default();
            let bound = LIFTED_IN_A_ROW_MAX as usize;
            (0..2).for_each(|index| queues.push(Entry::new(1000 + index, 1)));
            (0..2 * bound as u32 + 1).for_each(|index| queues.push_lifted(Entry::new(index, 1)));
            let next = || if by_pick { queues.pop_by(&mut |_| 0) } else { queues.pop() };
            let order: Vec<bool> = std::iter::from_fn(next).map(|entry| entry.index() < 1000).collect();
            let mut expected = vec![true; 2 * bound + 3];
            expected[bound] = false;
            expected[2 * bound + 1] = false;
            assert_eq!(order, expected);
        }
    }
}
