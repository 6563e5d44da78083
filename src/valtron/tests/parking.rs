//! Parking, waking, and what must not wake.

use super::*;
use crate::synca::oneshot::{self, Received};
use crate::synca::TaskWaker;
use crate::valtron::poller::{Poller, Readiness, Source, WatchList};
use crate::valtron::sim::Sim;
use crate::valtron::{single, Interest};

type KeptWaker = Arc<Mutex<Option<TaskWaker>>>;

fn kept() -> (KeptWaker, impl FnMut(&TaskWaker) + Send) {
    let slot = KeptWaker::default();
    let inner = slot.clone();
    (slot, move |waker: &TaskWaker| *lock(&inner) = Some(waker.clone()))
}

fn wake(waker: &KeptWaker) {
    lock(waker).as_ref().expect("the task has started").wake();
}

/// Goal: a wake during the step that ends in a park is answered by another step in the same call. Method: the task
/// wakes itself once.
#[test]
fn a_wake_within_the_step_is_kept() {
    let (mut executor, _poller) = host_executor();
    let log = Log::default();
    let (waker, keep) = kept();
    let (writes, wakes) = (log.clone(), waker.clone());
    let mut first = true;
    let task = from_fn(move || {
        writes.add("step");
        if std::mem::take(&mut first) {
            wake(&wakes);
        }
        Some(TaskStatus::Pending(Wait::EXTERNAL))
    });
    executor.handle().spawn(erased(task.on_start(keep)));
    executor.run_once(LONG);
    assert_eq!(log.take(), ["step", "step"]);
    // The wake's own entry in the queue is stale by now: it must run nothing.
    executor.run_once(LONG);
    assert!(log.take().is_empty());
    assert_eq!(executor.stats().wakes, 1);
}

/// Goal: wakes coalesce, and come from any thread. Method: many wakes, one step.
#[test]
fn wakes_coalesce() {
    let (mut executor, _poller) = host_executor();
    let (waker, keep) = kept();
    executor.handle().spawn(erased(from_fn(|| Some(TaskStatus::Pending(Wait::EXTERNAL))).on_start(keep)));
    executor.run_once(LONG);
    let thread = {
        let waker = waker.clone();
        std::thread::spawn(move || (0..100).for_each(|_| wake(&waker)))
    };
    thread.join().unwrap();
    assert_eq!(executor.run_once(LONG).polls, 1);
    assert_eq!(executor.stats().wakes, 1);
}

/// Goal: a wake for a task that has ended does not reach the one that took its slot. Method: end one, put another,
/// wake the first.
#[test]
fn a_stale_wake_runs_nobody() {
    let (mut executor, _poller) = host_executor();
    let (waker, keep) = kept();
    executor.handle().spawn(erased(from_fn(|| None).on_start(keep)));
    executor.run_once(LONG);
    let second = executor.handle().schedule(erased(from_fn(|| Some(TaskStatus::Pending(Wait::EXTERNAL))))).unwrap();
    executor.run_once(LONG);
    assert_eq!(lock(&waker).as_ref().unwrap().entry().index(), second.index());
    wake(&waker);
    assert_eq!(executor.run_once(LONG).polls, 0);
}

/// Goal: a socket's event after its waiter went on to something else runs nobody, and a task that ended leaves no
/// waiter behind. Method: wake the task by its waker, let it park on nothing but that; then the event.
#[test]
fn a_stale_waiter_is_disarmed() {
    let (mut executor, poller) = host_executor();
    let (key, _readiness) = poller.register(Source::Virtual).unwrap();
    let (waker, keep) = kept();
    let mut waits = [Wait::io(key, Interest::Read).or_external(), Wait::EXTERNAL].into_iter();
    let task = from_fn(move || waits.next().map(TaskStatus::Pending));
    let entry = executor.handle().schedule(erased(task.on_start(keep))).unwrap();
    executor.run_once(LONG);
    wake(&waker);
    executor.run_once(LONG);
    assert_eq!(executor.wait_of(entry), Some(Wait::EXTERNAL));
    assert!(poller.set_ready(key, Readiness::READ));
    assert_eq!(executor.run_once(LONG).polls, 0);
    wake(&waker);
    executor.run_once(LONG);
    assert_eq!(executor.task_count(), 0);
}

/// Goal: bits that are set end a wait at once; a clear with an old ticket loses no newer edge. Method: short reads,
/// by hand.
#[test]
fn an_edge_between_look_and_clear_is_kept() {
    let (mut executor, poller) = host_executor();
    let (key, readiness) = poller.register(Source::Virtual).unwrap();
    poller.set_ready(key, Readiness::READ);
    let (_, ticket) = readiness.load();
    // The OS says "would block"; before the owner clears the bit, more comes.
    poller.set_ready(key, Readiness::READ);
    readiness.clear(Readiness::READ, ticket);
    assert_eq!(readiness.load().0, Readiness::READ);
    let mut steps = 0;
    let inner = readiness.clone();
    let task = from_fn(move || {
        steps += 1;
        if steps == 2 {
            // Short read: all was taken.
            let (_, ticket) = inner.load();
            inner.clear(Readiness::READ, ticket);
        }
        (steps < 4).then(|| TaskStatus::Pending(Wait::io(key, Interest::Read)))
    });
    executor.handle().spawn(erased(task));
    assert_eq!(executor.run_once(LONG).polls, 2);
    poller.set_ready(key, Readiness::WRITE);
    assert_eq!(executor.run_once(LONG).polls, 0, "a reader is not woken by room to write");
    poller.set_ready(key, Readiness::CLOSED);
    assert_eq!(executor.run_once(LONG).polls, 2, "a closed socket never waits again");
}

/// Goal: deadlines are met in order and in virtual time; `Delayed` counts from receipt. Method: the simulator; read
/// the times.
#[test]
fn timers_and_delays() {
    let mut sim = Sim::new(7);
    let clock = sim.executor().handle().clock();
    let times = Arc::new(Mutex::new(Vec::new()));
    for (name, statuses) in [
        ("deadline", vec![TaskStatus::Pending(Wait::until(Instant::from_nanos(3_000_000_000)))]),
        ("delays", vec![TaskStatus::Delayed(Duration::from_secs(1)), TaskStatus::Delayed(Duration::from_secs(3))]),
    ] {
        let (times, clock) = (times.clone(), clock.clone());
        let mut statuses: std::vec::IntoIter<Status> = statuses.into_iter();
        let task = from_fn(move || {
            lock(&times).push((name, clock.now().as_nanos() / 1_000_000_000));
            statuses.next()
        });
        let _ = single::spawn(sim.executor(), task);
    }
    sim.run_until_idle();
    let mut times = lock(&times).split_off(2);
    times.sort_by_key(|&(_, at)| at);
    assert_eq!(times, [("delays", 1), ("deadline", 3), ("delays", 4)]);
    assert_eq!(sim.executor().stats().deadlines, 3);
}

/// Goal: `advance` goes through everything on the way at its own time, and no further. Method: a script and a timer.
#[test]
fn advance_plays_the_script() {
    let mut sim = Sim::new(3);
    let poller = sim.poller();
    let (key, readiness) = poller.register(Source::Virtual).unwrap();
    poller.set_ready_at(Instant::from_nanos(40), key, Readiness::READ);
    let clock = sim.executor().handle().clock();
    let log = Arc::new(Mutex::new(Vec::new()));
    let times = log.clone();
    let task = from_fn(move || {
        lock(&times).push(clock.now().as_nanos());
        readiness.clear(Readiness::READ, readiness.load().1);
        Some(TaskStatus::Pending(Wait::io(key, Interest::Read).no_later_than(Some(Instant::from_nanos(90)))))
    });
    let _ = single::spawn(sim.executor(), task);
    sim.advance(Duration::from_nanos(80));
    assert_eq!((lock(&log).clone(), sim.now().as_nanos()), (vec![0, 40], 80));
}

/// Goal: a wait for nothing is caught in tests. Method: one.
#[test]
#[should_panic(expected = "waits for nothing")]
fn an_empty_wait_panics_in_tests() {
    let (mut executor, _poller) = host_executor();
    executor.handle().spawn(erased(from_fn(|| Some(TaskStatus::Pending(Wait::default())))));
    executor.run_once(Duration::ZERO);
}

/// Goal: in a release it is counted, and the task comes again without a spin. Method: not strict, on virtual time.
#[test]
fn an_empty_wait_is_slowed_down_in_release() {
    let mut sim = Sim::new(1);
    sim.executor().set_strict(false);
    let mut left = 2;
    let task = from_fn(move || {
        left -= 1;
        (left >= 0).then(|| TaskStatus::Pending(Wait::default()))
    });
    let _ = single::spawn(sim.executor(), task);
    sim.run_until_idle();
    assert_eq!(sim.executor().stats().empty_waits, 2);
    assert_eq!(sim.now(), Instant::from_nanos(2_000_000));
}

/// Goal: a task that waits for what it has and does not take is slowed down too. Method: a ready bit that nobody
/// clears.
#[test]
fn a_spin_on_a_ready_socket_is_slowed_down() {
    let (mut executor, poller) = host_executor();
    let (key, _readiness) = poller.register(Source::Virtual).unwrap();
    poller.set_ready(key, Readiness::READ);
    executor.handle().spawn(erased(from_fn(move || Some(TaskStatus::Pending(Wait::io(key, Interest::Read))))));
    let turn = executor.run_once(Duration::from_micros(500));
    assert!(turn.polls < 20, "{turn:?}");
    assert!(executor.stats().empty_waits >= 1);
}

/// Goal: the simulator refuses it. Method: the same task there.
#[test]
#[should_panic(expected = "polls more than anything happens")]
fn the_simulator_refuses_a_spin() {
    let mut sim = Sim::new(1);
    let poller = sim.poller();
    let (key, _readiness) = poller.register(Source::Virtual).unwrap();
    poller.set_ready(key, Readiness::READ);
    let _ = single::spawn(sim.executor(), from_fn(move || Some(TaskStatus::Pending(Wait::io(key, Interest::Read)))));
    sim.run_until_idle();
}

/// Goal: a deadlock names who waits for what. Method: a wait that nothing ends.
#[test]
#[should_panic(expected = "external: true")]
fn the_simulator_names_a_deadlock() {
    let mut sim = Sim::new(1);
    let _ = single::spawn(sim.executor(), from_fn(|| Some(TaskStatus::Pending(Wait::EXTERNAL))));
    sim.run_until_idle();
}

/// Goal: many sockets, one watcher; the list does not grow with what a peer sends. Method: events on one key twice,
/// on another once.
#[test]
fn watches_gather_keys() {
    let (mut executor, poller) = host_executor();
    let list = Arc::new(WatchList::default());
    let keys: Vec<_> = (0..2).map(|_| poller.register(Source::Virtual).unwrap().0).collect();
    let inner = list.clone();
    let task = from_fn(|| Some(TaskStatus::Pending(Wait::EXTERNAL)));
    executor.handle().spawn(erased(task.on_start(move |waker| inner.set_waker(waker.clone()))));
    executor.run_once(LONG);
    assert!(!poller.watch(keys[0], &list) && !poller.watch(keys[1], &list));
    for key in [keys[0], keys[0], keys[1]] {
        poller.set_ready(key, Readiness::READ);
    }
    assert_eq!(executor.run_once(LONG).polls, 1);
    let mut ready = Vec::new();
    list.drain(&mut ready);
    assert_eq!(ready, keys);
    assert!(poller.watch(keys[0], &list));
    // Leased again: the task that uses it now is the one to hear of it.
    poller.arm(keys[0], Interest::Write, crate::synca::Entry::new(9, 9));
    poller.set_ready(keys[0], Readiness::CLOSED);
    list.drain(&mut ready);
    assert_eq!(ready.len(), 2);
}

/// Goal: a task that hands its socket to a watcher and ends leaves the watch alone, whether it had waited for the
/// socket in vain or found it ready. Method: both; then an event.
#[test]
fn a_watch_outlives_the_task_that_set_it() {
    for found_ready in [true, false] {
        let (mut executor, poller) = host_executor();
        let (key, readiness) = poller.register(Source::Virtual).unwrap();
        if found_ready {
            poller.set_ready(key, Readiness::READ);
        }
        let list = Arc::new(WatchList::default());
        let (waker, keep) = kept();
        let (inner, watched) = (poller.clone(), list.clone());
        let mut waited = false;
        let task = from_fn(move || {
            if !std::mem::replace(&mut waited, true) {
                return Some(TaskStatus::Pending(Wait::io(key, Interest::Read).or_external()));
            }
            readiness.clear(Readiness::READ, readiness.load().1);
            assert!(!inner.watch(key, &watched));
            None
        });
        executor.handle().spawn(erased(task.on_start(keep)));
        executor.run_once(LONG);
        if !found_ready {
            wake(&waker);
            executor.run_once(LONG);
        }
        assert_eq!((executor.task_count(), executor.stats().panics), (0, 0));
        poller.set_ready(key, Readiness::CLOSED);
        let mut ready = Vec::new();
        list.drain(&mut ready);
        assert_eq!(ready, [key], "found ready: {found_ready}");
    }
}

/// Goal: a task takes back only its own wait. Method: another task has come to wait for the socket since.
#[test]
fn a_disarm_spares_the_next_waiter() {
    let (_, poller) = host_executor();
    let (key, _readiness) = poller.register(Source::Virtual).unwrap();
    let (first, second) = (crate::synca::Entry::new(1, 1), crate::synca::Entry::new(2, 1));
    assert!(!poller.arm(key, Interest::Read, first) && !poller.arm(key, Interest::Read, second));
    poller.disarm(key, first);
    poller.set_ready(key, Readiness::READ);
    let mut woken = Vec::new();
    poller.wait(None, &mut woken).unwrap();
    assert_eq!(woken, [second]);
}

/// Goal: a dropped executor closes what its tasks held, those not yet taken in included. Method: senders in tasks.
#[test]
fn a_dropped_executor_drops_its_tasks() {
    let (mut executor, _poller) = host_executor();
    let mut receivers = Vec::new();
    for _ in 0..2 {
        let (sender, receiver) = oneshot::channel::<()>();
        receivers.push(receiver);
        executor.handle().spawn(erased(from_fn(move || {
            let _held = &sender;
            Some(TaskStatus::Pending(Wait::EXTERNAL))
        })));
        if receivers.len() == 1 {
            executor.run_once(LONG);
        }
    }
    let handle = executor.handle();
    assert_eq!(handle.task_count(), 2);
    drop(executor);
    assert_eq!(handle.task_count(), 0);
    assert!(receivers.iter().all(|receiver| receiver.try_recv() == Received::Closed));
    assert!(handle.schedule(erased(from_fn(|| None))).is_none());
}

/// Goal: results come in order, wake their reader, and close. Method: a task that gives two.
#[test]
fn results_come_in_order() {
    let (mut executor, _poller) = host_executor();
    let mut left = 2;
    let results = single::spawn(
        &executor,
        from_fn(move || {
            left -= 1;
            (left >= 0).then_some(TaskStatus::Ready(()))
        }),
    );
    let (waker, keep) = kept();
    executor.handle().spawn(erased(from_fn(|| Some(TaskStatus::Pending(Wait::EXTERNAL))).on_start(keep)));
    assert_eq!(results.try_recv(), Received::Empty);
    executor.run_once(LONG);
    results.set_waker(lock(&waker).clone().unwrap());
    assert_eq!(executor.run_once(LONG).polls, 1);
    assert_eq!(results.try_recv(), Received::Value(()));
    assert_eq!(results.try_recv(), Received::Value(()));
    assert_eq!(results.try_recv(), Received::Closed);
}

/// Goal: results that nobody takes park their task; one taken lets it make one more, and a reader that goes away lets
/// it run to its end. Method: a task that gives more than there is room for.
#[test]
fn a_full_sink_parks_the_task() {
    const TOTAL: usize = single::RESULTS_MAX + 3;
    let (mut executor, _poller) = host_executor();
    let made = Arc::new(Mutex::new(0));
    let count = made.clone();
    let results = single::spawn(
        &executor,
        from_fn(move || {
            let mut made = lock(&count);
            *made += 1;
            (*made <= TOTAL).then_some(TaskStatus::Ready(()))
        }),
    );
    executor.run_once(LONG);
    assert_eq!(*lock(&made), single::RESULTS_MAX);
    let (entry, wait) = executor.tasks().next().unwrap();
    assert_eq!(wait, Some(Wait::EXTERNAL));
    assert_eq!(executor.run_once(LONG).polls, 0);
    for taken in 1..=2 {
        assert_eq!(results.try_recv(), Received::Value(()));
        executor.run_once(LONG);
        assert_eq!(*lock(&made), single::RESULTS_MAX + taken);
    }
    assert!(executor.entry_stats(entry).unwrap().is_frugal());
    drop(results);
    executor.run_once(LONG);
    assert_eq!((*lock(&made), executor.task_count()), (TOTAL + 1, 0));
}
