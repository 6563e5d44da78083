//! Readiness set by calls: for wasm32, for hosts with transports of their own, and the base of the simulator's
//! poller.

use std::io;
use std::time::Duration;

use super::slots::Slots;
use super::{Poller, Readiness, Source, WatchList};
use crate::synca::sync::{lock, Arc, Mutex};
use crate::synca::Entry;
use crate::valtron::wait::{Interest, SocketKey};

/// A poller whose events come from [`HostPoller::set_ready`]. Its `wait` never blocks: the host's loop does.
#[derive(Default)]
pub struct HostPoller {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slots: Slots,
    /// Woken by `set_ready` since the last `wait`.
    woken: Vec<Entry>,
    events: usize,
}

impl HostPoller {
    /// A poller with nothing registered.
    pub fn new() -> Self {
        Self::default()
    }

    /// A socket became ready: `bits` of [`Readiness`]. Any thread. False: the key is stale.
    pub fn set_ready(&self, key: SocketKey, bits: u32) -> bool {
        let state = &mut *lock(&self.state);
        let known = state.slots.deliver(key, bits, &mut state.woken);
        state.events += usize::from(known);
        known
    }

    /// Events that no `wait` has taken yet.
    pub fn has_events(&self) -> bool {
        lock(&self.state).events > 0
    }
}

impl Poller for HostPoller {
    fn register(&self, source: Source) -> io::Result<(SocketKey, Arc<Readiness>)> {
        match source {
            Source::Virtual => Ok(lock(&self.state).slots.insert(source)),
            Source::Os(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn deregister(&self, key: SocketKey) {
        // Dropped outside the lock, with whatever the slot held.
        let removed = lock(&self.state).slots.remove(key);
        drop(removed);
    }

    fn arm(&self, key: SocketKey, interest: Interest, waiter: Entry) -> bool {
        lock(&self.state).slots.arm(key, interest, waiter)
    }

    fn disarm(&self, key: SocketKey, waiter: Entry) {
        lock(&self.state).slots.disarm(key, waiter);
    }

    fn watch(&self, key: SocketKey, list: &Arc<WatchList>) -> bool {
        lock(&self.state).slots.watch(key, list)
    }

    fn wait(&self, _timeout: Option<Duration>, woken: &mut Vec<Entry>) -> io::Result<usize> {
        let mut state = lock(&self.state);
        woken.append(&mut state.woken);
        Ok(std::mem::take(&mut state.events))
    }

    fn notify(&self) {}

    fn handle(&self) -> Option<i64> {
        None
    }
}
