//! A task is an iterator: the executor calls [`TaskIterator::next`] until it answers `None`.

use std::time::Duration;

use super::engine::{BoxedExecutionEngine, GenericResult};
use crate::synca::{Entry, TaskWaker};

/// What one step of a task came to.
#[derive(Debug, PartialEq, Eq)]
pub enum TaskStatus<Ready, Pending, Spawner: ExecutionAction> {
    /// Just begun; run again soon.
    Init,
    /// Waits; `Pending` turns into the [`Wait`](super::Wait) that says for what.
    Pending(Pending),
    /// Runs again after this long; the executor turns it into an absolute deadline on receipt.
    Delayed(Duration),
    /// Needs other work: the executor applies the action at once, then runs the task again.
    Spawn(Spawner),
    /// A result. The task may go on and give more; `None` ends it.
    Ready(Ready),
}

/// A unit of work that never blocks and gives way after each step.
pub trait TaskIterator {
    /// What it makes.
    type Ready;
    /// What it says while it waits; convertible into a [`Wait`](super::Wait).
    type Pending;
    /// What it spawns; [`NoAction`] if nothing.
    type Spawner: ExecutionAction;

    /// Called once, before the first `next`, with what the task needs to be woken.
    fn started(&mut self, _waker: &TaskWaker) {}

    /// What the last step was about, as a number of the caller's choosing: the executor keeps that of the longest step.
    /// Also called after `None`.
    fn label(&self) -> u32 {
        0
    }

    /// One step. After `None` it is never called again.
    fn next(&mut self) -> Option<TaskStatus<Self::Ready, Self::Pending, Self::Spawner>>;
}

/// Work that a task asks for: lifts or schedules other tasks.
pub trait ExecutionAction: Send {
    /// Does it, on behalf of the task under `parent`. Idempotent: a second call does nothing.
    fn apply(&mut self, parent: Entry, engine: BoxedExecutionEngine) -> GenericResult<()>;
}

/// The action of tasks that spawn nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoAction;

impl ExecutionAction for NoAction {
    fn apply(&mut self, _parent: Entry, _engine: BoxedExecutionEngine) -> GenericResult<()> {
        Ok(())
    }
}
