//! The operating system's sockets.
//!
//! Readiness is edge-triggered: a bit stays set until this file finds the socket empty (or full) and clears it, with
//! the ticket taken before the call, so that an edge that came meanwhile is not lost. A read that brings less than
//! there was room for has emptied the socket, so the next one answers "would block" without a system call: a response
//! that fits the buffer costs one receive. Not so where the peer sent urgent data: TCP reads short at the mark, with
//! bytes behind it for which no edge comes, so such a socket is read until the OS says "would block".

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, TryLockError};

use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use super::{
    oneshot, DescriptorLedger, Io, LookupResult, Net, NetError, NetErrorKind, Resolver, ResolverPool, Socket, WatchList,
};
use crate::valtron::poller::{Poller, Readiness, Source};
use crate::valtron::time::{Instant, TurnClock};
use crate::valtron::SocketKey;

/// The network of one executor over the operating system. A clone is the same network.
#[derive(Clone)]
pub struct OsNet(Arc<Shared>);

struct Shared {
    poller: Arc<dyn Poller>,
    clock: TurnClock,
    resolver_pool: ResolverPool,
    ledger: Arc<DescriptorLedger>,
    scratch: Mutex<Vec<u8>>,
}

impl OsNet {
    /// A network whose sockets are registered at `poller` and written down in `ledger`.
    pub fn new(
        poller: Arc<dyn Poller>,
        clock: TurnClock,
        resolver_pool: ResolverPool,
        ledger: Arc<DescriptorLedger>,
    ) -> Self {
        Self(Arc::new(Shared { poller, clock, resolver_pool, ledger, scratch: Mutex::default() }))
    }
}

impl Net for OsNet {
    type Socket = OsSocket;

    fn now(&self) -> Instant {
        self.0.clock.now()
    }

    fn connect(&self, address: SocketAddr) -> Result<OsSocket, NetError> {
        let socket = new_socket(address).map_err(NetError::from_io)?;
        // Errors only for a socket that is not TCP; late packets are no reason to fail.
        let _ = socket.set_tcp_nodelay(true);
        let connected = match socket.connect(&address.into()) {
            Ok(()) => true,
            Err(error) if in_progress(&error) => false,
            Err(error) => return Err(NetError::from_io(error)),
        };
        // Only now: a socket that never connected reports a hang-up.
        let (key, readiness) = self.0.poller.register(Source::Os(number(&socket))).map_err(NetError::from_io)?;
        #[cfg(unix)]
        let slot = self.0.ledger.add(std::os::fd::AsRawFd::as_raw_fd(&socket));
        #[cfg(not(unix))]
        let slot = 0;
        Ok(OsSocket { socket: Some(socket), key, readiness, connected, slot, net: self.0.clone() })
    }

    fn lookup(&self, host: &str, port: u16) -> oneshot::Receiver<LookupResult> {
        self.0.resolver_pool.lookup(host, port)
    }

    fn forget_name(&self, host: &str) {
        self.0.resolver_pool.forget(host);
    }

    fn resolver(&self) -> Arc<dyn Resolver> {
        self.0.resolver_pool.resolver()
    }

    fn watch(&self, key: SocketKey, list: &Arc<WatchList>) -> bool {
        self.0.poller.watch(key, list)
    }

    fn with_scratch<R>(&self, use_it: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut scratch = match self.0.scratch.try_lock() {
            Ok(scratch) => scratch,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Against the rule, but a deadlock would be a worse answer than an allocation.
            Err(TryLockError::WouldBlock) => return use_it(&mut vec![0; SCRATCH_BYTES]),
        };
        if scratch.is_empty() {
            scratch.resize(SCRATCH_BYTES, 0);
        }
        use_it(&mut scratch)
    }
}

/// A TCP socket.
pub struct OsSocket {
    /// `None` only while it is dropped.
    socket: Option<RawSocket>,
    key: SocketKey,
    readiness: Arc<Readiness>,
    connected: bool,
    /// Its place in the ledger.
    slot: u32,
    net: Arc<Shared>,
}

impl OsSocket {
    fn raw(&self) -> Result<&RawSocket, NetError> {
        self.socket.as_ref().ok_or(NetError { kind: NetErrorKind::Other, errno: 0 })
    }
}

impl Socket for OsSocket {
    fn key(&self) -> SocketKey {
        self.key
    }

    fn connected(&mut self) -> Result<bool, NetError> {
        let (bits, ticket) = self.readiness.load();
        if self.connected || bits & (Readiness::WRITE | Readiness::CLOSED) == 0 {
            return Ok(self.connected);
        }
        let socket = self.raw()?;
        if let Some(error) = socket.take_error().map_err(NetError::from_io)? {
            return Err(NetError::from_io(error));
        }
        match socket.peer_addr() {
            Ok(_) => self.connected = true,
            Err(error) if error.kind() == io::ErrorKind::NotConnected && bits & Readiness::CLOSED == 0 => {
                self.readiness.clear(Readiness::WRITE, ticket);
            }
            // Reset after it was accepted, and the error was fetched before.
            Err(error) => return Err(NetError { kind: NetErrorKind::Reset, ..NetError::from_io(error) }),
        }
        Ok(self.connected)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<Io, NetError> {
        debug_assert!(!into.is_empty(), "no room would look like the end of the stream");
        let (bits, ticket) = self.readiness.load();
        if bits & (Readiness::READ | Readiness::CLOSED) == 0 {
            return Ok(Io::WouldBlock);
        }
        let room = into.len();
        let mut socket = self.raw()?;
        match retried(|| socket.read(into)) {
            Ok(got) => {
                // With CLOSED set there is more: the end, or the error. With URGENT there may be.
                if got < room && got > 0 && bits & (Readiness::CLOSED | Readiness::URGENT) == 0 {
                    self.readiness.clear(Readiness::READ, ticket);
                }
                Ok(Io::Done(got))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // CLOSED too: it was wrong, and would make this call spin.
                self.readiness.clear(Readiness::READ | Readiness::CLOSED, ticket);
                Ok(Io::WouldBlock)
            }
            Err(error) => Err(NetError::from_io(error)),
        }
    }

    fn write(&mut self, from: &[u8]) -> Result<Io, NetError> {
        let (bits, ticket) = self.readiness.load();
        if bits & Readiness::WRITE == 0 {
            return Ok(Io::WouldBlock);
        }
        let socket = self.raw()?;
        match retried(|| socket.send_with_flags(from, NO_SIGNAL)) {
            Ok(taken) => {
                if taken < from.len() {
                    self.readiness.clear(Readiness::WRITE, ticket);
                }
                Ok(Io::Done(taken))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readiness.clear(Readiness::WRITE, ticket);
                Ok(Io::WouldBlock)
            }
            Err(error) => Err(NetError::from_io(error)),
        }
    }

    fn readable_hint(&self) -> bool {
        self.readiness.load().0 & (Readiness::READ | Readiness::CLOSED) != 0
    }
}

impl Drop for OsSocket {
    fn drop(&mut self) {
        let Some(socket) = self.socket.take() else { return };
        // In the child of a fork the poller is shared with the parent, and its lock may be held by a thread that is not
        // here.
        if !self.net.ledger.is_forked() {
            self.net.poller.deregister(self.key);
        }
        #[cfg(unix)]
        if !self.net.ledger.remove(self.slot) {
            // The child has closed it; the number may be somebody else's by now.
            std::mem::forget(socket);
            return;
        }
        drop(socket);
    }
}

fn new_socket(address: SocketAddr) -> io::Result<RawSocket> {
    // Both forms set close-on-exec, and on Apple's systems SO_NOSIGPIPE.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return RawSocket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP));
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }
}

fn in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    // EINTR: the connect goes on in the background, as POSIX says.
    return matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR));
    #[cfg(not(unix))]
    return error.kind() == io::ErrorKind::WouldBlock;
}

fn number(socket: &RawSocket) -> i64 {
    #[cfg(unix)]
    return i64::from(std::os::fd::AsRawFd::as_raw_fd(socket));
    #[cfg(windows)]
    return std::os::windows::io::AsRawSocket::as_raw_socket(socket) as i64;
}

/// A signal may interrupt a call that moves no byte; it is made again, so many times.
fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    for _ in 0..INTERRUPTED_MAX {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
    // The bit is not cleared by an error, so a caller may simply come back.
    call()
}

/// The peer's close must not kill the host with SIGPIPE. Where there is no flag, the socket option or the platform
/// sees to it.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
))]
const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
const NO_SIGNAL: i32 = 0;

/// The executor's receive buffer: large enough that a download at line rate is not made of system calls, small enough
/// for the L2 cache.
const SCRATCH_BYTES: usize = 128 * 1024;

/// How often an interrupted call is made again.
const INTERRUPTED_MAX: usize = 8;

#[cfg(test)]
#[path = "os_tests.rs"]
mod tests;
