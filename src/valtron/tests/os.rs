//! Over the system's poller and sockets of this machine.

use super::*;
use crate::synca::oneshot::Received;
use crate::valtron::poller::{Poller, Readiness, Source, SystemPoller, WatchList};
use crate::valtron::{single, Interest, SocketKey};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

pub(super) fn os_executor() -> (Executor, Arc<SystemPoller>) {
    let poller = Arc::new(SystemPoller::new().unwrap());
    (Executor::new(poller.clone(), Arc::new(SystemClock::new())), poller)
}

pub(super) fn register(poller: &SystemPoller, socket: &impl AsRawFd) -> (SocketKey, Arc<Readiness>) {
    poller.register(Source::Os(i64::from(socket.as_raw_fd()))).unwrap()
}

pub(super) fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours, theirs)
}

/// Reads all until the end, the way owners must: clear on a short read or on "would block", wait only then.
fn reader(mut socket: impl Read + Send + 'static, key: SocketKey, readiness: Arc<Readiness>, total: usize) -> FnTask {
    let mut seen = 0;
    from_fn(move || {
        let (_, ticket) = readiness.load();
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer) {
            Ok(0) => {
                assert_eq!(seen, total);
                None
            }
            Ok(count) => {
                seen += count;
                if count < buffer.len() {
                    readiness.clear(Readiness::READ, ticket);
                    return Some(TaskStatus::Pending(Wait::io(key, Interest::Read)));
                }
                Some(TaskStatus::Init)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                readiness.clear(Readiness::READ, ticket);
                Some(TaskStatus::Pending(Wait::io(key, Interest::Read)))
            }
            Err(error) => panic!("{error}"),
        }
    })
}

/// Goal: bytes and the end of a stream reach a reader, in any sizes, without a wait lost to an edge. Method: a writer
/// on another thread.
#[test]
fn a_stream_is_read_to_its_end() {
    let (mut executor, poller) = os_executor();
    let (ours, mut theirs) = pair();
    let (key, readiness) = register(&poller, &ours);
    let results = single::spawn(&executor, reader(ours, key, readiness, 300 * 1000));
    let writer = std::thread::spawn(move || (0..300).for_each(|_| theirs.write_all(&[7; 1000]).unwrap()));
    assert!(single::run_until_complete(&mut executor, None).unwrap());
    writer.join().unwrap();
    assert_eq!(results.try_recv(), Received::Closed);
    assert_eq!(executor.stats().panics, 0);
}

/// Goal: a request and its answer in steady state cost one wait. Method: count events of ping-pong over TCP; nothing
/// is modified.
#[test]
fn ping_pong_over_tcp() {
    let (mut executor, poller) = os_executor();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ours.set_nonblocking(true).unwrap();
    let (mut theirs, _) = listener.accept().unwrap();
    let (key, readiness) = register(&poller, &ours);
    const ROUNDS: u32 = 50;
    let echo = std::thread::spawn(move || {
        let mut byte = [0];
        while theirs.read(&mut byte).unwrap() == 1 {
            theirs.write_all(&byte).unwrap();
        }
    });
    let (mut rounds, mut sent) = (0, false);
    let task = from_fn(move || loop {
        if !sent {
            if rounds == ROUNDS {
                return None;
            }
            assert_eq!(ours.write(b"x").unwrap(), 1);
            sent = true;
        }
        let (_, ticket) = readiness.load();
        match ours.read(&mut [0; 16]) {
            Ok(1) => {
                readiness.clear(Readiness::READ, ticket);
                (sent, rounds) = (false, rounds + 1);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                readiness.clear(Readiness::READ, ticket);
                return Some(TaskStatus::Pending(Wait::io(key, Interest::Read)));
            }
            other => panic!("{other:?}"),
        }
    });
    let _results = single::spawn(&executor, task);
    assert!(single::run_until_complete(&mut executor, None).unwrap());
    assert_eq!(executor.stats().panics, 0);
    assert!(executor.stats().polls <= u64::from(ROUNDS) + 2, "{:?}", executor.stats());
    drop(executor);
    echo.join().unwrap();
}

/// Goal: a writer that filled the socket is woken by room, and a reader's data does not wake it. Method: fill, drain,
/// look.
#[test]
fn room_wakes_a_writer() {
    let (mut executor, poller) = os_executor();
    let (ours, mut theirs) = pair();
    let (key, readiness) = register(&poller, &ours);
    let mut left = 4 << 20;
    let task = from_fn(move || {
        let (_, ticket) = readiness.load();
        match (&ours).write(&vec![1; left.min(1 << 16)]) {
            Ok(count) => {
                left -= count;
                (left > 0).then_some(TaskStatus::Init)
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                readiness.clear(Readiness::WRITE, ticket);
                Some(TaskStatus::Pending(Wait::io(key, Interest::Write)))
            }
        }
    });
    let _results = single::spawn(&executor, task);
    let drain = std::thread::spawn(move || theirs.read_to_end(&mut Vec::new()).unwrap());
    assert!(single::run_until_complete(&mut executor, None).unwrap());
    assert_eq!(executor.stats().panics, 0);
    assert_eq!(drain.join().unwrap(), 4 << 20);
}

/// Goal: notify is sticky and ends a wait without limit; a wake and a spawn do too, from another thread. Method: each
/// before or during such a wait. If one were lost, the test would hang.
#[test]
fn what_ends_a_wait() {
    let (mut executor, _poller) = os_executor();
    let handle = executor.handle();
    handle.notify();
    assert_eq!(executor.wait(None).unwrap(), 0);
    let waker = Arc::new(Mutex::new(None));
    let kept = waker.clone();
    let task = from_fn(|| Some(TaskStatus::Pending(Wait::EXTERNAL)));
    handle.spawn(erased(task.on_start(move |waker| *lock(&kept) = Some(waker.clone()))));
    executor.wait(None).unwrap();
    executor.run_ready(LONG);
    for round in 1..=100 {
        let waker = lock(&waker).clone().unwrap();
        let thread = std::thread::spawn(move || waker.wake());
        while executor.stats().wakes < round {
            executor.wait(None).unwrap();
            executor.run_ready(LONG);
        }
        thread.join().unwrap();
    }
    let thread = std::thread::spawn(move || handle.spawn(erased(from_fn(|| None))));
    let polls = executor.stats().polls;
    while executor.stats().polls == polls {
        executor.wait(None).unwrap();
        executor.run_ready(LONG);
    }
    thread.join().unwrap();
}

/// Goal: a deadline bounds the wait. Method: one millisecond, in a wait without limit.
#[test]
fn a_deadline_ends_a_wait() {
    let (mut executor, _poller) = os_executor();
    let mut waited = false;
    let task = from_fn(move || {
        (!std::mem::replace(&mut waited, true)).then_some(TaskStatus::Delayed(Duration::from_millis(1)))
    });
    let _results = single::spawn(&executor, task);
    assert!(single::run_until_complete(&mut executor, None).unwrap());
    assert_eq!(executor.stats().deadlines, 1);
    assert!(!single::run_until(&mut executor, Some(Duration::ZERO), |_| false).unwrap());
}

/// Goal: a key outlives its socket without harm, and the number's next owner is not taken for the old one. Method:
/// close, open, use the old.
#[test]
fn a_reused_number_is_another_socket() {
    let (mut executor, poller) = os_executor();
    let (ours, theirs) = pair();
    let (old, _) = register(&poller, &ours);
    poller.deregister(old);
    drop((ours, theirs));
    let (ours, mut theirs) = pair();
    let (new, readiness) = register(&poller, &ours);
    assert_ne!(old, new);
    theirs.write_all(b"x").unwrap();
    poller.deregister(old);
    let waiter = crate::synca::Entry::new(9, 9);
    poller.disarm(old, waiter);
    assert!(poller.arm(old, Interest::Read, waiter), "a stale key never makes a task wait");
    assert!(!poller.arm(new, Interest::Read, waiter));
    executor.wait(Some(Duration::ZERO)).unwrap();
    assert_ne!(readiness.load().0 & Readiness::READ, 0);
}

/// Goal: the pool learns of the death of an idle socket at once. Method: watch it, close the peer.
#[test]
fn a_dead_idle_socket_is_reported() {
    let (mut executor, poller) = os_executor();
    let (ours, theirs) = pair();
    let (key, readiness) = register(&poller, &ours);
    let list = Arc::new(WatchList::default());
    assert!(!poller.watch(key, &list));
    drop(theirs);
    executor.wait(None).unwrap();
    let mut keys = Vec::new();
    list.drain(&mut keys);
    assert_eq!(keys, [key]);
    assert_ne!(readiness.load().0 & Readiness::CLOSED, 0);
}
