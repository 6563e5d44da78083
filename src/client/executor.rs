//! Where a request's task runs: the one place that knows which executor this build has.

use std::sync::Arc;

use super::context::Context;
use super::request::RequestShared;
use super::target::Origin;
use super::task::{HttpRequestTask, Plan};
use crate::net::Net;
use crate::valtron::{DoNext, ExecutorHandle};

/// An executor with what its tasks share: one poller, its timers, its shard of the pool.
pub struct Lane<N: Net> {
    /// The executor.
    pub executor: ExecutorHandle,
    /// What its tasks share.
    pub context: Arc<Context<N>>,
}

/// Starts a request on one of the client's lanes. The task and all its children stay there.
pub fn execute_task<N: Net>(lanes: &[Lane<N>], shared: Arc<RequestShared>, plan: Plan) {
    let Some(lane) = lanes.get(pick(lanes.len(), plan.target.origin())) else { return };
    let task = HttpRequestTask::new(lane.context.clone(), shared, plan);
    lane.executor.spawn(DoNext::boxed(task, |()| {}));
}

/// The single executor has one lane, which the host drives; so has wasm32, whatever the features.
#[cfg(any(target_arch = "wasm32", not(feature = "multi")))]
fn pick(_lanes: usize, _origin: &Origin) -> usize {
    0
}

/// One lane per worker. An origin always goes to the same, so that its connections are found again.
#[cfg(all(feature = "multi", not(target_arch = "wasm32")))]
fn pick(lanes: usize, origin: &Origin) -> usize {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(origin);
    (hash % lanes.max(1) as u64) as usize
}
