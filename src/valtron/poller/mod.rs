//! The seam between an executor and the operating system's readiness.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll;
mod host;
#[cfg(any(valtron_polling, not(any(target_os = "linux", target_os = "android", target_arch = "wasm32"))))]
mod polling;
#[cfg(all(unix, not(loom)))]
pub(crate) mod signals;
pub(crate) mod slots;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub use epoll::EpollPoller;
pub use host::HostPoller;
#[cfg(any(valtron_polling, not(any(target_os = "linux", target_os = "android", target_arch = "wasm32"))))]
pub use polling::PollingPoller;

use super::wait::{Interest, SocketKey};
use crate::synca::sync::atomic::{AtomicU32, Ordering};
use crate::synca::sync::{lock, Arc, Mutex};
use crate::synca::{Entry, TaskWaker};

/// The kind of poller that [`system`] makes.
#[cfg(all(any(target_os = "linux", target_os = "android"), not(valtron_polling)))]
pub type SystemPoller = EpollPoller;
/// The kind of poller that [`system`] makes.
#[cfg(target_arch = "wasm32")]
pub type SystemPoller = HostPoller;
/// The kind of poller that [`system`] makes.
#[cfg(any(valtron_polling, not(any(target_os = "linux", target_os = "android", target_arch = "wasm32"))))]
pub type SystemPoller = PollingPoller;

/// The poller of this platform.
pub fn system() -> io::Result<Arc<dyn Poller>> {
    #[cfg(target_arch = "wasm32")]
    return Ok(Arc::new(SystemPoller::new()));
    #[cfg(not(target_arch = "wasm32"))]
    return Ok(Arc::new(SystemPoller::new()?));
}

/// What is registered.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// A file descriptor (Unix) or socket (Windows), as a number. The caller owns it and deregisters before it
    /// closes.
    Os(i64),
    /// A socket of a simulator or of a host's transport; readiness is set by calls.
    Virtual,
}

/// Ready bits of one socket, shared by the poller (which sets them) and the socket's owner (which clears a direction
/// when the OS says "would block" or, short of [`Readiness::URGENT`], gives less than asked). The counter keeps a clear
/// from losing a newer edge.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU32);

impl Readiness {
    /// Bytes may be there to read.
    pub const READ: u32 = 1;
    /// There may be room to write.
    pub const WRITE: u32 = 2;
    /// The peer closed its side, or both are gone: reads will not block again.
    pub const CLOSED: u32 = 4;
    /// The peer sent urgent data: from here on a read may stop short at the mark with more behind it, for which no edge
    /// comes. Never cleared.
    pub const URGENT: u32 = 8;
    const BITS: u32 = 15;
    const STEP: u32 = 16;

    /// The bits now, and a ticket for [`Readiness::clear`].
    pub fn load(&self) -> (u32, u32) {
        let value = self.0.load(Ordering::SeqCst);
        (value & Self::BITS, value)
    }

    /// Sets bits; each set is a new edge.
    pub fn set(&self, bits: u32) {
        let mut value = self.0.load(Ordering::SeqCst);
        loop {
            let next = (value | bits).wrapping_add(Self::STEP);
            match self.0.compare_exchange(value, next, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return,
                Err(seen) => value = seen,
            }
        }
    }

    /// Clears bits unless an edge came after the ticket was taken.
    pub fn clear(&self, bits: u32, ticket: u32) {
        let _ = self.0.compare_exchange(ticket, ticket & !bits, Ordering::SeqCst, Ordering::SeqCst);
    }
}

/// Keys of watched sockets that became ready, for one task that watches many (the pool's idle sockets).
#[derive(Default)]
pub struct WatchList {
    ready: Mutex<BTreeSet<SocketKey>>,
    waker: Mutex<Option<TaskWaker>>,
}

impl WatchList {
    /// Who is woken when a key comes.
    pub fn set_waker(&self, waker: TaskWaker) {
        *lock(&self.waker) = Some(waker);
    }

    /// Moves the gathered keys to `into`.
    pub fn drain(&self, into: &mut Vec<SocketKey>) {
        into.extend(std::mem::take(&mut *lock(&self.ready)));
    }

    /// The poller reports a ready key. One that waits here already is not repeated: a peer that keeps sending must
    /// not make the list grow.
    pub fn push(&self, key: SocketKey) {
        lock(&self.ready).insert(key);
        if let Some(waker) = &*lock(&self.waker) {
            waker.wake();
        }
    }
}

/// Readiness of sockets, one per executor. All but `wait` may be called from any thread and never block.
pub trait Poller: Send + Sync {
    /// Makes a socket known. The returned bits are updated by `wait`.
    fn register(&self, source: Source) -> io::Result<(SocketKey, Arc<Readiness>)>;

    /// Forgets a socket; must come before its close. A stale key is harmless.
    fn deregister(&self, key: SocketKey);

    /// Task `waiter` waits for the socket. True: it is ready already and nobody waits, run the task. Replaces any
    /// earlier waiter or watch.
    fn arm(&self, key: SocketKey, interest: Interest, waiter: Entry) -> bool;

    /// Task `waiter` waits for the socket no more. Another waiter, or a watch, that came since stays.
    fn disarm(&self, key: SocketKey, waiter: Entry);

    /// Any readability, close or error of the socket goes to `list`. Replaces a waiter. True: something is there
    /// already (and is not pushed).
    fn watch(&self, key: SocketKey, list: &Arc<WatchList>) -> bool;

    /// Gathers events; appends the tasks to run to `woken`; returns how many events there were. `Some(ZERO)` only
    /// looks, `None` has no limit. A signal ends it with `ErrorKind::Interrupted`. Only the thread that drives
    /// the executor calls this.
    fn wait(&self, timeout: Option<Duration>, woken: &mut Vec<Entry>) -> io::Result<usize>;

    /// Ends a `wait`, now or the next one. Any thread.
    fn notify(&self);

    /// What a host may put into its own loop: readable while `wait` would find something. `None` where there is no
    /// such thing.
    fn handle(&self) -> Option<i64>;

    /// The descriptors of the OS behind it, for whoever must close them in a forked child.
    fn descriptors(&self) -> Vec<i32> {
        Vec::new()
    }

    /// This is now the child of a fork, and the OS objects are shared with the parent: from here on the poller makes
    /// no system call that the parent could feel, `deregister` above all.
    fn set_forked(&self) {}
}
