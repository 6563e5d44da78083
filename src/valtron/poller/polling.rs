//! Neither Linux nor wasm: the crate `polling` (kqueue, IOCP, event ports). One-shot: a wait for what is not ready
//! yet costs one call that names the interest.

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
    /// The live key of each slot: a token has room for the index alone where pointers are 32 bits wide.
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
}

impl Poller for PollingPoller {
    fn register(&self, source: Source) -> io::Result<(SocketKey, Arc<Readiness>)> {
        let Source::Os(number) = source else { return Err(io::ErrorKind::Unsupported.into()) };
        let state = &mut *lock(&self.state);
        let (key, readiness) = state.slots.insert(source);
        // SAFETY: the caller keeps the socket open until `deregister`, which deletes it here.
        if let Err(error) = unsafe { self.inner.add(os::raw(number), Event::none(token(key))) } {
            state.slots.remove(key);
            return Err(error);
        }
        let index = token(key);
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
                state.keys[token(key)] = None;
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
            let Some(key) = state.keys.get(event.key).copied().flatten() else { continue };
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
            count += usize::from(state.slots.deliver(key, bits, woken));
            if let Some(source) = state.slots.watched(key) {
                self.request(source, Event::readable(token(key)));
            }
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

fn token(key: SocketKey) -> usize {
    key.0.index() as usize
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
