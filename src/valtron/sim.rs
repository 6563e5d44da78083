//! A deterministic executor: virtual time, scripted readiness, and a seed that decides which ready task runs next.
//! The same seed gives the same run; a thousand seeds show what depends on the order.
//!
//! ```
//! use std::time::Duration;
//! use valtron_http::valtron::sim::Sim;
//! use valtron_http::valtron::{single, NoAction, TaskIterator, TaskStatus, Wait};
//!
//! struct Sleep(bool);
//!
//! impl TaskIterator for Sleep {
//!     type Ready = ();
//!     type Pending = Wait;
//!     type Spawner = NoAction;
//!
//!     fn next(&mut self) -> Option<TaskStatus<(), Wait, NoAction>> {
//!         if std::mem::replace(&mut self.0, true) {
//!             return None;
//!         }
//!         Some(TaskStatus::Delayed(Duration::from_secs(30)))
//!     }
//! }
//!
//! let mut sim = Sim::new(1);
//! let _results = single::spawn(sim.executor(), Sleep(false));
//! sim.run_until_idle();
//! assert_eq!(sim.now().as_nanos(), 30_000_000_000);
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use super::executor::Executor;
use super::poller::{HostPoller, Poller, Readiness, Source, WatchList};
use super::time::{Clock, Instant, TurnClock};
use super::wait::{Interest, SocketKey};
use crate::synca::sync::{lock, Arc, Mutex};
use crate::synca::Entry;

/// Turns after which [`Sim::run_until_idle`] takes the run for endless.
const STEPS_MAX: u64 = 10_000_000;

/// A clock that moves only when told.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock(TurnClock);

impl VirtualClock {
    /// Moves to `to`; never back.
    pub fn set(&self, to: Instant) {
        self.0.set(to);
    }
}

impl Clock for VirtualClock {
    fn read(&self) -> Instant {
        self.0.now()
    }
}

/// A poller whose events are scripted along virtual time. Its `wait` never sleeps: it moves the clock to whatever
/// comes first.
pub struct SimPoller {
    sockets: HostPoller,
    clock: VirtualClock,
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    /// The number keeps events of the same time in the order they were written.
    timeline: BTreeMap<(Instant, u64), (SocketKey, u32)>,
    written: u64,
    notified: bool,
}

impl SimPoller {
    /// A poller on `clock`, with an empty script.
    pub fn new(clock: VirtualClock) -> Self {
        Self { sockets: HostPoller::new(), clock, script: Mutex::default() }
    }

    /// A socket becomes ready now: `bits` of [`Readiness`]. False: the key is stale.
    pub fn set_ready(&self, key: SocketKey, bits: u32) -> bool {
        self.sockets.set_ready(key, bits)
    }

    /// A socket becomes ready at a time; one gone by then is passed over.
    pub fn set_ready_at(&self, at: Instant, key: SocketKey, bits: u32) {
        let script = &mut *lock(&self.script);
        script.timeline.insert((at, script.written), (key, bits));
        script.written += 1;
    }

    /// When the next scripted event comes.
    pub fn next_scripted(&self) -> Option<Instant> {
        lock(&self.script).timeline.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Delivers what the script has up to the present time.
    fn play(&self) {
        let now = self.clock.read();
        loop {
            let (key, bits) = {
                let mut script = lock(&self.script);
                match script.timeline.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove(),
                    _ => return,
                }
            };
            self.sockets.set_ready(key, bits);
        }
    }
}

impl Poller for SimPoller {
    fn register(&self, source: Source) -> io::Result<(SocketKey, Arc<Readiness>)> {
        self.sockets.register(source)
    }

    fn deregister(&self, key: SocketKey) {
        self.sockets.deregister(key);
    }

    fn arm(&self, key: SocketKey, interest: Interest, waiter: Entry) -> bool {
        self.sockets.arm(key, interest, waiter)
    }

    fn disarm(&self, key: SocketKey, waiter: Entry) {
        self.sockets.disarm(key, waiter);
    }

    fn watch(&self, key: SocketKey, list: &Arc<WatchList>) -> bool {
        self.sockets.watch(key, list)
    }

    fn wait(&self, timeout: Option<Duration>, woken: &mut Vec<Entry>) -> io::Result<usize> {
        self.play();
        let notified = std::mem::take(&mut lock(&self.script).notified);
        if !notified && !self.sockets.has_events() {
            let limit = timeout.map(|timeout| self.clock.read().after(timeout));
            let to = match (limit, self.next_scripted()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            if let Some(to) = to {
                self.clock.set(to);
                self.play();
            }
        }
        self.sockets.wait(None, woken)
    }

    fn notify(&self) {
        lock(&self.script).notified = true;
    }

    fn handle(&self) -> Option<i64> {
        None
    }
}

/// An executor over a [`SimPoller`] and a [`VirtualClock`].
///
/// Every task is held to the rule that each wait must have been ended by something; a task that breaks it panics the
/// run, as does an empty wait.
pub struct Sim {
    executor: Executor,
    poller: Arc<SimPoller>,
    clock: VirtualClock,
}

impl Sim {
    /// A simulation at time zero whose order of tasks follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let clock = VirtualClock::default();
        let poller = Arc::new(SimPoller::new(clock.clone()));
        let mut executor = Executor::new(poller.clone(), Arc::new(clock.clone()));
        executor.set_strict(true);
        executor.assert_frugal = true;
        let mut state = seed;
        executor.picker = Some(Box::new(move |count| (split_mix(&mut state) % count as u64) as usize));
        Self { executor, poller, clock }
    }

    /// The executor, to spawn on or to drive by hand.
    pub fn executor(&mut self) -> &mut Executor {
        &mut self.executor
    }

    /// The scripted poller.
    pub fn poller(&self) -> Arc<SimPoller> {
        self.poller.clone()
    }

    /// The virtual clock.
    pub fn clock(&self) -> VirtualClock {
        self.clock.clone()
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.clock.read()
    }

    /// Lets time pass and runs what becomes ready on the way, each thing at its own time. Tasks that wait for what
    /// never comes are no deadlock here.
    pub fn advance(&mut self, by: Duration) {
        let to = self.now().after(by);
        loop {
            self.run_ready();
            let next = [self.executor.run_ready(Duration::ZERO).next_deadline, self.poller.next_scripted()];
            match next.into_iter().flatten().min().filter(|next| *next <= to) {
                // A time in the past is due now: the next round takes it.
                Some(next) => self.clock.set(next),
                None => break,
            }
        }
        self.clock.set(to);
    }

    /// Runs until no task is left.
    ///
    /// # Panics
    ///
    /// If tasks are left and nothing can ever wake them, printing what each waits for.
    pub fn run_until_idle(&mut self) {
        self.run_until(|| false, STEPS_MAX);
    }

    /// Runs until `done` says so (true) or no task is left (what `done` says then). Looks after each turn.
    ///
    /// # Panics
    ///
    /// After `steps_max` turns, and on a deadlock as [`run_until_idle`](Self::run_until_idle).
    pub fn run_until(&mut self, mut done: impl FnMut() -> bool, steps_max: u64) -> bool {
        for _ in 0..steps_max {
            if done() {
                return true;
            }
            if self.executor.task_count() == 0 {
                return false;
            }
            let turn = self.executor.run_once(Duration::ZERO);
            if turn.polls > 0 || turn.work_left || turn.events > 0 {
                continue;
            }
            let something_comes = turn.next_deadline.is_some() || self.poller.next_scripted().is_some();
            assert!(something_comes || self.poller.sockets.has_events(), "deadlock: {}", self.waits());
            self.executor.wait(None).expect("a simulated wait does not fail");
        }
        panic!("still running after {steps_max} turns: {}", self.waits());
    }

    /// Each task with its parent, its costs and what it waits for.
    pub fn waits(&self) -> String {
        let mut text = format!("at {:?}, {} tasks", self.now(), self.executor.task_count());
        for (entry, wait) in self.executor.tasks() {
            let (parent, stats) = (self.executor.parent_of(entry), self.executor.entry_stats(entry));
            // Writing to a string does not fail.
            let _ = write!(text, "\n  {entry:?} of {parent:?}: {wait:?}, {stats:?}");
        }
        text
    }

    fn run_ready(&mut self) {
        for _ in 0..STEPS_MAX {
            let turn = self.executor.run_once(Duration::ZERO);
            if turn.polls == 0 && turn.events == 0 && !turn.work_left {
                return;
            }
        }
        panic!("endless: {}", self.waits());
    }
}

/// SplitMix64: seeds that differ in one bit give unrelated orders.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
