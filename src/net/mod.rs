//! Sockets and name look-ups behind one seam: [`Net`]. The request task is generic over it, so that the same task
//! runs over the operating system ([`os`]), over a script with a virtual clock ([`scripted`]), and over a host's
//! transport ([`host`]).

#[cfg(not(target_arch = "wasm32"))]
mod descriptor;
mod errno;
pub mod host;
#[cfg(not(target_arch = "wasm32"))]
mod ledger;
#[cfg(not(target_arch = "wasm32"))]
mod names;
#[cfg(not(target_arch = "wasm32"))]
pub mod os;
#[cfg(not(target_arch = "wasm32"))]
mod resolver;
pub mod scripted;

use std::net::SocketAddr;
use std::sync::Arc;

#[cfg(not(target_arch = "wasm32"))]
pub use ledger::DescriptorLedger;
#[cfg(not(target_arch = "wasm32"))]
pub use names::{NAMES_KEPT_MAX, NAME_KEPT, RESOLVER_QUEUE_MAX};
#[cfg(not(target_arch = "wasm32"))]
pub use os::{OsNet, OsSocket};
#[cfg(not(target_arch = "wasm32"))]
pub use resolver::{ResolverPool, ResolverStats, SystemResolver, RESOLVER_IDLE, RESOLVER_THREADS};

use crate::synca::oneshot;
use crate::valtron::poller::WatchList;
use crate::valtron::time::Instant;
use crate::valtron::SocketKey;

/// What one non-blocking read or write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// So many bytes. A read of zero bytes is the end of the stream.
    Done(usize),
    /// Nothing now; wait for the socket.
    WouldBlock,
}

/// Why a socket failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetErrorKind {
    /// Nobody listens there.
    Refused,
    /// No route, or the network or host is unreachable.
    Unreachable,
    /// The OS gave up connecting.
    TimedOut,
    /// The peer cut the connection.
    Reset,
    /// Writing after the peer closed.
    BrokenPipe,
    /// No more descriptors, ports or memory.
    Exhausted,
    /// The OS forbids it.
    Denied,
    /// Anything else; see the errno.
    Other,
}

/// A socket's failure, with the OS's number (0 if none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetError {
    /// The kind.
    pub kind: NetErrorKind,
    /// `errno` or the platform's equal.
    pub errno: i32,
}

/// Why a name look-up failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupError {
    /// The name does not exist or has no address.
    NotFound(String),
    /// There is no pool, and nobody took the look-up.
    NoResolver,
    /// Too many look-ups wait already; the pool's queue is full.
    Busy,
    /// Anything else, in the resolver's words.
    Failed(String),
}

/// The answer of a look-up: addresses in the resolver's order of preference (RFC 6724).
pub type LookupResult = Result<Vec<SocketAddr>, LookupError>;

/// The blocking look-up itself, to be run on whatever thread may block: the pool's, or a host's job thread.
pub trait Resolver: Send + Sync {
    /// Blocks until the answer is there.
    fn resolve_blocking(&self, host: &str, port: u16) -> LookupResult;
}

/// A non-blocking stream socket. Dropping it deregisters, then closes.
pub trait Socket: Send + 'static {
    /// Its key at the executor's poller.
    fn key(&self) -> SocketKey;

    /// After a connect was started: `Ok(true)` connected, `Ok(false)` not yet (wait for
    /// [`Write`](crate::valtron::Interest::Write)).
    fn connected(&mut self) -> Result<bool, NetError>;

    /// Reads what is there.
    fn read(&mut self, into: &mut [u8]) -> Result<Io, NetError>;

    /// Writes what fits.
    fn write(&mut self, from: &[u8]) -> Result<Io, NetError>;

    /// The last readiness seen says: bytes, an end or an error are there to read. No system call.
    fn readable_hint(&self) -> bool;
}

/// What a task needs of the network; one per executor, cheap to clone.
pub trait Net: Clone + Send + Sync + 'static {
    /// Its sockets.
    type Socket: Socket;

    /// The turn's time.
    fn now(&self) -> Instant;

    /// Starts to connect; never blocks.
    fn connect(&self, address: SocketAddr) -> Result<Self::Socket, NetError>;

    /// Starts a look-up off this thread. Dropping the receiver abandons it: if still queued it is not run.
    fn lookup(&self, host: &str, port: u16) -> oneshot::Receiver<LookupResult>;

    /// Nobody could be reached at the addresses of this name: they are not to be used again without another look-up.
    fn forget_name(&self, _host: &str) {}

    /// The resolver behind `lookup`, for a host that takes the look-up to its own thread.
    fn resolver(&self) -> Arc<dyn Resolver>;

    /// Reports the socket's readability, close or error to a list. True: something is there already.
    fn watch(&self, key: SocketKey, list: &Arc<WatchList>) -> bool;

    /// Lends the executor's shared receive buffer (64 KiB or more) to `use_it`. Not re-entrant.
    fn with_scratch<R>(&self, use_it: impl FnOnce(&mut [u8]) -> R) -> R;
}
