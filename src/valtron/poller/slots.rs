//! The sockets of a poller by key, with their waiters and watches: what all pollers have in common.

use super::{Readiness, Source, WatchList};
use crate::synca::sync::Arc;
use crate::synca::{Entry, EntryList};
use crate::valtron::wait::{Interest, SocketKey};

/// One socket.
pub(crate) struct Slot {
    pub(crate) source: Source,
    readiness: Arc<Readiness>,
    waiter: Option<(Entry, Interest)>,
    watch: Option<Arc<WatchList>>,
}

/// All sockets of one poller.
#[derive(Default)]
pub(crate) struct Slots {
    list: EntryList<Slot>,
}

impl Slots {
    pub(crate) fn insert(&mut self, source: Source) -> (SocketKey, Arc<Readiness>) {
        let readiness = Arc::new(Readiness::default());
        let slot = Slot { source, readiness: readiness.clone(), waiter: None, watch: None };
        (SocketKey(self.list.insert(slot)), readiness)
    }

    pub(crate) fn remove(&mut self, key: SocketKey) -> Option<Slot> {
        self.list.remove(key.0)
    }

    /// True: ready already. So is a stale key: nothing will ever come for it, and the task finds out only by running.
    pub(crate) fn arm(&mut self, key: SocketKey, interest: Interest, waiter: Entry) -> bool {
        let Some(slot) = self.list.get_mut(key.0) else { return true };
        slot.watch = None;
        let ready = slot.readiness.load().0 & satisfying(interest) != 0;
        slot.waiter = if ready { None } else { Some((waiter, interest)) };
        ready
    }

    /// Whoever else waits or watches by now is left alone.
    pub(crate) fn disarm(&mut self, key: SocketKey, waiter: Entry) {
        if let Some(slot) = self.list.get_mut(key.0) {
            slot.waiter.take_if(|(current, _)| *current == waiter);
        }
    }

    pub(crate) fn watch(&mut self, key: SocketKey, list: &Arc<WatchList>) -> bool {
        let Some(slot) = self.list.get_mut(key.0) else { return true };
        slot.waiter = None;
        slot.watch = Some(list.clone());
        slot.readiness.load().0 & (Readiness::READ | Readiness::CLOSED) != 0
    }

    /// An event: sets the bits and tells whoever waits. A waiter is told once, a watch each time.
    pub(crate) fn deliver(&mut self, key: SocketKey, bits: u32, woken: &mut Vec<Entry>) -> bool {
        let Some(slot) = self.list.get_mut(key.0) else { return false };
        slot.readiness.set(bits);
        if let Some((waiter, interest)) = slot.waiter {
            if bits & (satisfying(interest) | Readiness::CLOSED) != 0 {
                slot.waiter = None;
                woken.push(waiter);
            }
        }
        if let Some(watch) = &slot.watch {
            if bits & (Readiness::READ | Readiness::CLOSED) != 0 {
                watch.push(key);
            }
        }
        true
    }

    /// What is registered under `key`.
    #[allow(dead_code, reason = "only one-shot pollers name the source again")]
    pub(crate) fn source(&self, key: SocketKey) -> Option<Source> {
        self.list.get(key.0).map(|slot| slot.source)
    }

    /// As `source`, if the socket is watched.
    #[allow(dead_code, reason = "only one-shot pollers ask again for a watched socket")]
    pub(crate) fn watched(&self, key: SocketKey) -> Option<Source> {
        self.list.get(key.0).filter(|slot| slot.watch.is_some()).map(|slot| slot.source)
    }
}

/// The bits that end a wait before it begins. A close is one for readers only: a peer that closed its sending side
/// still takes what we send, and a full send buffer must wait for room, not spin. When both sides are gone the poller
/// sets `WRITE` too.
fn satisfying(interest: Interest) -> u32 {
    match interest {
        Interest::Read => Readiness::READ | Readiness::CLOSED,
        Interest::Write => Readiness::WRITE,
        Interest::Both => Readiness::READ | Readiness::WRITE | Readiness::CLOSED,
    }
}
