//! How work reaches an executor from outside a step: [`ExecutorHandle`] for any thread, `Engine` for the actions of
//! tasks.

use std::collections::VecDeque;
use std::time::Duration;

use super::do_next::BoxedExecutionIterator;
use super::engine::{ExecutionEngine, GenericResult};
use super::executor::ExecutorStats;
use super::poller::Poller;
use super::time::{Instant, TurnClock};
use crate::synca::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::synca::sync::{lock, try_lock, Arc, Mutex, Weak};
use crate::synca::{Entry, EntryList, WakeQueue};

/// Makes a task on the thread that will run it.
pub(super) type MakeTask = Arc<dyn Fn() -> BoxedExecutionIterator + Send + Sync>;

/// What is staged: a task, or how to make one.
pub(super) enum Work {
    Task(BoxedExecutionIterator),
    Make(MakeTask),
}

/// Work on its way to the executor; its key is already reserved.
pub(super) struct Staged {
    pub(super) entry: Entry,
    pub(super) work: Work,
    pub(super) parent: Option<Entry>,
    pub(super) lifted: bool,
}

/// The inbox has so many parts, each with a lock of its own: who finds one held takes the next. So a step that spawns a
/// child does not wait for a thread that puts in a request at that moment, nor for two or three of them.
pub(super) const PARTS: usize = 4;

#[derive(Default)]
struct Part {
    /// The live keys of this part; see [`key`]. They are given out here so that whoever adds a task learns its real key
    /// at once.
    keys: EntryList<()>,
    /// Children, which are taken in at once.
    lifted: Vec<Staged>,
    /// The rest, oldest first; what lies in different parts has no order.
    staged: VecDeque<Staged>,
    closed: bool,
}

/// The executor's key for one of a part.
fn key(part: usize, local: Entry) -> Entry {
    Entry::new(local.index() * PARTS as u32 + part as u32, local.generation())
}

/// The part that gave a key out, and the key there.
pub(super) fn parted(entry: Entry) -> (usize, Entry) {
    let (index, parts) = (entry.index(), PARTS as u32);
    ((index % parts) as usize, Entry::new(index / parts, entry.generation()))
}

impl Part {
    fn remove(&mut self, entry: Entry) {
        self.keys.remove(parted(entry).1);
    }
}

/// An executor's counts as others may read them while it runs: as of its last turn.
#[derive(Default)]
pub(super) struct Published {
    polls: AtomicU64,
    pending_polls: AtomicU64,
    turns: AtomicU64,
    wakes: AtomicU64,
    empty_waits: AtomicU64,
    panics: AtomicU64,
    events: AtomicU64,
    deadlines: AtomicU64,
    /// Nanoseconds of the earliest deadline, or of the last turn if it left work; all ones: none.
    next_deadline: AtomicU64,
}

impl Published {
    /// Only the executor's driver does this. Nothing is ordered by these numbers.
    pub(super) fn set(&self, stats: &ExecutorStats) {
        self.polls.store(stats.polls, Ordering::Relaxed);
        self.pending_polls.store(stats.pending_polls, Ordering::Relaxed);
        self.turns.store(stats.turns, Ordering::Relaxed);
        self.wakes.store(stats.wakes, Ordering::Relaxed);
        self.empty_waits.store(stats.empty_waits, Ordering::Relaxed);
        self.panics.store(stats.panics, Ordering::Relaxed);
        self.events.store(stats.events, Ordering::Relaxed);
        self.deadlines.store(stats.deadlines, Ordering::Relaxed);
    }

    pub(super) fn set_next_deadline(&self, at: Option<Instant>) {
        self.next_deadline.store(at.map_or(u64::MAX, Instant::as_nanos), Ordering::Relaxed);
    }

    fn next_deadline(&self) -> Option<Instant> {
        // Zero before the first turn: nothing waits yet.
        Some(self.next_deadline.load(Ordering::Relaxed))
            .filter(|nanos| !matches!(*nanos, 0 | u64::MAX))
            .map(Instant::from_nanos)
    }

    fn read(&self) -> ExecutorStats {
        ExecutorStats {
            polls: self.polls.load(Ordering::Relaxed),
            pending_polls: self.pending_polls.load(Ordering::Relaxed),
            turns: self.turns.load(Ordering::Relaxed),
            wakes: self.wakes.load(Ordering::Relaxed),
            empty_waits: self.empty_waits.load(Ordering::Relaxed),
            panics: self.panics.load(Ordering::Relaxed),
            events: self.events.load(Ordering::Relaxed),
            deadlines: self.deadlines.load(Ordering::Relaxed),
        }
    }
}

/// The longest step so far and what it was about.
#[derive(Default)]
pub(super) struct LongestStep {
    /// Spares all other steps the lock.
    nanos: AtomicU64,
    step: Mutex<(Duration, u32)>,
}

impl LongestStep {
    /// Only the executor's driver does this.
    pub(super) fn offer(&self, took: Duration, label: u32) {
        // A reset seen late costs one look at the lock, or one step that is not kept.
        if took.as_nanos() as u64 > self.nanos.load(Ordering::Relaxed) {
            // Somebody asks for it at this very moment: then it does not count, lest the driver wait.
            let Some(mut step) = try_lock(&self.step) else { return };
            self.nanos.store(took.as_nanos() as u64, Ordering::Relaxed);
            *step = (took, label);
        }
    }

    fn report(&self, reset: bool) -> (Duration, u32) {
        let mut step = lock(&self.step);
        if !reset {
            return *step;
        }
        self.nanos.store(0, Ordering::Relaxed);
        std::mem::take(&mut *step)
    }
}

/// What an executor shares with its handles and engines.
pub(super) struct Shared {
    inbox: [Mutex<Part>; PARTS],
    /// A bit for each part in which something is staged, or was: spares a turn the other locks.
    filled: AtomicU32,
    pub(super) wakes: Arc<WakeQueue>,
    pub(super) poller: Arc<dyn Poller>,
    pub(super) clock: TurnClock,
    pub(super) published: Published,
    pub(super) longest_step: LongestStep,
    /// The host sleeps on the poller's handle, so work that comes between two turns must make it readable.
    pub(super) host_waits: AtomicBool,
    /// The executors a broadcast reaches; empty: only this one. Weak, since they know each other.
    peers: Mutex<Vec<Weak<Shared>>>,
}

impl Shared {
    pub(super) fn new(wakes: Arc<WakeQueue>, poller: Arc<dyn Poller>, clock: TurnClock) -> Arc<Self> {
        Arc::new(Self {
            inbox: std::array::from_fn(|_| Mutex::new(Part::default())),
            filled: AtomicU32::new(0),
            wakes,
            poller,
            clock,
            published: Published::default(),
            longest_step: LongestStep::default(),
            host_waits: AtomicBool::new(false),
            peers: Mutex::new(Vec::new()),
        })
    }

    /// Stages work; gives the work back if the executor is gone.
    pub(super) fn stage(&self, work: Work, parent: Option<Entry>, lifted: bool) -> Result<Entry, Work> {
        let entry = {
            let free = self.inbox.iter().enumerate().find_map(|(at, part)| Some((at, try_lock(part)?)));
            let (at, mut part) = free.unwrap_or_else(|| (0, lock(&self.inbox[0])));
            if part.closed {
                return Err(work);
            }
            let entry = key(at, part.keys.insert(()));
            let staged = Staged { entry, work, parent, lifted };
            match lifted {
                true => part.lifted.push(staged),
                false => part.staged.push_back(staged),
            }
            self.filled.fetch_or(1 << at, Ordering::SeqCst);
            entry
        };
        self.wakes.interrupt_if_sleeping();
        Ok(entry)
    }

    /// Moves what is staged to `into`, keeping the allocations, and gives the keys of tasks that are `over` back. Of
    /// each part it takes all children and `most` others: a host may have staged more than a turn has time for. Those,
    /// and what is in a part that another thread holds, stay for the next turn: a turn waits for nobody.
    pub(super) fn take_staged(&self, most: usize, into: &mut Vec<Staged>, over: &mut Vec<Entry>) {
        let ended = over.iter().fold(0, |bits, entry| bits | 1 << parted(*entry).0);
        let due = self.filled.swap(0, Ordering::SeqCst) | ended;
        for (at, part) in self.inbox.iter().enumerate().filter(|(at, _)| due & 1 << at != 0) {
            let Some(mut part) = try_lock(part) else {
                self.filled.fetch_or(1 << at, Ordering::SeqCst);
                continue;
            };
            into.append(&mut part.lifted);
            let some = part.staged.len().min(most);
            into.extend(part.staged.drain(..some));
            if !part.staged.is_empty() {
                self.filled.fetch_or(1 << at, Ordering::SeqCst);
            }
            over.retain(|entry| {
                let here = parted(*entry).0 == at;
                if here {
                    part.remove(*entry);
                }
                !here
            });
        }
    }

    /// Something is staged. After [`WakeQueue::prepare_sleep`] also for who is about to sleep, without the lock:
    /// `stage` stores this before its own swap of the sleeper's flag, so that either it is seen here, or that swap sees
    /// the sleeper.
    pub(super) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::SeqCst) != 0
    }

    /// The task under `entry` is over. False: another thread stages; try again.
    pub(super) fn try_release(&self, entry: Entry) -> bool {
        try_lock(&self.inbox[parted(entry).0]).map(|mut part| part.remove(entry)).is_some()
    }

    /// The same, for who may wait.
    pub(super) fn release(&self, entry: Entry) {
        lock(&self.inbox[parted(entry).0]).remove(entry);
    }

    /// Tasks alive, staged ones included.
    pub(super) fn task_count(&self) -> usize {
        self.inbox.iter().map(|part| lock(part).keys.len()).sum()
    }

    /// Nothing more is taken in. What was staged comes back, to be dropped outside the lock.
    pub(super) fn close(&self) -> Vec<Staged> {
        let mut staged = Vec::new();
        for part in &self.inbox {
            let mut part = lock(part);
            part.closed = true;
            staged.append(&mut part.lifted);
            staged.extend(part.staged.drain(..));
        }
        staged
    }

    fn broadcast(&self, make: MakeTask) -> bool {
        // Copied out: `stage` may drop work, and what is dropped there may call anything.
        let peers: Vec<_> = lock(&self.peers).iter().filter_map(Weak::upgrade).collect();
        if peers.is_empty() {
            return self.stage(Work::Make(make), None, false).is_ok();
        }
        // Each peer is told, whether or not another is gone.
        let mut all = true;
        for peer in peers {
            all &= peer.stage(Work::Make(make.clone()), None, false).is_ok();
        }
        all
    }
}

/// An executor as other threads and the host see it. Cheap to clone; harmless after the executor is gone.
#[derive(Clone)]
pub struct ExecutorHandle {
    pub(super) shared: Arc<Shared>,
}

impl ExecutorHandle {
    /// Adds a task at the back of the queue. Any thread. Of an executor that is gone, the task is dropped.
    pub fn spawn(&self, task: BoxedExecutionIterator) {
        let _ = self.shared.stage(Work::Task(task), None, false);
    }

    /// As [`spawn`](Self::spawn), and answers the task's key; `None`: the executor is gone.
    pub fn schedule(&self, task: BoxedExecutionIterator) -> Option<Entry> {
        self.shared.stage(Work::Task(task), None, false).ok()
    }

    /// Adds a task before all scheduled ones, as a child of `parent`. Any thread; `None`: the executor is gone.
    pub fn lift(&self, task: BoxedExecutionIterator, parent: Option<Entry>) -> Option<Entry> {
        self.shared.stage(Work::Task(task), parent, true).ok()
    }

    /// Ends a wait of the executor, now or the next one.
    pub fn notify(&self) {
        self.shared.poller.notify();
    }

    /// Its driver sleeps, or is about to.
    #[cfg(test)]
    pub fn is_asleep(&self) -> bool {
        self.shared.wakes.is_asleep()
    }

    /// The executor's poller.
    pub fn poller(&self) -> Arc<dyn Poller> {
        self.shared.poller.clone()
    }

    /// The present turn's time.
    pub fn clock(&self) -> TurnClock {
        self.shared.clock.clone()
    }

    /// Tasks were spawned that no turn has taken in yet.
    pub fn has_injected(&self) -> bool {
        self.shared.is_filled()
    }

    /// Tasks alive, those not yet taken in included.
    pub fn task_count(&self) -> usize {
        self.shared.task_count()
    }

    /// The executor's counts as of its last turn, also after it is gone. Any thread.
    pub fn stats(&self) -> ExecutorStats {
        self.shared.published.read()
    }

    /// The earliest deadline as of the executor's last turn; the time of that turn if it left work. Any thread.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.shared.published.next_deadline()
    }

    /// The longest step and its task's label; `reset`: and from here on anew. Any thread.
    pub fn longest_step(&self, reset: bool) -> (Duration, u32) {
        self.shared.longest_step.report(reset)
    }

    /// Whether the host sleeps on the poller's handle in a loop of its own. While it does, whatever comes between two
    /// turns makes the handle readable, at the price of one system call for the first thing that comes; a host
    /// that only polls does not pay it.
    pub fn set_host_waits(&self, on: bool) {
        self.shared.host_waits.store(on, Ordering::SeqCst);
        if on {
            // The first turn arms the rest.
            self.shared.poller.notify();
        }
    }

    /// The executors that a broadcast from this one reaches, itself included.
    pub fn set_peers(&self, peers: &[ExecutorHandle]) {
        *lock(&self.shared.peers) = peers.iter().map(|peer| Arc::downgrade(&peer.shared)).collect();
    }

    /// Gives every peer a task of its own, made by `make` there. False: an executor was gone.
    pub fn broadcast(&self, make: Box<dyn Fn() -> BoxedExecutionIterator + Send + Sync>) -> bool {
        self.shared.broadcast(Arc::from(make))
    }
}

/// The executor as an action sees it. It stages; the executor takes that in right after the step, so nothing here
/// borrows it.
pub(super) struct Engine {
    pub(super) shared: Arc<Shared>,
}

const GONE: &str = "the executor is gone";

impl ExecutionEngine for Engine {
    fn schedule(&self, task: BoxedExecutionIterator) -> GenericResult<Entry> {
        self.shared.stage(Work::Task(task), None, false).map_err(|_| GONE.into())
    }

    fn lift(&self, task: BoxedExecutionIterator, parent: Option<Entry>) -> GenericResult<Entry> {
        self.shared.stage(Work::Task(task), parent, true).map_err(|_| GONE.into())
    }

    fn broadcast(&self, make: Box<dyn Fn() -> BoxedExecutionIterator + Send + Sync>) -> GenericResult<()> {
        if self.shared.broadcast(Arc::from(make)) {
            Ok(())
        } else {
            Err(GONE.into())
        }
    }
}
