//! The network of a host that has its own: wasm32, or an engine with a transport of its own.
//!
//! The host implements [`HostTransport`] and reports readiness to the [`HostPoller`] under the key it was given at
//! `open`: `WRITE` when the connection is made or there is room again, `READ` when bytes came, `READ | CLOSED` at the
//! end. A transport that answers [`Io::WouldBlock`] promises to report readiness later.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::{oneshot, Io, LookupError, LookupResult, Net, NetError, NetErrorKind, Resolver, Socket, WatchList};
use crate::synca::sync::lock;
use crate::valtron::poller::{HostPoller, Poller, Readiness, Source};
use crate::valtron::time::{Instant, TurnClock};
use crate::valtron::SocketKey;

/// Connections as the host makes them. Called only by the thread that drives the executor; no call may block.
pub trait HostTransport: Send + 'static {
    /// Starts a connection; its readiness is reported under `key`.
    fn open(&mut self, key: SocketKey, address: SocketAddr) -> Result<(), NetError>;

    /// The connection is made, or failed; asked once it was reported ready to write.
    fn connected(&mut self, key: SocketKey) -> Result<bool, NetError>;

    /// Reads what is there; `Done(0)` is the end.
    fn read(&mut self, key: SocketKey, into: &mut [u8]) -> Result<Io, NetError>;

    /// Writes what fits.
    fn write(&mut self, key: SocketKey, from: &[u8]) -> Result<Io, NetError>;

    /// The connection is not needed any more; the key is stale from now on.
    fn close(&mut self, key: SocketKey);
}

/// The network over a host's transport. A clone is the same network.
#[derive(Clone)]
pub struct HostNet(Arc<Shared>);

struct Shared {
    poller: Arc<HostPoller>,
    clock: TurnClock,
    resolver: Option<Arc<dyn Resolver>>,
    transport: Mutex<Box<dyn HostTransport>>,
    scratch: Mutex<Vec<u8>>,
}

impl HostNet {
    /// A network over `transport`. Without a resolver look-ups answer [`LookupError::NoResolver`]; with one, it runs
    /// inside the call and so must not block.
    pub fn new(
        poller: Arc<HostPoller>,
        clock: TurnClock,
        resolver: Option<Arc<dyn Resolver>>,
        transport: Box<dyn HostTransport>,
    ) -> Self {
        Self(Arc::new(Shared { poller, clock, resolver, transport: Mutex::new(transport), scratch: Mutex::default() }))
    }
}

impl Net for HostNet {
    type Socket = HostSocket;

    fn now(&self) -> Instant {
        self.0.clock.now()
    }

    fn connect(&self, address: SocketAddr) -> Result<HostSocket, NetError> {
        let (key, readiness) = self.0.poller.register(Source::Virtual).map_err(NetError::from_io)?;
        if let Err(error) = lock(&self.0.transport).open(key, address) {
            self.0.poller.deregister(key);
            return Err(error);
        }
        Ok(HostSocket { net: self.0.clone(), key, readiness, connected: false })
    }

    fn lookup(&self, host: &str, port: u16) -> oneshot::Receiver<LookupResult> {
        let (answer, receiver) = oneshot::channel();
        // The receiver is still ours, so the send cannot fail.
        let _ = answer.send(self.resolver().resolve_blocking(host, port));
        receiver
    }

    fn resolver(&self) -> Arc<dyn Resolver> {
        self.0.resolver.clone().unwrap_or_else(|| Arc::new(NoResolver))
    }

    fn watch(&self, key: SocketKey, list: &Arc<WatchList>) -> bool {
        self.0.poller.watch(key, list)
    }

    fn with_scratch<R>(&self, use_it: impl FnOnce(&mut [u8]) -> R) -> R {
        let scratch = std::mem::take(&mut *lock(&self.0.scratch));
        let mut scratch = if scratch.is_empty() { vec![0; SCRATCH_BYTES] } else { scratch };
        let result = use_it(&mut scratch);
        *lock(&self.0.scratch) = scratch;
        result
    }
}

/// A connection of the host's transport.
pub struct HostSocket {
    net: Arc<Shared>,
    key: SocketKey,
    readiness: Arc<Readiness>,
    connected: bool,
}

impl Socket for HostSocket {
    fn key(&self) -> SocketKey {
        self.key
    }

    fn connected(&mut self) -> Result<bool, NetError> {
        let (bits, ticket) = self.readiness.load();
        if !self.connected && bits & (Readiness::WRITE | Readiness::CLOSED) != 0 {
            self.connected = lock(&self.net.transport).connected(self.key)?;
            if !self.connected {
                if bits & Readiness::CLOSED != 0 {
                    return Err(NetError::of_kind(NetErrorKind::Reset));
                }
                self.readiness.clear(Readiness::WRITE, ticket);
            }
        }
        Ok(self.connected)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<Io, NetError> {
        let (bits, ticket) = self.readiness.load();
        if bits & (Readiness::READ | Readiness::CLOSED) == 0 {
            return Ok(Io::WouldBlock);
        }
        let outcome = lock(&self.net.transport).read(self.key, into)?;
        if outcome == Io::WouldBlock {
            self.readiness.clear(Readiness::READ | Readiness::CLOSED, ticket);
        }
        Ok(outcome)
    }

    fn write(&mut self, from: &[u8]) -> Result<Io, NetError> {
        let (bits, ticket) = self.readiness.load();
        if bits & Readiness::WRITE == 0 {
            return Ok(Io::WouldBlock);
        }
        let outcome = lock(&self.net.transport).write(self.key, from)?;
        if outcome == Io::WouldBlock {
            self.readiness.clear(Readiness::WRITE, ticket);
        }
        Ok(outcome)
    }

    fn readable_hint(&self) -> bool {
        self.readiness.load().0 & (Readiness::READ | Readiness::CLOSED) != 0
    }
}

impl Drop for HostSocket {
    fn drop(&mut self) {
        self.net.poller.deregister(self.key);
        lock(&self.net.transport).close(self.key);
    }
}

/// Answers that there is none.
struct NoResolver;

impl Resolver for NoResolver {
    fn resolve_blocking(&self, _host: &str, _port: u16) -> LookupResult {
        Err(LookupError::NoResolver)
    }
}

/// The executor's receive buffer.
const SCRATCH_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives back what it was sent, once.
    #[derive(Default)]
    struct Echo {
        held: Vec<u8>,
        closed: Arc<Mutex<Vec<SocketKey>>>,
    }

    impl HostTransport for Echo {
        fn open(&mut self, _key: SocketKey, _address: SocketAddr) -> Result<(), NetError> {
            Ok(())
        }

        fn connected(&mut self, _key: SocketKey) -> Result<bool, NetError> {
            Ok(true)
        }

        fn read(&mut self, _key: SocketKey, into: &mut [u8]) -> Result<Io, NetError> {
            if self.held.is_empty() {
                return Ok(Io::WouldBlock);
            }
            let count = self.held.len().min(into.len());
            into[..count].copy_from_slice(&self.held[..count]);
            self.held.drain(..count);
            Ok(Io::Done(count))
        }

        fn write(&mut self, _key: SocketKey, from: &[u8]) -> Result<Io, NetError> {
            self.held.extend_from_slice(from);
            Ok(Io::Done(from.len()))
        }

        fn close(&mut self, key: SocketKey) {
            lock(&self.closed).push(key);
        }
    }

    /// Goal: the transport is called only when the host reported readiness, and told of the close.
    #[test]
    fn the_host_reports_readiness() {
        let poller = Arc::new(HostPoller::new());
        let closed = Arc::new(Mutex::new(Vec::new()));
        let echo = Echo { closed: closed.clone(), ..Echo::default() };
        let net = HostNet::new(poller.clone(), TurnClock::default(), None, Box::new(echo));
        let mut socket = net.connect(SocketAddr::from(([192, 0, 2, 1], 80))).expect("a socket");
        let key = socket.key();
        assert_eq!((socket.connected(), socket.write(b"hello")), (Ok(false), Ok(Io::WouldBlock)));
        poller.set_ready(key, Readiness::WRITE);
        assert_eq!((socket.connected(), socket.write(b"hello")), (Ok(true), Ok(Io::Done(5))));
        let mut buffer = [0; 8];
        assert_eq!(socket.read(&mut buffer), Ok(Io::WouldBlock));
        poller.set_ready(key, Readiness::READ);
        assert_eq!(socket.read(&mut buffer), Ok(Io::Done(5)));
        assert_eq!(socket.read(&mut buffer), Ok(Io::WouldBlock));
        assert!(!socket.readable_hint());
        assert_eq!(net.lookup("host", 80).try_recv(), oneshot::Received::Value(Err(LookupError::NoResolver)));
        drop(socket);
        assert_eq!(*lock(&closed), [key]);
    }
}
