//! Where a request's task runs: the one place that knows which executor this build has.

use super::task::HttpRequestTask;
use crate::net::Net;
use crate::valtron::{BoxedExecutionIterator, DoNext, ExecutorHandle};

/// Gives a request's task to an executor. On wasm32 and in a single build that is the one the host drives; with the feature `multi` it
/// may be a worker's. The handle says which; a task never leaves it.
pub fn execute_task<N: Net>(executor: &ExecutorHandle, task: HttpRequestTask<N>) {
    #[cfg(any(target_arch = "wasm32", not(feature = "multi")))]
    single_spawn(executor, DoNext::boxed(task, |()| {}));
    #[cfg(all(feature = "multi", not(target_arch = "wasm32")))]
    multi_spawn(executor, DoNext::boxed(task, |()| {}));
}

#[cfg(any(target_arch = "wasm32", not(feature = "multi")))]
fn single_spawn(executor: &ExecutorHandle, task: BoxedExecutionIterator) {
    executor.spawn(task);
}

/// The worker sleeps on its own: spawning wakes it.
#[cfg(all(feature = "multi", not(target_arch = "wasm32")))]
fn multi_spawn(executor: &ExecutorHandle, task: BoxedExecutionIterator) {
    executor.spawn(task);
}
