//! The executor of iterators. Knows nothing of HTTP.

// Loom models `synca` alone: its `Arc` cannot hold the trait objects used here.
#![cfg(not(loom))]

pub mod clock;
mod do_next;
mod engine;
mod executor;
mod inbox;
#[cfg(all(feature = "multi", not(target_arch = "wasm32")))]
pub mod multi;
pub mod poller;
mod queue;
pub mod sim;
pub mod single;
mod step;
mod table;
mod task;
#[cfg(test)]
mod test_tasks;
#[cfg(test)]
mod tests;
pub mod time;
mod timers;
mod wait;

pub use do_next::{BoxedExecutionIterator, DoNext, ExecutionIterator, ResultSink, State};
pub use engine::{BoxedExecutionEngine, ExecutionEngine, GenericResult};
pub use executor::{Executor, ExecutorStats, Turn};
pub use inbox::ExecutorHandle;
pub use table::EntryStats;
pub use task::{ExecutionAction, NoAction, TaskIterator, TaskStatus};
pub use wait::{Interest, SocketKey, Wait};
