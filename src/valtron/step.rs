//! One step of one task, and where its outcome puts it.

use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Duration;

use super::do_next::{BoxedExecutionIterator, State};
use super::engine::BoxedExecutionEngine;
use super::executor::{Executor, SPENT_WAKERS_MAX};
use super::inbox::Engine;
use super::poller::Poller;
use super::queue::RunQueues;
use super::table::TaskSlot;
use super::time::Instant;
use super::timers::Timers;
use super::wait::Wait;
use crate::synca::sync::Arc;
use crate::synca::Entry;

/// A task that asks again without waiting for anything is run again after this long: it makes headway, the machine
/// does not glow.
const SPIN_PENALTY: Duration = Duration::from_millis(1);

/// So many waits in a row that were over before they began are luck (an edge between the look and the wait); more are
/// a spin.
const INSTANT_WAITS_MAX: u32 = 8;

impl Executor {
    /// One step of the next ready task. True: something may have become ready by it.
    pub(super) fn step(&mut self) -> bool {
        let next = match &mut self.picker {
            Some(pick) => self.queues.pop_by(pick),
            None => self.queues.pop(),
        };
        let Some(slot) = next.and_then(|entry| self.table.get_mut(entry)) else { return false };
        let Some(mut task) = slot.task.take() else { return false };
        slot.queued = false;
        slot.stats.polls += 1;
        self.stats.polls += 1;
        // The only place that clears the bit: a wake from here on is answered by another step.
        if slot.waker.take_notified() {
            slot.stats.wakes += 1;
            self.stats.wakes += 1;
        }
        let entry = slot.entry;
        let first = !std::mem::replace(&mut slot.started, true);
        let shared = &self.shared;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if first {
                task.started(&slot.waker);
            }
            task.next(entry, &mut || -> BoxedExecutionEngine { Box::new(Engine { shared: shared.clone() }) })
        }));
        let state = match outcome {
            Ok(state) => {
                self.label = task.label();
                state
            }
            Err(payload) => {
                self.stats.panics += 1;
                drop_guarded(payload);
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| task.panicked())) {
                    drop_guarded(payload);
                }
                State::Done
            }
        };
        self.settle(entry, task, state)
    }

    /// Puts the task where its step's outcome says.
    fn settle(&mut self, entry: Entry, task: BoxedExecutionIterator, state: State) -> bool {
        if state == State::Done {
            self.finish(entry, task);
            return true;
        }
        let Some(slot) = self.table.get_mut(entry) else { return false };
        slot.task = Some(task);
        match state {
            State::Done | State::Progressed => self.requeue(entry),
            State::Spawned | State::SpawnFailed => {
                self.requeue(entry);
                self.take_spawned();
            }
            State::Delayed(delay) => {
                let at = self.now.now().after(delay);
                self.count_pending(entry);
                self.park(entry, Wait::until(at), false);
                return false;
            }
            State::Pending(wait) => {
                self.count_pending(entry);
                self.park(entry, wait, true);
                return false;
            }
        }
        true
    }

    fn requeue(&mut self, entry: Entry) {
        if let Some(slot) = self.table.get_mut(entry) {
            slot.streak = 0;
            ready(slot, &mut self.queues);
        }
    }

    fn count_pending(&mut self, entry: Entry) {
        self.stats.pending_polls += 1;
        if let Some(slot) = self.table.get_mut(entry) {
            slot.stats.pending_polls += 1;
        }
    }

    /// The task waits. `judged`: a wait that is over already counts towards a spin.
    fn park(&mut self, entry: Entry, mut wait: Wait, judged: bool) {
        let now = self.now.now();
        let Some(slot) = self.table.get_mut(entry) else { return };
        if wait.is_empty() {
            assert!(!self.strict, "task {entry:?} waits for nothing: {wait:?}");
            self.stats.empty_waits += 1;
            wait.deadline = Some(now.after(SPIN_PENALTY));
        }
        slot.wait = Some(wait);
        let notified = slot.waker.is_notified();
        let io_ready = arm(slot, &self.shared.poller);
        let due = judged && wait.deadline.is_some_and(|at| at <= now);
        if notified || io_ready || due {
            slot.streak += u32::from(!notified);
            if slot.streak == 1 {
                // Only the first of a row: a task that keeps asking for what it does not take must fall foul of the
                // rule.
                slot.stats.events += u64::from(io_ready);
                slot.stats.deadlines += u64::from(due && !io_ready);
            }
            if slot.streak > INSTANT_WAITS_MAX {
                self.stats.empty_waits += 1;
                slot.streak = 0;
                set_deadline(slot, &mut self.timers, Some(now.after(SPIN_PENALTY)));
            } else {
                ready(slot, &mut self.queues);
            }
        } else {
            slot.streak = 0;
            set_deadline(slot, &mut self.timers, wait.deadline);
        }
        assert!(
            !self.assert_frugal || slot.stats.is_frugal(),
            "task {entry:?} polls more than anything happens: {:?}, now in {wait:?}",
            slot.stats
        );
    }

    fn finish(&mut self, entry: Entry, task: BoxedExecutionIterator) {
        if let Some(mut slot) = self.table.remove(entry) {
            set_deadline(&mut slot, &mut self.timers, None);
            if let Some(key) = slot.armed {
                self.shared.poller.disarm(key, entry);
            }
            if self.spent_wakers.len() < SPENT_WAKERS_MAX {
                self.spent_wakers.push_back(slot.waker);
            }
        }
        if !self.shared.try_release(entry) {
            self.over.push(entry);
        }
        drop_guarded(task);
    }
}

/// Puts a task at the back, once.
pub(super) fn ready(slot: &mut TaskSlot, queues: &mut RunQueues) {
    slot.wait = None;
    if !slot.queued {
        slot.queued = true;
        queues.push(slot.entry);
    }
}

/// Makes the task the waiter of the socket it waits for, and of no other. True: that socket is ready.
fn arm(slot: &mut TaskSlot, poller: &Arc<dyn Poller>) -> bool {
    let io = slot.wait.and_then(|wait| wait.io);
    if let Some(old) = slot.armed.filter(|old| io.is_none_or(|(key, _)| key != *old)) {
        poller.disarm(old, slot.entry);
        slot.armed = None;
    }
    let Some((key, interest)) = io else { return false };
    let is_ready = poller.arm(key, interest, slot.entry);
    // A ready socket has no waiter: there is nothing to take back.
    slot.armed = (!is_ready).then_some(key);
    is_ready
}

/// Moves the task's one deadline; the usual one, the same as before, costs a comparison.
fn set_deadline(slot: &mut TaskSlot, timers: &mut Timers, deadline: Option<Instant>) {
    if slot.deadline == deadline {
        return;
    }
    if slot.deadline.is_some() {
        timers.remove();
    }
    if let Some(new) = deadline {
        timers.insert(new, slot.entry);
    }
    slot.deadline = deadline;
}

/// Drops what may panic while it is dropped. A panic's own payload that panics again is leaked: there is nobody left
/// to tell.
pub(super) fn drop_guarded<T>(value: T) {
    let dropped: Result<(), Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(|| drop(value)));
    if let Err(payload) = dropped {
        std::mem::forget(payload);
    }
}
