//! The scripted network itself.

use super::*;
use crate::net::{Io, Socket};
use crate::synca::oneshot::Received;
use crate::valtron::sim::VirtualClock;
use crate::valtron::time::Clock;

struct Bench {
    poller: Arc<SimPoller>,
    time: VirtualClock,
    turn: TurnClock,
    net: ScriptedNet,
}

fn bench() -> Bench {
    let (time, turn) = (VirtualClock::default(), TurnClock::default());
    let poller = Arc::new(SimPoller::new(time.clone()));
    let net = ScriptedNet::new(poller.clone(), turn.clone());
    Bench { poller, time, turn, net }
}

impl Bench {
    /// One turn: to the next event, as an executor would. Gives the time in milliseconds.
    fn turn(&self) -> u64 {
        self.poller.wait(None, &mut Vec::new()).expect("a wait");
        self.turn.set(self.time.read());
        self.time.read().as_nanos() / 1_000_000
    }

    fn open(&self, plan: Plan) -> ScriptedSocket {
        self.net.plan(plan);
        self.net.connect(address()).expect("a socket")
    }
}

fn address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 80))
}

fn read(socket: &mut ScriptedSocket) -> Result<Vec<u8>, Option<NetError>> {
    let mut buffer = [0; 32];
    match socket.read(&mut buffer) {
        Ok(Io::Done(count)) => Ok(buffer[..count].to_vec()),
        Ok(Io::WouldBlock) => Err(None),
        Err(error) => Err(Some(error)),
    }
}

#[test]
fn connects_come_out_as_planned() {
    let bench = bench();
    let mut late = bench.open(Plan::After(10, Box::new(Plan::Script(Vec::new()))));
    let mut refused = bench.open(Plan::Refuse(20));
    let mut hole = bench.open(Plan::BlackHole);
    assert_eq!(late.connected(), Ok(false));
    assert_eq!(bench.turn(), 10);
    assert_eq!((late.connected(), refused.connected()), (Ok(true), Ok(false)));
    assert_eq!(bench.turn(), 20);
    assert_eq!(refused.connected(), Err(NetError::of_kind(NetErrorKind::Refused)));
    assert_eq!(hole.connected(), Ok(false));
    bench.net.plan_for(address(), Plan::Fail(NetErrorKind::Unreachable));
    assert_eq!(bench.net.connect(address()).err(), Some(NetError::of_kind(NetErrorKind::Unreachable)));
    assert_eq!(bench.net.opened().len(), 3);
    drop(hole);
    assert!(bench.net.is_closed(2) && !bench.net.is_closed(1));
}

/// Goal: time, blocks and ends come in order, each as an edge.
#[test]
fn a_script_is_read_in_its_periods() {
    let bench = bench();
    let text = |text: &str| Op::Bytes(text.into());
    let ops = vec![text("ab"), text("cd"), Op::WouldBlock, text("ef"), Op::AdvanceMs(5), text("gh"), Op::Reset];
    let mut socket = bench.open(Plan::Script(ops));
    assert_eq!(read(&mut socket), Err(None), "no edge was delivered yet");
    assert_eq!(bench.turn(), 0);
    assert_eq!(read(&mut socket), Ok(b"abcd".to_vec()));
    assert_eq!(read(&mut socket), Err(None));
    assert_eq!(bench.turn(), 0);
    assert_eq!(read(&mut socket), Ok(b"ef".to_vec()));
    assert_eq!(read(&mut socket), Err(None));
    assert_eq!(bench.turn(), 5);
    assert_eq!(read(&mut socket), Ok(b"gh".to_vec()));
    assert_eq!(read(&mut socket), Err(Some(NetError::of_kind(NetErrorKind::Reset))));
    assert_eq!(socket.write(b"x"), Err(NetError::of_kind(NetErrorKind::Reset)));
}

/// Goal: a small window takes part of a write, and room comes at its time.
#[test]
fn writes_are_limited() {
    let bench = bench();
    let mut socket = bench.open(Plan::Script(vec![Op::AcceptWrite(3), Op::AdvanceMs(7), Op::AcceptAll]));
    assert_eq!(socket.write(b"early"), Ok(Io::WouldBlock));
    bench.turn();
    assert_eq!(socket.write(b"abcdef"), Ok(Io::Done(3)));
    assert_eq!(socket.write(b"def"), Ok(Io::WouldBlock));
    assert_eq!(bench.turn(), 7);
    assert_eq!(socket.write(b"def"), Ok(Io::Done(3)));
    assert_eq!(bench.net.written(0), b"abcdef");
}

/// Goal: what depends on the client's bytes waits for them; a closure may answer them.
#[test]
fn the_peer_may_wait_for_the_client() {
    let bench = bench();
    let ops = vec![Op::ExpectWrite(4), Op::AdvanceMs(3), Op::Bytes(b"pong".to_vec()), Op::Eof];
    let mut scripted = bench.open(Plan::Script(ops));
    let echo = |received: &[u8]| if received.is_empty() { vec![] } else { vec![Op::Bytes(received.to_vec())] };
    let mut served = bench.open(Plan::Server(Box::new(echo)));
    bench.turn();
    assert_eq!(scripted.write(b"ping"), Ok(Io::Done(4)));
    assert_eq!(served.write(b"echo"), Ok(Io::Done(4)));
    assert_eq!(bench.turn(), 0);
    assert_eq!(read(&mut served), Ok(b"echo".to_vec()));
    assert_eq!(bench.turn(), 3);
    assert_eq!(read(&mut scripted), Ok(b"pong".to_vec()));
    assert_eq!(read(&mut scripted), Ok(Vec::new()));
}

#[test]
fn lookups_come_out_as_planned() {
    let bench = bench();
    bench.net.name("now.test", Lookup::Addresses(vec![address()]));
    bench.net.name("late.test", Lookup::After(9, Box::new(Lookup::Error(LookupError::Busy))));
    bench.net.name("never.test", Lookup::Never);
    assert_eq!(bench.net.lookup("now.test", 8080).try_recv(), Received::Value(Ok(vec![([192, 0, 2, 1], 8080).into()])));
    assert_eq!(bench.net.lookup("::1", 1).try_recv(), Received::Value(Ok(vec!["[::1]:1".parse().expect("one")])));
    assert_eq!(
        bench.net.lookup("nowhere.test", 1).try_recv(),
        Received::Value(Err(LookupError::NotFound("no such name in the script".to_owned())))
    );
    let late = bench.net.lookup("late.test", 80);
    let never = bench.net.lookup("never.test", 80);
    assert_eq!((late.try_recv(), never.try_recv()), (Received::Empty, Received::Empty));
    assert_eq!(bench.net.lookups_waiting(), 2);
    assert_eq!(bench.turn(), 9);
    assert_eq!(late.try_recv(), Received::Value(Err(LookupError::Busy)));
    assert_eq!(never.try_recv(), Received::Empty);
    drop(never);
    assert_eq!(bench.net.lookups_waiting(), 0);
    assert_eq!(bench.net.looked_up().len(), 5);
}
