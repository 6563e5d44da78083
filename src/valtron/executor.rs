//! [`Executor`]: one poller, its timers, a table of tasks and the queues of those that are ready. `single`, `multi`
//! and `sim` drive it.
//!
//! ```text
//!   spawn, lift --> inbox --.
//!   TaskWaker ----> wakes --+--> run queues --> step --+--> progressed: to the back
//!   poller -------> events -+                          +--> pending: parked (poller, timers, waker)
//!   timers -------> due ----'                          '--> over, or panicked: gone
//! ```
//!
//! A call of [`Executor::run_once`] is a sequence of *turns*. A turn takes in what came from all four sides, then
//! gives each task that is ready one step. All of a turn shares one `now`.

use std::collections::VecDeque;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Duration;

use super::inbox::{ExecutorHandle, Shared, Staged, Work};
use super::poller::Poller;
use super::queue::RunQueues;
use super::step::{drop_guarded, ready};
use super::table::{EntryStats, TaskSlot, TaskTable};
use super::time::{Clock, Instant, TurnClock};
use super::timers::Timers;
use super::wait::Wait;
use crate::synca::sync::atomic::Ordering;
use crate::synca::sync::Arc;
use crate::synca::{Entry, TaskWaker, WakeQueue};

/// While tasks stay ready, the poller is looked at every so many turns, so that sockets of others do not starve.
const LOOK_TURNS: u64 = 16;

/// Ready tasks beyond which a wait does not ask the poller for more.
const ENOUGH_READY: usize = 32;
/// But every so many waits it does: about a millisecond, for who runs slices of a quarter of one between them.
const LOOK_WAITS: u32 = 4;

/// What a call of [`Executor::run_once`] leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Tasks are ready: call again soon.
    pub work_left: bool,
    /// When the earliest timer is due.
    pub next_deadline: Option<Instant>,
    /// Steps made in this call.
    pub polls: u64,
    /// Socket events found in this call.
    pub events: usize,
    /// When it began.
    pub begun: Instant,
    /// When its last step was over.
    pub ended: Instant,
}

/// What an executor has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutorStats {
    /// Steps of tasks.
    pub polls: u64,
    /// Steps that ended in a wait.
    pub pending_polls: u64,
    /// Turns; a call of `run_once` makes one or more.
    pub turns: u64,
    /// Wakes that reached a task; coalesced ones count once.
    pub wakes: u64,
    /// Waits that nothing could end, or that spun: bugs of tasks.
    pub empty_waits: u64,
    /// Tasks that panicked.
    pub panics: u64,
    /// Socket events that reached a task.
    pub events: u64,
    /// Deadlines that reached a task.
    pub deadlines: u64,
}

impl std::ops::AddAssign for ExecutorStats {
    fn add_assign(&mut self, other: Self) {
        self.polls += other.polls;
        self.pending_polls += other.pending_polls;
        self.turns += other.turns;
        self.wakes += other.wakes;
        self.empty_waits += other.empty_waits;
        self.panics += other.panics;
        self.events += other.events;
        self.deadlines += other.deadlines;
    }
}

/// Which of `n` ready tasks runs next; a simulator's.
pub(super) type Picker = Box<dyn FnMut(usize) -> usize + Send>;

/// One poller and the tasks that wait at it. A task never leaves its executor.
pub struct Executor {
    pub(super) shared: Arc<Shared>,
    source: Arc<dyn Clock>,
    pub(super) now: TurnClock,
    pub(super) table: TaskTable,
    pub(super) queues: RunQueues,
    pub(super) timers: Timers,
    pub(super) stats: ExecutorStats,
    pub(super) strict: bool,
    pub(super) assert_frugal: bool,
    pub(super) picker: Option<Picker>,
    /// What the last step was about.
    pub(super) label: u32,
    /// Waits since the last one that looked at the poller, while tasks were ready.
    waits_unlooked: u32,
    // Kept for their allocations.
    woken: Vec<Entry>,
    staged: Vec<Staged>,
    /// Of tasks that are over, oldest first.
    pub(super) spent_wakers: VecDeque<TaskWaker>,
    /// Tasks whose keys are still to be given back.
    pub(super) over: Vec<Entry>,
    /// What came in, beyond what one turn takes.
    backlog: Backlog,
}

/// New work, wakes and deadlines that wait for the next turn.
#[derive(Default)]
struct Backlog {
    staged: VecDeque<Staged>,
    woken: VecDeque<Entry>,
    due: bool,
}

impl Backlog {
    fn is_empty(&self) -> bool {
        self.staged.is_empty() && self.woken.is_empty() && !self.due
    }
}

/// New tasks, wakes and deadlines that one turn takes in, of each kind: a few hundred nanoseconds each, so that taking
/// in ten thousand does not outlast a budget. Children that a step lifts are taken in at once.
const INTAKE_MAX: usize = 256;
/// Taking in so many takes no longer than a step.
const FEW_READY: usize = 8;
/// The same after a step that spawned: what it scheduled, if not many others wait to be taken in.
const SPAWNED_MAX: usize = 16;

/// Wakers of tasks that are over, kept for the next ones: some 50 bytes each.
pub(super) const SPENT_WAKERS_MAX: usize = 256;

impl Executor {
    /// An executor over `poller`, which reads the time from `clock`.
    pub fn new(poller: Arc<dyn Poller>, clock: Arc<dyn Clock>) -> Self {
        // Weak: sockets hold watch lists, those hold wakers, and those this closure.
        let interrupted = Arc::downgrade(&poller);
        let wakes = WakeQueue::new(Box::new(move || {
            if let Some(poller) = interrupted.upgrade() {
                poller.notify();
            }
        }));
        let now = TurnClock::default();
        now.set(clock.read());
        Self {
            shared: Shared::new(wakes, poller, now.clone()),
            source: clock,
            now,
            table: TaskTable::default(),
            queues: RunQueues::default(),
            timers: Timers::default(),
            stats: ExecutorStats::default(),
            strict: cfg!(test),
            assert_frugal: false,
            picker: None,
            label: 0,
            waits_unlooked: 0,
            woken: Vec::new(),
            staged: Vec::new(),
            spent_wakers: VecDeque::new(),
            over: Vec::new(),
            backlog: Backlog::default(),
        }
    }

    /// Whether an empty wait panics (as in tests and in the simulator) or is counted and slowed down.
    pub fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    /// Looks at the poller, then runs ready tasks until none is ready or `budget` is spent; zero makes one turn.
    /// Never blocks.
    ///
    /// What the steps themselves made ready is looked for once they run dry, so that an answer already in a socket
    /// comes within this call.
    pub fn run_once(&mut self, budget: Duration) -> Turn {
        self.drive(budget, true)
    }

    /// As [`run_once`](Self::run_once) without a look at the poller: for a driver that has just come from
    /// [`wait`](Self::wait) and wants one system call for both.
    pub fn run_ready(&mut self, budget: Duration) -> Turn {
        self.drive(budget, false)
    }

    /// Blocks until an event, the next deadline, a wake, new work or a notify; no longer than `timeout`. Returns at
    /// once while tasks are ready. Runs no task: call [`run_ready`](Self::run_ready) after it. A signal ends it
    /// with [`io::ErrorKind::Interrupted`].
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.wait_from(self.source.read(), timeout)
    }

    /// The same for a driver that knows what time it is.
    pub fn wait_from(&mut self, now: Instant, timeout: Option<Duration>) -> io::Result<usize> {
        if !self.queues.is_empty() || !self.backlog.is_empty() {
            // Only a look, so that the sockets of parked tasks do not starve behind one that is always ready. While
            // many are ready it would only lengthen the queue, and what lies long in it is no longer in the
            // processor's caches when its time comes.
            self.waits_unlooked += 1;
            if self.queues.len() >= ENOUGH_READY && self.waits_unlooked < LOOK_WAITS {
                return Ok(0);
            }
            self.waits_unlooked = 0;
            return self.look(Some(Duration::ZERO));
        }
        let until_deadline = self.next_deadline().map(|at| at.since(now));
        let timeout = match (timeout, until_deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let quiet = self.shared.wakes.prepare_sleep();
        let result = if quiet && !self.shared.is_filled() { self.look(timeout) } else { Ok(0) };
        self.shared.wakes.end_sleep();
        if !quiet {
            // Else the next turn might find it held, and this one be called again at once.
            self.shared.wakes.drain_all(&mut self.woken);
            self.backlog.woken.extend(self.woken.drain(..));
        }
        self.signal_host();
        result
    }

    /// The executor as other threads see it.
    pub fn handle(&self) -> ExecutorHandle {
        ExecutorHandle { shared: self.shared.clone() }
    }

    /// Tasks alive, those not yet taken in included.
    pub fn task_count(&self) -> usize {
        self.shared.task_count()
    }

    /// The counts so far.
    pub fn stats(&self) -> ExecutorStats {
        self.stats
    }

    /// What the task under `entry` has cost; `None` once it is over.
    pub fn entry_stats(&self, entry: Entry) -> Option<EntryStats> {
        self.table.get(entry).map(|slot| slot.stats)
    }

    /// Who lifted the task under `entry`.
    pub fn parent_of(&self, entry: Entry) -> Option<Entry> {
        self.table.get(entry)?.parent
    }

    /// What the task under `entry` is parked on; `None` if it is ready or over.
    pub fn wait_of(&self, entry: Entry) -> Option<Wait> {
        self.table.get(entry)?.wait
    }

    /// Every task taken in, with what it is parked on.
    pub fn tasks(&self) -> impl Iterator<Item = (Entry, Option<Wait>)> + '_ {
        self.table.iter().map(|slot| (slot.entry, slot.wait))
    }

    /// Now, from the executor's clock; `handle().clock()` has the turn's.
    pub fn read_clock(&self) -> Instant {
        self.source.read()
    }

    fn drive(&mut self, budget: Duration, look_first: bool) -> Turn {
        if self.shared.host_waits.load(Ordering::SeqCst) {
            self.shared.wakes.end_sleep();
        }
        let mut now = self.source.read();
        let mut turn = Turn { begun: now, ..Turn::default() };
        let end = now.after(budget);
        let mut look = look_first;
        let mut progressed = false;
        loop {
            self.now.set(now);
            self.stats.turns += 1;
            if look {
                // A failed look is not the tasks' affair; `wait` reports it.
                turn.events += self.look(Some(Duration::ZERO)).unwrap_or(0);
                progressed = false;
            }
            self.take_staged();
            self.take_backlog(INTAKE_MAX, RunQueues::push_new);
            self.take_wakes();
            self.fire_timers(now);
            if self.queues.is_empty() {
                if self.backlog.is_empty() {
                    break;
                }
                // Wakes of tasks that are gone: they cost time, too.
                now = self.source.read();
                if now >= end {
                    break;
                }
                look = false;
                continue;
            }
            let steps = self.queues.len();
            if look || steps > FEW_READY {
                // Else what was taken in took no time worth a look at the clock.
                now = self.source.read();
            }
            for _ in 0..steps {
                let begun = now;
                progressed |= self.step();
                turn.polls += 1;
                now = self.source.read();
                self.shared.longest_step.offer(now.since(begun), self.label);
                if now >= end && !budget.is_zero() {
                    break;
                }
            }
            if now >= end {
                break;
            }
            let dry = self.queues.is_empty() && progressed;
            look = look_first && (dry || self.stats.turns % LOOK_TURNS == 0);
        }
        turn.ended = now;
        turn.work_left = self.has_work();
        turn.next_deadline = self.next_deadline();
        self.shared.published.set(&self.stats);
        self.shared.published.set_next_deadline(if turn.work_left { Some(now) } else { turn.next_deadline });
        self.signal_host();
        turn
    }

    fn has_work(&self) -> bool {
        let shared = &self.shared;
        !self.queues.is_empty() || !self.backlog.is_empty() || shared.is_filled() || !shared.wakes.is_empty()
    }

    /// Leaves the poller's handle readable if there is work, or armed so that the first work to come makes it so.
    fn signal_host(&self) {
        if !self.shared.host_waits.load(Ordering::SeqCst) {
            return;
        }
        let idle = self.queues.is_empty()
            && self.backlog.is_empty()
            && self.shared.wakes.prepare_sleep()
            && !self.shared.is_filled();
        if !idle {
            self.shared.wakes.end_sleep();
            self.shared.poller.notify();
        }
    }

    /// Waits at the poller and readies the tasks whose sockets had events.
    fn look(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let mut woken = std::mem::take(&mut self.woken);
        let result = self.shared.poller.wait(timeout, &mut woken);
        for entry in woken.drain(..) {
            let Some(slot) = self.table.get_mut(entry) else { continue };
            slot.armed = None;
            slot.stats.events += 1;
            self.stats.events += 1;
            ready(slot, &mut self.queues);
        }
        self.woken = woken;
        result
    }

    fn take_wakes(&mut self) {
        if !self.shared.wakes.is_empty() {
            self.shared.wakes.drain(&mut self.woken);
            self.backlog.woken.extend(self.woken.drain(..));
        }
        for _ in 0..INTAKE_MAX {
            let Some(entry) = self.backlog.woken.pop_front() else { break };
            // A clear bit means that a step began after this wake, and saw what it was about.
            if let Some(slot) = self.table.get_mut(entry).filter(|slot| slot.waker.is_notified()) {
                ready(slot, &mut self.queues);
            }
        }
    }

    fn next_deadline(&mut self) -> Option<Instant> {
        self.timers.next(|at, entry| self.table.is_due_at(entry, at))
    }

    fn fire_timers(&mut self, now: Instant) {
        self.backlog.due = false;
        let mut fired = 0;
        while let Some(entry) = self.timers.pop_due(now, |at, entry| self.table.is_due_at(entry, at)) {
            fired += 1;
            self.backlog.due = fired == INTAKE_MAX;
            let Some(slot) = self.table.get_mut(entry) else { continue };
            slot.deadline = None;
            if slot.wait.is_some() {
                slot.stats.deadlines += 1;
                self.stats.deadlines += 1;
                ready(slot, &mut self.queues);
            }
            if self.backlog.due {
                break;
            }
        }
    }

    pub(super) fn take_staged(&mut self) {
        if !self.shared.is_filled() && self.over.is_empty() {
            return;
        }
        let mut staged = std::mem::take(&mut self.staged);
        let most = INTAKE_MAX.saturating_sub(self.backlog.staged.len());
        self.shared.take_staged(most, &mut staged, &mut self.over);
        for one in staged.drain(..) {
            match one.lifted {
                true => self.take_in(one, RunQueues::push_lifted),
                false => self.backlog.staged.push_back(one),
            }
        }
        self.staged = staged;
    }

    /// What a step spawned.
    pub(super) fn take_spawned(&mut self) {
        self.take_staged();
        // As scheduled: behind what is ready.
        self.take_backlog(SPAWNED_MAX, RunQueues::push);
    }

    fn take_backlog(&mut self, max: usize, push: fn(&mut RunQueues, Entry)) {
        for _ in 0..max {
            let Some(staged) = self.backlog.staged.pop_front() else { break };
            self.take_in(staged, push);
        }
    }

    fn take_in(&mut self, staged: Staged, push: fn(&mut RunQueues, Entry)) {
        let Staged { entry, work, parent, .. } = staged;
        let task = match work {
            Work::Task(task) => task,
            Work::Make(make) => match catch_unwind(AssertUnwindSafe(|| make())) {
                Ok(task) => task,
                Err(payload) => {
                    self.stats.panics += 1;
                    drop_guarded(payload);
                    self.shared.release(entry);
                    return;
                }
            },
        };
        // The oldest is the likeliest to be held by nobody else any more.
        let renewed = self.spent_wakers.pop_front().and_then(|mut waker| waker.renew(entry).then_some(waker));
        let waker = renewed.unwrap_or_else(|| TaskWaker::new(entry, self.shared.wakes.clone()));
        let mut slot = TaskSlot::new(entry, task, waker, parent);
        slot.queued = true;
        self.table.insert(slot);
        push(&mut self.queues, entry);
    }
}

impl Drop for Executor {
    /// Drops all tasks, one guarded from the other; whoever waits for their results sees closed channels.
    fn drop(&mut self) {
        // Tasks may spawn while they are dropped; closed comes first, so that this has an end.
        let backlog = std::mem::take(&mut self.backlog.staged);
        for staged in self.shared.close().into_iter().chain(backlog) {
            self.shared.release(staged.entry);
            drop_guarded(staged.work);
        }
        while let Some(slot) = self.table.pop() {
            if let Some(key) = slot.armed {
                self.shared.poller.disarm(key, slot.entry);
            }
            self.shared.release(slot.entry);
            drop_guarded(slot.task);
        }
    }
}
