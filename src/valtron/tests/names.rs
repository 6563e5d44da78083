//! The names that other code counts on, imported as one writes them, and at work.

use crate::synca::Entry;
use crate::valtron::{
    multi, single, BoxedExecutionEngine, DoNext, ExecutionAction, GenericResult, NoAction, TaskIterator, TaskStatus,
};

use std::sync::mpsc;

use super::{from_fn, host_executor, Duration, Executor, HostPoller, SystemClock, Wait};
use crate::synca::sync::Arc;

/// Lifts a child that tells its parent's key.
struct Tell(Option<mpsc::Sender<Entry>>);

impl ExecutionAction for Tell {
    fn apply(&mut self, parent: Entry, engine: BoxedExecutionEngine) -> GenericResult<()> {
        let Some(sender) = self.0.take() else { return Ok(()) };
        let child = from_fn(move || {
            sender.send(parent).ok()?;
            None
        });
        engine.lift(DoNext::boxed(child, |()| ()), Some(parent)).map(drop)
    }
}

struct Parent(Option<Tell>);

impl TaskIterator for Parent {
    type Ready = NoAction;
    type Pending = Wait;
    type Spawner = Tell;

    fn next(&mut self) -> Option<TaskStatus<NoAction, Wait, Tell>> {
        self.0.take().map(TaskStatus::Spawn)
    }
}

/// Goal: the same task is given to either executor in the same words. Method: one on each, which lifts a child.
#[test]
fn either_executor_takes_the_same_task() {
    let parent = |sender: &mpsc::Sender<Entry>| Parent(Some(Tell(Some(sender.clone()))));
    let (sender, keys) = mpsc::channel();
    let (mut executor, _poller) = host_executor();
    let _results = single::spawn(&executor, parent(&sender));
    single::run_once(&mut executor, Duration::from_secs(3600));
    assert_eq!(keys.try_recv(), Ok(Entry::new(0, 1)));

    // The poller of the host never sleeps, so one task is all that keeps this thread busy.
    let make = |_| Ok(Executor::new(Arc::new(HostPoller::new()), Arc::new(SystemClock::new())));
    let mut workers = multi::Workers::start(1, make).unwrap();
    let _results = multi::spawn(&workers, parent(&sender));
    assert_eq!(keys.recv(), Ok(Entry::new(0, 1)));
    workers.stop();
    assert!(workers.join(None));
}
