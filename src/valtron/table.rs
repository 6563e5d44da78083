//! The tasks of one executor by key, each with what it waits for and its counts.

use super::do_next::BoxedExecutionIterator;
use super::inbox::{parted, PARTS};
use super::time::Instant;
use super::wait::{SocketKey, Wait};
use crate::synca::{Entry, TaskWaker};

/// What one task has cost so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryStats {
    /// Steps.
    pub polls: u64,
    /// Steps that ended in a wait.
    pub pending_polls: u64,
    /// Socket events that reached it.
    pub events: u64,
    /// Deadlines that reached it.
    pub deadlines: u64,
    /// Wakes that reached it; coalesced ones count once.
    pub wakes: u64,
}

impl EntryStats {
    /// The rule against spinning: each wait must have been ended by something, two aside (the first step, and one
    /// wait that was over before it began).
    pub fn is_frugal(&self) -> bool {
        self.pending_polls <= 2 + self.events + self.deadlines + self.wakes
    }
}

/// One task.
pub(super) struct TaskSlot {
    pub(super) entry: Entry,
    /// `None` while the task runs.
    pub(super) task: Option<BoxedExecutionIterator>,
    pub(super) waker: TaskWaker,
    pub(super) parent: Option<Entry>,
    pub(super) started: bool,
    /// It is in a run queue: whatever else comes needs no second place there.
    pub(super) queued: bool,
    /// What it is parked on; `None` while queued or running.
    pub(super) wait: Option<Wait>,
    /// The socket whose waiter it may still be. Left as it is when something else wakes the task: most tasks wait for
    /// the same socket again.
    pub(super) armed: Option<SocketKey>,
    /// Its deadline in the timers, left there for the same reason.
    pub(super) deadline: Option<Instant>,
    /// Waits in a row that were over before they began.
    pub(super) streak: u32,
    pub(super) stats: EntryStats,
}

impl TaskSlot {
    pub(super) fn new(entry: Entry, task: BoxedExecutionIterator, waker: TaskWaker, parent: Option<Entry>) -> Self {
        Self {
            entry,
            task: Some(task),
            waker,
            parent,
            started: false,
            queued: false,
            wait: None,
            armed: None,
            deadline: None,
            streak: 0,
            stats: EntryStats::default(),
        }
    }
}

/// The tasks by index. Keys are given out by the inbox, so that an engine can name a task before the executor has it.
#[derive(Default)]
pub(super) struct TaskTable {
    /// As the inbox parts the keys.
    parts: [Vec<Option<TaskSlot>>; PARTS],
}

impl TaskTable {
    pub(super) fn insert(&mut self, slot: TaskSlot) {
        let (part, local) = parted(slot.entry);
        let (slots, index) = (&mut self.parts[part], local.index() as usize);
        if index >= slots.len() {
            slots.resize_with(index + 1, || None);
        }
        debug_assert!(slots[index].is_none(), "the inbox gives out free keys");
        slots[index] = Some(slot);
    }

    /// The task has this deadline.
    pub(super) fn is_due_at(&self, entry: Entry, at: Instant) -> bool {
        self.get(entry).is_some_and(|slot| slot.deadline == Some(at))
    }

    pub(super) fn remove(&mut self, entry: Entry) -> Option<TaskSlot> {
        let (part, local) = parted(entry);
        let slot = self.parts[part].get_mut(local.index() as usize)?;
        slot.take_if(|slot| slot.entry == entry)
    }

    pub(super) fn get(&self, entry: Entry) -> Option<&TaskSlot> {
        let (part, local) = parted(entry);
        self.parts[part].get(local.index() as usize)?.as_ref().filter(|slot| slot.entry == entry)
    }

    pub(super) fn get_mut(&mut self, entry: Entry) -> Option<&mut TaskSlot> {
        let (part, local) = parted(entry);
        self.parts[part].get_mut(local.index() as usize)?.as_mut().filter(|slot| slot.entry == entry)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &TaskSlot> {
        self.parts.iter().flatten().flatten()
    }

    /// Takes any task; for the end.
    pub(super) fn pop(&mut self) -> Option<TaskSlot> {
        self.parts.iter_mut().find_map(|slots| loop {
            if let Some(slot) = slots.pop()? {
                return Some(slot);
            }
        })
    }
}
