//! Neither Linux nor wasm: the crate `polling` (kqueue, IOCP, event ports). One-shot: a wait for what is not ready
//! yet costs one call that names the interest. On Linux it stands in for epoll under `--cfg valtron_polling`, for
//! tests.

use std::io;
use std::time::Duration;

use polling::{Event, Events};

use super::slots::Slots;
use super::{Poller, Readiness, Source, WatchList};
use crate::synca::sync::atomic::{AtomicBool, Ordering};
use crate::synca::sync::{lock, Arc, Mutex};
use crate::synca::Entry;
use crate::valtron::wait::{Interest, SocketKey};

/// A poller over the crate `polling`.
pub struct PollingPoller {
    inner: polling::Poller,
    state: Mutex<State>,
    events: Mutex<Events>,
    forked: AtomicBool,
}

#[derive(Default)]
struct State {
    slots: Slots,
    /// The live key of each slot: what a token must match, since an event may have been fetched before its socket went
    /// and another took the slot.
    keys: Vec<Option<SocketKey>>,
}

impl PollingPoller {
    /// A poller with nothing registered.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            inner: polling::Poller::new()?,
            state: Mutex::default(),
            events: Mutex::new(Events::new()),
            forked: AtomicBool::new(false),
        })
    }

    /// Asks the OS for one event of the socket.
    fn request(&self, source: Source, event: Event) -> bool {
        let Source::Os(number) = source else { return false };
        // SAFETY: the caller of `register` keeps the socket open until `deregister`, and the borrow ends here.
        self.inner.modify(unsafe { os::borrow(number) }, event).is_ok()
    }

    /// An event that the OS gave. False: its socket is gone.
    fn take(&self, state: &mut State, event: Event, woken: &mut Vec<Entry>) -> bool {
        let live = state.keys.get(event.key >> GENERATION_BITS).copied().flatten();
        let Some(key) = live.filter(|key| token(*key) == event.key) else { return false };
        let gone = event.is_interrupt() || event.is_err() == Some(true);
        let mut bits = 0;
        if event.readable || gone {
            bits |= Readiness::READ;
        }
        if event.writable || gone {
            bits |= Readiness::WRITE;
        }
        if gone {
            bits |= Readiness::CLOSED;
        }
        let known = state.slots.deliver(key, bits, woken);
        if let Some(source) = state.slots.watched(key) {
            self.request(source, Event::readable(token(key)));
        }
        known
    }
}

impl Poller for PollingPoller {
    fn register(&self, source: Source) -> io::Result<(SocketKey, Arc<Readiness>)> {
        let Source::Os(number) = source else { return Err(io::ErrorKind::Unsupported.into()) };
        let state = &mut *lock(&self.state);
        let (key, readiness) = state.slots.insert(source);
        if key.0.index() > INDEX_MAX {
            state.slots.remove(key);
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        // SAFETY: the caller keeps the socket open until `deregister`, which deletes it here.
        if let Err(error) = unsafe { self.inner.add(os::raw(number), Event::none(token(key))) } {
            state.slots.remove(key);
            return Err(error);
        }
        let index = key.0.index() as usize;
        if index >= state.keys.len() {
            state.keys.resize(index + 1, None);
        }
        state.keys[index] = Some(key);
        Ok((key, readiness))
    }

    fn deregister(&self, key: SocketKey) {
        let removed = {
            let mut state = lock(&self.state);
            let removed = state.slots.remove(key);
            if removed.is_some() {
                state.keys[key.0.index() as usize] = None;
            }
            removed
        };
        let Some(Source::Os(number)) = removed.map(|slot| slot.source) else { return };
        if !self.forked.load(Ordering::SeqCst) {
            // SAFETY: as in `request`.
            let _ = self.inner.delete(unsafe { os::borrow(number) });
        }
    }

    fn arm(&self, key: SocketKey, interest: Interest, waiter: Entry) -> bool {
        let mut state = lock(&self.state);
        if state.slots.arm(key, interest, waiter) {
            return true;
        }
        let Some(source) = state.slots.source(key) else { return true };
        let (read, write) = match interest {
            Interest::Read => (true, false),
            Interest::Write => (false, true),
            Interest::Both => (true, true),
        };
        // What cannot be waited for must not be waited for: the task runs and meets the error itself.
        let refused = !self.request(source, Event::new(token(key), read, write));
        if refused {
            state.slots.disarm(key, waiter);
        }
        refused
    }

    fn disarm(&self, key: SocketKey, waiter: Entry) {
        // An event that is still asked for finds no waiter; it only sets bits.
        lock(&self.state).slots.disarm(key, waiter);
    }

    fn watch(&self, key: SocketKey, list: &Arc<WatchList>) -> bool {
        let mut state = lock(&self.state);
        if state.slots.watch(key, list) {
            return true;
        }
        let Some(source) = state.slots.source(key) else { return true };
        !self.request(source, Event::readable(token(key)))
    }

    fn wait(&self, timeout: Option<Duration>, woken: &mut Vec<Entry>) -> io::Result<usize> {
        let mut events = lock(&self.events);
        events.clear();
        self.inner.wait(&mut events, timeout)?;
        let mut state = lock(&self.state);
        let mut count = 0;
        for event in events.iter() {
            count += usize::from(self.take(&mut state, event, woken));
        }
        Ok(count)
    }

    fn notify(&self) {
        let _ = self.inner.notify();
    }

    fn handle(&self) -> Option<i64> {
        None
    }

    fn set_forked(&self) {
        self.forked.store(true, Ordering::SeqCst);
    }
}

/// How much of the generation a token holds: all of it in 64 bits. In 32 bits a slot would have to change hands so
/// often between the fetch of an event and its delivery, to be taken for an earlier one.
const GENERATION_BITS: u32 = if usize::BITS < 64 { 12 } else { 32 };

/// The last slot that fits a token and leaves the highest token to the crate, which keeps it for itself.
const INDEX_MAX: u32 = (usize::MAX >> GENERATION_BITS) as u32 - 1;

fn token(key: SocketKey) -> usize {
    let generation = key.0.generation() as usize & !(usize::MAX << GENERATION_BITS);
    (key.0.index() as usize) << GENERATION_BITS | generation
}

#[cfg(unix)]
mod os {
    use std::os::fd::{BorrowedFd, RawFd};

    pub(super) fn raw(number: i64) -> RawFd {
        number as RawFd
    }

    /// # Safety
    ///
    /// The descriptor stays open while the borrow lives.
    pub(super) unsafe fn borrow<'a>(number: i64) -> BorrowedFd<'a> {
        // SAFETY: the caller's promise.
        unsafe { BorrowedFd::borrow_raw(raw(number)) }
    }
}

#[cfg(windows)]
mod os {
    use std::os::windows::io::{BorrowedSocket, RawSocket};

    pub(super) fn raw(number: i64) -> RawSocket {
        number as RawSocket
    }

    /// # Safety
    ///
    /// The socket stays open while the borrow lives.
    pub(super) unsafe fn borrow<'a>(number: i64) -> BorrowedSocket<'a> {
        // SAFETY: the caller's promise.
        unsafe { BorrowedSocket::borrow_raw(raw(number)) }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Goal: an event that was fetched for a socket that is gone does not reach the next one in its slot. Method: fetch
    /// by hand, deregister, register, deliver.
    #[test]
    fn a_stale_event_reaches_nobody() {
        let poller = PollingPoller::new().unwrap();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let source = Source::Os(i64::from(ours.as_raw_fd()));
        let (old, _) = poller.register(source).unwrap();
        let event = Event::readable(token(old));
        poller.deregister(old);
        let (new, readiness) = poller.register(source).unwrap();
        assert_eq!(old.0.index(), new.0.index());
        assert!(!poller.arm(new, Interest::Read, Entry::new(5, 1)));
        let mut woken = Vec::new();
        assert!(!poller.take(&mut lock(&poller.state), event, &mut woken));
        assert_eq!((readiness.load().0, woken.len()), (0, 0));
        assert!(poller.take(&mut lock(&poller.state), Event::readable(token(new)), &mut woken));
        assert_eq!((readiness.load().0, woken.len()), (Readiness::READ, 1));
        poller.deregister(new);
    }
}
