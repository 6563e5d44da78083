//! The executor of iterators. Knows nothing of HTTP.

mod do_next;
mod engine;
pub mod poller;
mod task;
pub mod time;
mod wait;

pub use do_next::{BoxedExecutionIterator, DoNext, ExecutionIterator, State};
pub use engine::{BoxedExecutionEngine, ExecutionEngine, GenericResult};
pub use task::{ExecutionAction, NoAction, TaskIterator, TaskStatus};
pub use wait::{Interest, SocketKey, Wait};
