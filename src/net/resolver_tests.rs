//! The resolver pool, with resolvers that do as they are told.

use std::net::SocketAddr;
use std::sync::{mpsc, Mutex};

use super::super::RESOLVER_QUEUE_MAX;
use super::*;
use crate::synca::oneshot::{Received, Receiver};
use crate::synca::sync::lock;
use crate::synca::{Entry, TaskWaker, WakeQueue};
use crate::valtron::clock::SystemClock;

/// Says that it began, then blocks until it is let go.
struct Gate {
    began: Mutex<mpsc::Sender<String>>,
    go: Mutex<mpsc::Receiver<()>>,
}

impl Resolver for Gate {
    fn resolve_blocking(&self, host: &str, port: u16) -> LookupResult {
        let _ = lock(&self.began).send(host.to_owned());
        lock(&self.go).recv().map_err(|_| LookupError::Failed("gone".to_owned()))?;
        assert!(host != "panic", "as told");
        Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))])
    }
}

fn gated(threads: usize) -> (ResolverPool, mpsc::Receiver<String>, mpsc::Sender<()>) {
    let (began, began_here) = mpsc::channel();
    let (go_here, go) = mpsc::channel();
    let gate = Arc::new(Gate { began: Mutex::new(began), go: Mutex::new(go) });
    (ResolverPool::new(gate, threads, Arc::new(SystemClock::new())), began_here, go_here)
}

/// Blocks on the waker, as an executor would in its poller.
fn answer(receiver: &Receiver<LookupResult>) -> LookupResult {
    let (woken, woken_here) = mpsc::channel();
    let woken = Mutex::new(woken);
    let queue = WakeQueue::new(Box::new(move || {
        let _ = lock(&woken).send(());
    }));
    queue.prepare_sleep();
    receiver.set_waker(TaskWaker::new(Entry::new(0, 1), queue));
    loop {
        match receiver.try_recv() {
            Received::Value(value) => return value,
            Received::Closed => panic!("dropped"),
            Received::Empty => woken_here.recv().expect("a wake"),
        }
    }
}

/// Goal: no thread before the first look-up, and no more than allowed. Method: three look-ups on a pool of two that
/// blocks.
#[test]
fn threads_are_lazy_and_bounded() {
    let (pool, began, go) = gated(2);
    assert_eq!(pool.stats(), ResolverStats::default());
    let receivers: Vec<_> = ["a", "b", "c"].map(|name| pool.lookup(name, 80)).into();
    began.recv().expect("first");
    // The gate lets one at a time wait inside `go`, but both have begun.
    began.recv().expect("second");
    let stats = pool.stats();
    assert_eq!((stats.threads, stats.queued, stats.started), (2, 1, 2));
    for _ in 0..3 {
        go.send(()).expect("the gate");
    }
    for receiver in &receivers {
        assert_eq!(answer(receiver), Ok(vec!["192.0.2.1:80".parse().expect("an address")]));
    }
    assert_eq!(pool.stats().started, 3);
}

/// Goal: a look-up nobody waits for any more is not run. Method: drop the second receiver while the only thread is
/// busy.
#[test]
fn abandoned_lookups_are_skipped() {
    let (pool, began, go) = gated(1);
    let first = pool.lookup("a", 80);
    began.recv().expect("first");
    drop(pool.lookup("b", 80));
    let third = pool.lookup("c", 80);
    go.send(()).expect("the gate");
    go.send(()).expect("the gate");
    assert!(answer(&first).is_ok());
    assert!(answer(&third).is_ok());
    assert_eq!(began.recv().expect("third"), "c");
    let stats = pool.stats();
    assert_eq!((stats.started, stats.abandoned), (2, 1));
}

/// Goal: the queue is bounded, and abandoned look-ups make room.
#[test]
fn a_full_queue_is_busy() {
    let (pool, began, _go) = gated(1);
    let _first = pool.lookup("a", 80);
    began.recv().expect("first");
    let mut queued: Vec<_> = (0..RESOLVER_QUEUE_MAX).map(|n| pool.lookup(&n.to_string(), 80)).collect();
    assert_eq!(answer(&pool.lookup("c", 80)), Err(LookupError::Busy));
    queued.pop();
    assert_eq!(pool.lookup("c", 80).try_recv(), Received::Empty);
}

/// Goal: many who want a name cost one look-up, each with its own port, those who come later none; a name that leads
/// nowhere is looked up again. Method: requests before, during and after the look-up.
#[test]
fn a_name_is_looked_up_once() {
    let (pool, began, go) = gated(2);
    let busy = [pool.lookup("x", 1), pool.lookup("y", 1)];
    began.recv().expect("x");
    began.recv().expect("y");
    let queued = [pool.lookup("a", 80), pool.lookup("a", 443)];
    drop(pool.lookup("a", 80));
    go.send(()).expect("the gate");
    assert_eq!(began.recv().expect("a"), "a");
    let late = pool.lookup("a", 8080);
    go.send(()).expect("the gate");
    go.send(()).expect("the gate");
    let known = |port| Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))]);
    for (receiver, port) in queued.iter().chain([&late]).zip([80, 443, 8080]) {
        assert_eq!(answer(receiver), known(port));
    }
    assert_eq!(pool.lookup("a", 81).try_recv(), Received::Value(known(81)));
    assert_eq!(pool.resolver().resolve_blocking("a", 82), known(82));
    busy.iter().for_each(|receiver| assert!(answer(receiver).is_ok()));
    assert_eq!((pool.stats().started, pool.stats().abandoned), (3, 0));
    pool.forget("a");
    let again = pool.lookup("a", 81);
    assert_eq!(began.recv().expect("again"), "a");
    go.send(()).expect("the gate");
    assert_eq!(answer(&again), known(81));
}

/// Goal: a failure is told to all who wait and not remembered; what a thread of the host found serves the pool.
#[test]
fn failures_are_not_kept() {
    let (pool, began, go) = gated(1);
    let both = [pool.lookup("panic", 80), pool.lookup("panic", 81)];
    go.send(()).expect("the gate");
    assert!(both.iter().all(|receiver| answer(receiver).is_err()));
    let again = pool.lookup("panic", 80);
    go.send(()).expect("the gate");
    assert!(answer(&again).is_err());
    assert_eq!(pool.stats().started, 2);
    go.send(()).expect("the gate");
    assert!(pool.resolver().resolve_blocking("b", 80).is_ok());
    assert!(matches!(pool.lookup("b", 80).try_recv(), Received::Value(Ok(_))));
    drop(began);
}

/// Goal: a poll that wants names waits for nobody who looks at the pool, and gets all the same what it wants when that
/// one lets go. Method: ask while the lock is held, by this very thread, so that a wait would be for ever.
#[test]
fn a_held_pool_holds_nobody_up() {
    let (pool, began, go) = gated(2);
    let hold = |meanwhile: &mut dyn FnMut()| pool.0.shared.with(|_| meanwhile());
    let mut asked = Vec::new();
    hold(&mut || {
        asked.extend(["a", "b", "a"].map(|name| pool.lookup(name, 80)));
        assert!(asked.iter().all(|receiver| receiver.try_recv() == Received::Empty));
    });
    began.recv().expect("a or b");
    began.recv().expect("the other");
    go.send(()).expect("the gate");
    go.send(()).expect("the gate");
    assert!(asked.iter().all(|receiver| answer(receiver).is_ok()));
    // The threads are idle or will be; what is known is told without them, unless it was forgotten before.
    hold(&mut || asked.push(pool.lookup("a", 81)));
    assert!(matches!(asked[3].try_recv(), Received::Value(Ok(_))));
    hold(&mut || {
        pool.forget("b");
        asked.push(pool.lookup("b", 80));
    });
    assert_eq!(began.recv().expect("b again"), "b");
    go.send(()).expect("the gate");
    assert!(answer(&asked[4]).is_ok());
    assert_eq!((pool.stats().started, pool.stats().threads), (3, 2));
}

/// Goal: closing waits for the threads, busy and idle, as long as it is told.
#[test]
fn closing_waits_for_threads() {
    let (pool, began, go) = gated(2);
    let first = pool.lookup("a", 80);
    began.recv().expect("a");
    assert!(!pool.close(Some(Duration::from_millis(1))), "one is busy");
    go.send(()).expect("the gate");
    assert!(pool.close(None));
    assert!(answer(&first).is_ok());
    assert_eq!((pool.stats().threads, answer(&pool.lookup("b", 80))), (0, Err(LookupError::NoResolver)));
    assert_eq!(pool.lookup("a", 80).try_recv(), Received::Value(answer(&pool.lookup("a", 80))), "still known");

    let (pool, began, go) = gated(2);
    let both = [pool.lookup("a", 80), pool.lookup("b", 80)];
    both.iter().for_each(|_| go.send(()).expect("the gate"));
    both.iter().for_each(|_| drop(began.recv()));
    assert!(both.iter().all(|receiver| answer(receiver).is_ok()));
    assert!(pool.close(None), "idle threads are woken to end");
}

/// Goal: where no thread can be started, who waits for the name is told, and who waits for the threads to end; a poll
/// that finds that out waits for nobody. Method: a thread that was counted and is not there.
#[test]
fn a_thread_that_cannot_be_started() {
    let (pool, _, _) = gated(1);
    let shared = &pool.0.shared;
    let ask = || {
        let (answer, receiver) = oneshot::channel();
        let request = Request::Lookup("a".to_owned(), Waiter::new(80, answer));
        assert!(shared.with(|state| state.serve(request)).starts_thread);
        receiver
    };
    let asked = ask();
    shared.with(|_| shared.no_thread());
    assert!(matches!(asked.try_recv(), Received::Value(Err(LookupError::Failed(_)))));
    let asked = ask();
    assert!(!pool.close(Some(Duration::ZERO)) && shared.with(|state| state.closers.is_empty()));
    thread::scope(|scope| {
        let closing = scope.spawn(|| pool.close(None));
        while shared.with(|state| state.closers.is_empty()) {
            thread::yield_now();
        }
        shared.no_thread();
        assert!(closing.join().is_ok_and(|ended| ended));
    });
    assert_eq!((asked.try_recv(), pool.stats().threads), (Received::Closed, 0));
}

/// Goal: without threads there is no resolver; a panic is an answer and costs no thread; dropping the pool never
/// waits.
#[test]
fn edges() {
    let (pool, _, _) = gated(0);
    assert_eq!(answer(&pool.lookup("a", 80)), Err(LookupError::NoResolver));

    let (pool, began, go) = gated(1);
    let panics = pool.lookup("panic", 80);
    go.send(()).expect("the gate");
    assert!(matches!(answer(&panics), Err(LookupError::Failed(_))));
    began.recv().expect("first");
    let stuck = pool.lookup("stuck", 80);
    began.recv().expect("second");
    let queued = pool.lookup("queued", 80);
    drop(pool);
    assert_eq!(queued.try_recv(), Received::Closed);
    drop((stuck, go));
}

/// Goal: the system's resolver answers literals without a network and tells a bad name apart.
#[test]
fn the_system_resolver_answers_literals() {
    assert_eq!(SystemResolver.resolve_blocking("127.0.0.1", 80), Ok(vec![SocketAddr::from(([127, 0, 0, 1], 80))]));
    assert!(matches!(SystemResolver.resolve_blocking("no\0name", 80), Err(LookupError::Failed(_))));
}

/// Goal: the text of "no such name" is recognised. Method: an error worded as std words it.
#[cfg(unix)]
#[test]
fn not_found_is_told_apart() {
    let worded = |code| {
        let text = format!("failed to lookup address information: {}", descriptor::lookup_text(code));
        failure("host", &std::io::Error::other(text))
    };
    assert!(matches!(worded(libc::EAI_NONAME), LookupError::NotFound(_)));
    assert!(matches!(worded(libc::EAI_AGAIN), LookupError::Failed(_)));
}
