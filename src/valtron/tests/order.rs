//! Who runs next, and for how long.

use super::*;
use crate::synca::Entry;
use crate::valtron::engine::{BoxedExecutionEngine, GenericResult};
use crate::valtron::sim::Sim;
use crate::valtron::{single, ExecutionAction, ExecutionIterator, State, TaskIterator};

/// Goal: a task that made progress goes behind the others. Method: three that always do; read the order.
#[test]
fn progress_goes_to_the_back() {
    let (mut executor, _poller) = host_executor();
    let log = Log::default();
    for name in ["a", "b", "c"] {
        executor.handle().spawn(erased(stepper(&log, name, 2)));
    }
    executor.run_once(LONG);
    assert_eq!(log.take(), ["a", "b", "c", "a", "b", "c"]);
    assert_eq!(executor.task_count(), 0);
}

/// Goal: budget zero is one turn. Method: two endless tasks, one call, one step each.
#[test]
fn zero_budget_is_one_step_each() {
    let (mut executor, _poller) = host_executor();
    let log = Log::default();
    executor.handle().spawn(erased(stepper(&log, "a", u32::MAX)));
    executor.handle().spawn(erased(stepper(&log, "b", u32::MAX)));
    let turn = executor.run_once(Duration::ZERO);
    assert_eq!(log.take(), ["a", "b"]);
    assert!(turn.work_left);
    assert_eq!(turn.polls, 2);
}

/// Goal: a call ends with the first step that reaches its budget. Method: steps that take a millisecond each.
#[test]
fn the_budget_ends_a_call() {
    let clock = StoppedClock::default();
    let mut executor = Executor::new(Arc::new(HostPoller::new()), Arc::new(clock.clone()));
    let log = Log::default();
    for name in ["a", "b", "c"] {
        let (clock, log) = (clock.clone(), log.clone());
        executor.handle().spawn(erased(from_fn(move || {
            log.add(name);
            clock.advance(Duration::from_millis(1));
            Some(TaskStatus::Init)
        })));
    }
    let turn = executor.run_once(Duration::from_millis(5));
    assert_eq!(turn.polls, 5);
    assert!(turn.work_left);
    assert_eq!(log.take(), ["a", "b", "c", "a", "b"]);
    executor.run_once(Duration::from_millis(2));
    assert_eq!(log.take(), ["c", "a"]);
}

/// Goal: a turn takes in some hundred new tasks and does not touch the rest, however many a host has made; all of them
/// run, in their order. Method: ten thousand, by turns without a budget; those not taken in stay in the inbox.
#[test]
fn a_turn_leaves_most_of_many_in_the_inbox() {
    const TASKS: usize = 10_000;
    let (mut executor, _poller) = host_executor();
    let ran = Arc::new(Mutex::new(Vec::new()));
    for number in 0..TASKS {
        let ran = ran.clone();
        executor.handle().spawn(erased(from_fn(move || {
            lock(&ran).push(number);
            None
        })));
    }
    let mut turns = 0;
    while executor.run_once(Duration::ZERO).work_left {
        turns += 1;
        assert_eq!(executor.handle().has_injected(), lock(&ran).len() < TASKS, "after {turns} turns");
    }
    assert!((TASKS / 1_000..TASKS / 100).contains(&turns), "{turns} turns");
    assert!(lock(&ran).iter().copied().eq(0..TASKS));
}

type Lift = Box<dyn FnMut(Entry, BoxedExecutionEngine) -> GenericResult<()> + Send>;

struct LiftAction(Lift);

impl ExecutionAction for LiftAction {
    fn apply(&mut self, parent: Entry, engine: BoxedExecutionEngine) -> GenericResult<()> {
        (self.0)(parent, engine)
    }
}

struct Parent {
    log: Log,
    action: Option<LiftAction>,
}

impl TaskIterator for Parent {
    type Ready = ();
    type Pending = Wait;
    type Spawner = LiftAction;

    fn next(&mut self) -> Option<TaskStatus<(), Wait, LiftAction>> {
        match self.action.take() {
            Some(action) => {
                self.log.add("spawn");
                Some(TaskStatus::Spawn(action))
            }
            None => {
                self.log.add("parent");
                None
            }
        }
    }
}

/// Goal: lifted children run before all scheduled tasks, in the order of lifting, once; the engine answers real keys,
/// and the parent can be read. Method: one parent lifts two and schedules one while another task waits its turn.
#[test]
fn children_are_lifted_in_order() {
    let (mut executor, _poller) = host_executor();
    let log = Log::default();
    let keys = Arc::new(Mutex::new(Vec::new()));
    let action = {
        let (log, keys) = (log.clone(), keys.clone());
        LiftAction(Box::new(move |parent, engine| {
            let mut keys = lock(&keys);
            keys.push(parent);
            keys.push(engine.schedule(erased(stepper(&log, "scheduled", 1)))?);
            keys.push(engine.lift(erased(stepper(&log, "child 1", 2)), Some(parent))?);
            keys.push(engine.lift(erased(stepper(&log, "child 2", 1)), Some(parent))?);
            let log = log.clone();
            engine.broadcast(Box::new(move || erased(stepper(&log, "broadcast", 1))))
        }))
    };
    executor.handle().spawn(DoNext::boxed(Parent { log: log.clone(), action: Some(action) }, |()| ()));
    executor.handle().spawn(erased(stepper(&log, "other", 1)));
    executor.run_once(Duration::ZERO);
    {
        let keys = lock(&keys);
        assert_eq!(executor.parent_of(keys[2]), Some(keys[0]));
        assert_eq!(executor.parent_of(keys[1]), None);
        assert_eq!(executor.entry_stats(keys[2]).map(|stats| stats.polls), Some(1));
    }
    executor.run_once(LONG);
    let order = ["spawn", "child 1", "child 2", "other", "parent", "scheduled", "broadcast", "child 1"];
    assert_eq!(log.take(), order);
}

/// Each link lifts the next, for ever, and ends with its second step.
struct Link {
    log: Log,
    action: Option<LiftAction>,
}

impl Link {
    fn boxed(log: &Log) -> crate::valtron::BoxedExecutionIterator {
        let inner = log.clone();
        let lift = move |parent, engine: BoxedExecutionEngine| engine.lift(Self::boxed(&inner), Some(parent)).map(drop);
        DoNext::boxed(Self { log: log.clone(), action: Some(LiftAction(Box::new(lift))) }, |()| ())
    }
}

impl TaskIterator for Link {
    type Ready = ();
    type Pending = Wait;
    type Spawner = LiftAction;

    fn next(&mut self) -> Option<TaskStatus<(), Wait, LiftAction>> {
        let action = self.action.take();
        if action.is_none() {
            self.log.add("over");
        }
        action.map(TaskStatus::Spawn)
    }
}

/// Goal: lifted tasks that lift others do not keep normal ones from running; also where a seed picks. Method: an
/// endless chain, and few enough turns that the steps of normal tasks in between can only come of the bound.
#[test]
fn a_chain_of_lifted_tasks_starves_nobody() {
    let run = |executor: &mut Executor| {
        let log = Log::default();
        executor.handle().lift(Link::boxed(&log), None).unwrap();
        executor.handle().spawn(erased(stepper(&log, "normal", u32::MAX)));
        let mut polls = 0;
        while polls < 1000 {
            polls += executor.run_once(Duration::ZERO).polls;
        }
        let of_normal_tasks = log.take();
        let bound = u64::from(crate::valtron::queue::LIFTED_IN_A_ROW_MAX);
        assert_eq!(of_normal_tasks.len() as u64, polls / (bound + 1));
        of_normal_tasks
    };
    let order = run(&mut host_executor().0);
    assert_eq!(order.iter().filter(|name| **name == "normal").count(), 2, "{order:?}");
    for seed in 0..20 {
        run(Sim::new(seed).executor());
    }
}

struct Panics {
    log: Log,
    drop_too: bool,
}

impl ExecutionIterator for Panics {
    fn started(&mut self, _waker: &crate::synca::TaskWaker) {}

    fn next(&mut self, _entry: Entry, _engine: &mut dyn FnMut() -> BoxedExecutionEngine) -> State {
        std::panic::resume_unwind(Box::new("in a step"));
    }

    fn panicked(&mut self) {
        self.log.add("told");
        if self.drop_too {
            std::panic::resume_unwind(Box::new("while told"));
        }
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.log.add("dropped");
        if self.drop_too {
            std::panic::resume_unwind(Box::new("while dropped"));
        }
    }
}

/// Goal: a panic ends its task alone. Method: two tasks that panic in every place they can, one that does not.
#[test]
fn a_panic_stays_with_its_task() {
    let (mut executor, _poller) = host_executor();
    let log = Log::default();
    executor.handle().spawn(Box::new(Panics { log: log.clone(), drop_too: false }));
    executor.handle().spawn(Box::new(Panics { log: log.clone(), drop_too: true }));
    executor.handle().spawn(erased(stepper(&log, "well", 2)));
    executor.run_once(LONG);
    assert_eq!(log.take(), ["told", "dropped", "told", "dropped", "well", "well"]);
    assert_eq!((executor.stats().panics, executor.task_count()), (2, 0));
    executor.handle().spawn(Box::new(Panics { log: log.clone(), drop_too: true }));
    drop(executor);
    assert_eq!(log.take(), ["dropped"]);
}

/// Goal: two executors never see each other. Method: a task on each, wakes and keys crossed over.
#[test]
fn executors_are_apart() {
    let (mut one, one_poller) = host_executor();
    let (mut two, _) = host_executor();
    let log = Log::default();
    let (log_one, log_two) = (log.clone(), log.clone());
    let waiting = |log: Log, name| {
        from_fn(move || {
            log.add(name);
            Some(TaskStatus::Pending(Wait::EXTERNAL))
        })
    };
    let waker = Arc::new(Mutex::new(None));
    let kept = waker.clone();
    one.handle().spawn(erased(waiting(log_one, "one").on_start(move |waker| *lock(&kept) = Some(waker.clone()))));
    two.handle().spawn(erased(waiting(log_two, "two")));
    one.run_once(Duration::ZERO);
    two.run_once(Duration::ZERO);
    assert_eq!(log.take(), ["one", "two"]);
    lock(&waker).as_ref().unwrap().wake();
    two.run_once(Duration::ZERO);
    assert!(log.take().is_empty());
    one.run_once(Duration::ZERO);
    assert_eq!(log.take(), ["one"]);
    drop(one);
    // A waker outlives its executor, without effect.
    lock(&waker).as_ref().unwrap().wake();
    assert_eq!(Arc::strong_count(&one_poller), 1, "nothing else keeps the poller");
}

/// Goal: a seed names an order. Method: the same seed twice, then others until one differs.
#[test]
fn a_seed_is_an_order() {
    let run = |seed| {
        let (mut sim, log) = (Sim::new(seed), Log::default());
        for name in ["a", "b", "c", "d"] {
            let _ = single::spawn(sim.executor(), stepper(&log, name, 2));
        }
        sim.run_until_idle();
        log.take()
    };
    assert_eq!(run(1), run(1));
    assert!((2..10).any(|seed| run(seed) != run(1)));
}

/// Goal: a turn takes in so much of what is new, and no more, so that a budget is kept however much comes at once; and
/// nothing is lost or reordered by that. Method: many tasks, wakes and deadlines, one turn at a time.
#[test]
fn a_turn_takes_in_a_bounded_number() {
    let clock = StoppedClock::default();
    let mut executor = Executor::new(Arc::new(HostPoller::new()), Arc::new(clock.clone()));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let many = 1_000;
    for index in 0..many {
        let seen = seen.clone();
        let mut steps = 0;
        executor.handle().spawn(erased(from_fn(move || {
            steps += 1;
            lock(&seen).push(index);
            let at = Instant::default().after(Duration::from_secs(1));
            (steps < 2).then_some(TaskStatus::Pending(Wait::until(at)))
        })));
    }
    for due in [false, true] {
        let mut turns = 0;
        loop {
            let turn = executor.run_once(Duration::ZERO);
            assert!(turn.polls <= 256, "{}", turn.polls);
            turns += 1;
            if !turn.work_left {
                break;
            }
        }
        assert!((4..=6).contains(&turns), "{due}: {turns}");
        let order: Vec<_> = std::mem::take(&mut *lock(&seen));
        if !due {
            assert_eq!(order, (0..many).collect::<Vec<_>>());
        }
        assert_eq!(order.len(), many);
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(executor.task_count(), 0);
    // What was never taken in is given back.
    for _ in 0..many {
        executor.handle().spawn(erased(from_fn(|| Some(TaskStatus::Init))));
    }
    executor.run_once(Duration::ZERO);
    let handle = executor.handle();
    drop(executor);
    assert_eq!(handle.task_count(), 0);
}
