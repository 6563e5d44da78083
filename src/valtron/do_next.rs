//! [`DoNext`] makes any task one the executor can hold: it erases the task's types.

use std::time::Duration;

use super::engine::BoxedExecutionEngine;
use super::task::{ExecutionAction, TaskIterator, TaskStatus};
use super::wait::Wait;
use crate::synca::{Entry, TaskWaker};

/// What a step of an erased task came to.
#[derive(Debug, PartialEq)]
pub enum State {
    /// Did something; run it again after the others.
    Progressed,
    /// Waits.
    Pending(Wait),
    /// Waits this long from receipt.
    Delayed(Duration),
    /// Applied an action.
    Spawned,
    /// An action failed to apply; the task learns it as a dropped channel.
    SpawnFailed,
    /// Over; remove it.
    Done,
}

/// An erased task.
pub trait ExecutionIterator: Send {
    /// Called once before the first step.
    fn started(&mut self, waker: &TaskWaker);
    /// One step of the task under `entry`; `engine` makes an engine should the step spawn.
    fn next(&mut self, entry: Entry, engine: &mut dyn FnMut() -> BoxedExecutionEngine) -> State;
    /// What the last step was about: [`TaskIterator::label`].
    fn label(&self) -> u32 {
        0
    }
    /// The step panicked; the task will be dropped. Last chance to tell whoever waits.
    fn panicked(&mut self) {}
}

/// A boxed erased task.
pub type BoxedExecutionIterator = Box<dyn ExecutionIterator>;

/// Where the `Ready` values of a task go. Any closure over such a value is one, which always has room.
pub trait ResultSink<V>: Send {
    /// Called once before the task's first step: who is woken when there is room again.
    fn started(&mut self, _waker: &TaskWaker) {}

    /// It takes one more. False parks the task, and the sink owes it a wake.
    fn has_room(&mut self) -> bool {
        true
    }

    /// Takes a value.
    fn push(&mut self, value: V);
}

impl<V, F: FnMut(V) + Send> ResultSink<V> for F {
    fn push(&mut self, value: V) {
        self(value);
    }
}

/// Adapts a [`TaskIterator`]; each `Ready` value goes to `sink`. While that is full the task is not stepped.
pub struct DoNext<T, F> {
    task: T,
    sink: F,
}

impl<T, F> DoNext<T, F>
where
    T: TaskIterator + Send + 'static,
    T::Pending: Into<Wait>,
    F: ResultSink<T::Ready> + 'static,
{
    /// An erased `task` whose results go to `sink`.
    pub fn boxed(task: T, sink: F) -> BoxedExecutionIterator {
        Box::new(Self { task, sink })
    }
}

impl<T, F> ExecutionIterator for DoNext<T, F>
where
    T: TaskIterator + Send,
    T::Pending: Into<Wait>,
    F: ResultSink<T::Ready>,
{
    fn started(&mut self, waker: &TaskWaker) {
        self.sink.started(waker);
        self.task.started(waker);
    }

    fn label(&self) -> u32 {
        self.task.label()
    }

    fn next(&mut self, entry: Entry, engine: &mut dyn FnMut() -> BoxedExecutionEngine) -> State {
        if !self.sink.has_room() {
            return State::Pending(Wait::EXTERNAL);
        }
        match self.task.next() {
            None => State::Done,
            Some(TaskStatus::Init) => State::Progressed,
            Some(TaskStatus::Pending(pending)) => State::Pending(pending.into()),
            Some(TaskStatus::Delayed(delay)) => State::Delayed(delay),
            Some(TaskStatus::Spawn(mut action)) => match action.apply(entry, engine()) {
                Ok(()) => State::Spawned,
                Err(_) => State::SpawnFailed,
            },
            Some(TaskStatus::Ready(value)) => {
                self.sink.push(value);
                State::Progressed
            }
        }
    }
}
