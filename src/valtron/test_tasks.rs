//! Tasks made of closures, for this folder's tests.

use super::task::{NoAction, TaskIterator, TaskStatus};
use super::wait::Wait;
use crate::synca::TaskWaker;

pub(super) type Status = TaskStatus<(), Wait, NoAction>;

pub(super) struct FnTask {
    started: Box<dyn FnMut(&TaskWaker) + Send>,
    next: Box<dyn FnMut() -> Option<Status> + Send>,
}

pub(super) fn from_fn(next: impl FnMut() -> Option<Status> + Send + 'static) -> FnTask {
    FnTask { started: Box::new(|_| ()), next: Box::new(next) }
}

impl FnTask {
    pub(super) fn on_start(mut self, started: impl FnMut(&TaskWaker) + Send + 'static) -> Self {
        self.started = Box::new(started);
        self
    }
}

impl TaskIterator for FnTask {
    type Ready = ();
    type Pending = Wait;
    type Spawner = NoAction;

    fn started(&mut self, waker: &TaskWaker) {
        (self.started)(waker);
    }

    fn next(&mut self) -> Option<Status> {
        (self.next)()
    }
}
