//! The executor of iterators. Knows nothing of HTTP.

pub mod clock;
mod do_next;
mod engine;
mod executor;
mod inbox;
#[cfg(all(test, loom))]
mod loom_tests;
// Loom has no waits with a limit; of `multi` the executors themselves are what it is to check.
#[cfg(not(loom))]
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
#[cfg(all(test, not(loom)))]
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

/// The names that all code in this crate may count on, in every build: wasm32 runs no tests, but checks this.
#[allow(unused_imports, reason = "that they resolve is the point")]
#[cfg(not(loom))]
const _: () = {
    use crate::synca::Entry;
    use crate::valtron::{
        multi, single, BoxedExecutionEngine, DoNext, ExecutionAction, GenericResult, NoAction, TaskIterator, TaskStatus,
    };
};
