//! Sockets of the system, against listeners on the loopback.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::*;
use crate::synca::Entry;
use crate::valtron::clock::SystemClock;
use crate::valtron::poller::system;
use crate::valtron::Interest;

/// Long enough for any machine; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    poller: Arc<dyn Poller>,
    ledger: Arc<DescriptorLedger>,
    net: OsNet,
}

fn bench() -> Bench {
    let poller = system().expect("a poller");
    let ledger = Arc::new(DescriptorLedger::new());
    let net = OsNet::new(
        poller.clone(),
        TurnClock::default(),
        ResolverPool::system(Arc::new(SystemClock::new())),
        ledger.clone(),
    );
    Bench { poller, ledger, net }
}

impl Bench {
    fn wait_for(&self, key: SocketKey, interest: Interest) {
        if self.poller.arm(key, interest, Entry::new(0, 1)) {
            return;
        }
        let mut woken = Vec::new();
        while woken.is_empty() {
            let events = self.poller.wait(Some(PATIENCE), &mut woken).expect("a wait");
            assert!(events > 0, "nothing came");
        }
    }

    fn connect(&self, address: SocketAddr) -> Result<OsSocket, NetError> {
        let mut socket = self.net.connect(address)?;
        while !socket.connected()? {
            self.wait_for(socket.key(), Interest::Write);
        }
        Ok(socket)
    }

    fn pair(&self) -> (OsSocket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let socket = self.connect(listener.local_addr().expect("its address")).expect("a connection");
        let (peer, _) = listener.accept().expect("the other end");
        (socket, peer)
    }

    fn read(&self, socket: &mut OsSocket, into: &mut [u8]) -> Result<usize, NetError> {
        loop {
            match socket.read(into)? {
                Io::Done(count) => return Ok(count),
                Io::WouldBlock => self.wait_for(socket.key(), Interest::Read),
            }
        }
    }
}

/// Goal: a port where nobody listens is told as such. Method: bind a port, close it, connect.
#[test]
fn refused() {
    let bench = bench();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    drop(listener);
    let error = bench.connect(address).err().expect("an error");
    assert_eq!(error.kind, NetErrorKind::Refused);
    assert!(error.errno != 0);
    assert!(bench.ledger.live().is_empty());
}

/// Goal: a short read ends the readiness, so the next read makes no call. Method: bytes that arrive without a `wait`
/// stay unseen.
#[test]
fn a_short_read_ends_the_readiness() {
    let bench = bench();
    let (mut socket, mut peer) = bench.pair();
    assert_eq!(socket.read(&mut [0; 8]), Ok(Io::WouldBlock));
    peer.write_all(b"abc").expect("a write");
    let mut buffer = [0; 8];
    assert_eq!(bench.read(&mut socket, &mut buffer), Ok(3));
    assert!(!socket.readable_hint());
    peer.write_all(b"def").expect("a write");
    // The bytes are in the socket; only a call could find them before the poller has told.
    assert_eq!(socket.read(&mut buffer), Ok(Io::WouldBlock));
    assert_eq!(bench.read(&mut socket, &mut buffer), Ok(3));
    assert_eq!(&buffer[..3], b"def");
}

/// Goal: a read that fills the buffer keeps the readiness, since more may be there.
#[test]
fn a_full_read_keeps_the_readiness() {
    let bench = bench();
    let (mut socket, mut peer) = bench.pair();
    peer.write_all(b"abcdef").expect("a write");
    let mut buffer = [0; 3];
    assert_eq!(bench.read(&mut socket, &mut buffer), Ok(3));
    assert!(socket.readable_hint());
    assert_eq!(socket.read(&mut buffer), Ok(Io::Done(3)));
    assert_eq!(socket.read(&mut buffer), Ok(Io::WouldBlock));
    assert!(!socket.readable_hint());
}

/// Goal: what lies behind an urgent mark is read, although a read stops short at the mark and no edge comes after it.
/// Method: all of it is in the kernel before the first look; twice, so that the socket is known to be such a one.
#[test]
fn a_read_goes_on_behind_an_urgent_mark() {
    let bench = bench();
    let (mut socket, peer) = bench.pair();
    let peer = RawSocket::from(peer);
    for _ in 0..2 {
        peer.send(b"hell").expect("a write");
        peer.send_out_of_band(b"o").expect("an urgent write");
        peer.send(b"world!").expect("a write");
        let mut got = Vec::new();
        while got.len() < b"hellworld!".len() {
            let mut buffer = [0; 64];
            let count = bench.read(&mut socket, &mut buffer).expect("a read");
            got.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(got, b"hellworld!");
        assert_eq!(socket.read(&mut [0; 64]), Ok(Io::WouldBlock));
        assert!(!socket.readable_hint());
    }
}

/// Goal: the end of the stream is seen after the last bytes, and again at each read.
#[test]
fn end_of_stream() {
    let bench = bench();
    let (mut socket, mut peer) = bench.pair();
    peer.write_all(b"last").expect("a write");
    drop(peer);
    let mut buffer = [0; 64];
    assert_eq!(bench.read(&mut socket, &mut buffer), Ok(4));
    assert_eq!(bench.read(&mut socket, &mut buffer), Ok(0));
    assert_eq!(socket.read(&mut buffer), Ok(Io::Done(0)));
}

/// Goal: a cut connection is an error, not an end. Method: zero linger makes the peer's close a reset.
#[test]
fn reset() {
    let bench = bench();
    let (mut socket, peer) = bench.pair();
    let peer = RawSocket::from(peer);
    peer.set_linger(Some(Duration::ZERO)).expect("linger");
    drop(peer);
    let error = bench.read(&mut socket, &mut [0; 8]).expect_err("a reset");
    assert_eq!(error.kind, NetErrorKind::Reset);
}

/// Goal: a full send buffer answers "would block", and room is reported. Method: write until it is full, let the peer
/// read, wait.
#[test]
fn a_full_send_buffer_waits_for_room() {
    let bench = bench();
    let (mut socket, mut peer) = bench.pair();
    bench.wait_for(socket.key(), Interest::Write);
    let block = vec![7; 256 * 1024];
    let mut sent = 0;
    while let Io::Done(count) = socket.write(&block).expect("a write") {
        sent += count;
    }
    assert!(sent > 0);
    let mut got = 0;
    let mut buffer = vec![0; 256 * 1024];
    while got < sent {
        got += peer.read(&mut buffer).expect("a read");
    }
    bench.wait_for(socket.key(), Interest::Write);
    assert!(matches!(socket.write(b"more"), Ok(Io::Done(4))));
}

/// Goal: writing to a peer that is gone is an error and no signal. Method: std's test binary ignores SIGPIPE, so only
/// the error is seen.
#[test]
fn a_write_to_a_closed_peer_fails() {
    let bench = bench();
    let (mut socket, peer) = bench.pair();
    bench.wait_for(socket.key(), Interest::Write);
    let peer = RawSocket::from(peer);
    peer.set_linger(Some(Duration::ZERO)).expect("linger");
    drop(peer);
    bench.wait_for(socket.key(), Interest::Read);
    let kind = loop {
        match socket.write(b"x") {
            Ok(_) => bench.wait_for(socket.key(), Interest::Write),
            Err(error) => break error.kind,
        }
    };
    assert!(matches!(kind, NetErrorKind::Reset | NetErrorKind::BrokenPipe));
}

/// Goal: the ledger has exactly the live sockets, and after a fork a drop leaves alone what the ledger has closed.
#[test]
fn the_ledger_follows_the_sockets() {
    let bench = bench();
    let (socket, _peer) = bench.pair();
    assert_eq!(bench.ledger.live().len(), 1);
    drop(socket);
    assert!(bench.ledger.live().is_empty());
    let (socket, mut peer) = bench.pair();
    bench.ledger.close_all();
    assert_eq!(peer.read(&mut [0; 8]).expect("the end"), 0);
    drop(socket);
}

/// Goal: the scratch buffer has the promised size, also for a caller that breaks the rule and nests.
#[test]
fn scratch() {
    let net = bench().net;
    let sizes = net.with_scratch(|outer| (outer.len(), net.with_scratch(|inner| inner.len())));
    assert_eq!(sizes, (SCRATCH_BYTES, SCRATCH_BYTES));
}
