//! What an action may ask of the executor it runs on.

use std::error::Error;

use super::do_next::BoxedExecutionIterator;
use crate::synca::Entry;

/// The result of an action.
pub type GenericResult<T> = Result<T, Box<dyn Error + Send + Sync + 'static>>;

/// The executor, as an action sees it.
pub trait ExecutionEngine {
    /// Adds a task at the back of the queue.
    fn schedule(&self, task: BoxedExecutionIterator) -> GenericResult<Entry>;

    /// Adds a task before all scheduled ones, as a child of `parent`: it runs on the parent's executor and appears in
    /// traces below it.
    fn lift(&self, task: BoxedExecutionIterator, parent: Option<Entry>) -> GenericResult<Entry>;

    /// Gives every worker a task of its own, made by `make` there; on a single executor, one.
    fn broadcast(&self, make: Box<dyn Fn() -> BoxedExecutionIterator + Send + Sync>) -> GenericResult<()>;
}

/// An engine for one [`apply`](super::ExecutionAction::apply).
pub type BoxedExecutionEngine = Box<dyn ExecutionEngine>;
