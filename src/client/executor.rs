//! Where a request's task runs: the one place that knows which executor this build has.

use std::sync::atomic::{AtomicUsize, Ordering};
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
    let loads = lanes.iter().map(|lane| lane.context.load.load(Ordering::Relaxed));
    let Some(lane) = lanes.get(pick(loads, plan.target.origin())) else { return };
    // Where there is one lane, nobody asks what it carries.
    let carried = (lanes.len() > 1).then(|| Carried::new(&lane.context.load));
    let task = HttpRequestTask::new(lane.context.clone(), shared, plan);
    let keep = move |()| {
        // Owned here: it goes when the task goes, however that ends.
        let _ = &carried;
    };
    lane.executor.spawn(DoNext::boxed(task, keep));
}

/// One request in a lane's load, as long as this lives. The count is a hint, so its order among other things is of no
/// concern.
struct Carried(Arc<AtomicUsize>);

impl Carried {
    fn new(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(load.clone())
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The single executor has one lane, which the host drives; so has wasm32, whatever the features.
#[cfg(any(target_arch = "wasm32", not(feature = "multi")))]
fn pick(_loads: impl ExactSizeIterator<Item = usize>, _origin: &Origin) -> usize {
    0
}

/// One lane per worker. An origin goes to its home, so that its connections are found again; what overflows there goes
/// to the lane that carries least.
#[cfg(all(feature = "multi", not(target_arch = "wasm32")))]
fn pick(loads: impl ExactSizeIterator<Item = usize> + Clone, origin: &Origin) -> usize {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(origin);
    let home = (hash % loads.len().max(1) as u64) as usize;
    let carried = loads.clone().nth(home).unwrap_or(0);
    if carried < HOME_LOAD {
        return home;
    }
    match loads.enumerate().min_by_key(|(_, load)| *load) {
        // Half is what keeps two lanes that are about as full from trading requests, and so connections.
        Some((least, load)) if load < carried / 2 => least,
        _ => home,
    }
}

/// Requests that a lane carries before others share in its origins: as long as one thread keeps up with so few, a
/// second one would only need connections of its own.
#[cfg(all(feature = "multi", not(target_arch = "wasm32")))]
const HOME_LOAD: usize = 64;

#[cfg(all(test, feature = "multi", not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    /// Goal: an origin stays at home until that lane is full, then goes to the emptiest; never to one about as full.
    #[test]
    fn overflow() {
        let origin = crate::client::target::Target::parse("http://a.test/").expect("a URL").origin().clone();
        let home = pick([0; 4].into_iter(), &origin);
        let place = |at_home: usize, elsewhere: [usize; 3]| {
            let mut loads = elsewhere.to_vec();
            loads.insert(home, at_home);
            let least = loads.iter().position(|load| *load == elsewhere[1]);
            (pick(loads.into_iter(), &origin), least)
        };
        assert_eq!(place(HOME_LOAD - 1, [9, 0, 9]).0, home);
        let (lane, least) = place(HOME_LOAD, [9, 0, 9]);
        assert!(Some(lane) == least && lane != home);
        let (lane, least) = place(1_000, [500, 499, 1_000]);
        assert_eq!(Some(lane), least);
        assert_eq!(place(1_000, [500, 500, 500]).0, home);
    }
}
