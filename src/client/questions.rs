//! The host's say: questions about the actions a request spawns, and the jobs a host takes to its own threads.
//!
//! A question belongs to the task that asks it. The task parks on its waker and on the answer's deadline; whoever
//! answers, from any thread, wakes it. So no callback ever runs inside a task, and an unanswered question needs
//! nobody's care.

use std::collections::{BTreeMap, HashMap};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::status::Status;
use crate::synca::sync::lock;
use crate::synca::TaskWaker;

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SpawnKind {
    /// Follow a redirect.
    Redirect = 1,
    /// Do a TLS handshake.
    TlsUpgrade = 2,
    /// Look a name up.
    Resolve = 4,
}

/// The host's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The library does it.
    Run,
    /// It is not done.
    Deny,
    /// The host runs the work as a job; for a redirect, as `Run`.
    Take,
    /// Only from the callback: the answer comes later, by id.
    Later,
}

/// A question, as the host sees it.
#[derive(Clone, Debug)]
pub struct SpawnInfo {
    /// Names the action; the steps of one handshake share it.
    pub spawn_id: u64,
    /// The request's handle.
    pub request: u64,
    /// The request's user data.
    pub user_data: usize,
    /// What it is about.
    pub kind: SpawnKind,
    /// The handshake's step, from 0.
    pub step: u32,
    /// The redirect's status, else 0.
    pub http_status: i32,
    /// The port, else 0.
    pub port: u32,
    /// The redirect's target, or the host's name.
    pub text: Arc<str>,
}

/// Answers questions. Runs on a driving thread with no lock held.
pub type SpawnCallback = Box<dyn Fn(&SpawnInfo, &Arc<Job>) -> Decision + Send + Sync>;

/// The work of a job.
pub type Work = Box<dyn FnOnce() + Send>;

enum JobState {
    Idle(Option<Work>),
    Running,
    Done,
    Expired,
    Cancelled,
}

/// One piece of work that a host may run on any thread, at most once.
pub struct Job {
    state: Mutex<JobState>,
    owner: TaskWaker,
    desk: Weak<Desk>,
    request: u64,
}

impl Job {
    fn new(work: Option<Work>, owner: TaskWaker, desk: &Arc<Desk>, request: u64) -> Self {
        Self { state: Mutex::new(JobState::Idle(work)), owner, desk: Arc::downgrade(desk), request }
    }

    /// Runs the work here and now, if it still waits.
    pub fn run(&self) -> Status {
        // A host knows of a request's end before the task that asked has run again: by its own cancel, or by a worker.
        if !self.desk.upgrade().is_some_and(|desk| (desk.live)(self.request)) {
            self.cancel();
        }
        let work = {
            let mut state = lock(&self.state);
            match &mut *state {
                JobState::Idle(work) => {
                    let work = work.take();
                    *state = JobState::Running;
                    work
                }
                JobState::Running | JobState::Done => return Status::JobAlreadyRun,
                JobState::Expired => return Status::JobExpired,
                JobState::Cancelled => return Status::JobCancelled,
            }
        };
        // A panic leaves no result behind: the owner sees a job done without one and fails that request alone.
        let outcome = work.map(|work| catch_unwind(AssertUnwindSafe(work)));
        *lock(&self.state) = JobState::Done;
        self.owner.wake();
        match outcome {
            Some(Err(_)) => Status::Internal,
            _ => Status::Ok,
        }
    }

    /// It was started; its clock has stopped.
    pub fn started(&self) -> bool {
        matches!(*lock(&self.state), JobState::Running | JobState::Done)
    }

    /// The work is over.
    pub fn is_done(&self) -> bool {
        matches!(*lock(&self.state), JobState::Done)
    }

    /// The owner takes the work back, unless it was started.
    pub fn reclaim(&self) -> Option<Work> {
        let mut state = lock(&self.state);
        match &mut *state {
            JobState::Idle(work) => {
                let work = work.take();
                *state = JobState::Expired;
                work
            }
            _ => None,
        }
    }

    fn cancel(&self) {
        let mut state = lock(&self.state);
        if let JobState::Idle(work) = &mut *state {
            let work = work.take();
            *state = JobState::Cancelled;
            drop(state);
            drop(work);
        }
    }
}

/// The asking task's end of a question; dropped, it withdraws the question and cancels the job.
pub struct Question {
    shared: Arc<QuestionShared>,
    desk: Arc<Desk>,
}

struct QuestionShared {
    info: SpawnInfo,
    job: Arc<Job>,
    waker: TaskWaker,
    decision: Mutex<Option<Decision>>,
}

impl Question {
    /// The answer, once there is one.
    pub fn decision(&self) -> Option<Decision> {
        *lock(&self.shared.decision)
    }

    /// Nobody answered in time: from now on the answer is `Run`.
    pub fn expire(&self) -> Decision {
        self.desk.close(&self.shared, Some(Decision::Run));
        self.decision().unwrap_or(Decision::Run)
    }

    /// The job with the work.
    pub fn job(&self) -> &Arc<Job> {
        &self.shared.job
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.desk.close(&self.shared, None);
        self.shared.job.cancel();
    }
}

/// Where the questions of one client lie.
pub struct Desk {
    inner: Mutex<DeskInner>,
    last_id: AtomicU64,
    /// Counts of what lies in `inner`, for every poll to read without its lock.
    unasked: AtomicUsize,
    unpulled: AtomicUsize,
    jobs_taken: AtomicU64,
    live: Box<dyn Fn(u64) -> bool + Send + Sync>,
}

/// A question that is not answered.
struct Open {
    question: Arc<QuestionShared>,
    place: Place,
}

/// Where a question lies, by its turn there.
#[derive(Clone, Copy)]
enum Place {
    Unasked(u64),
    Unpulled(u64),
    /// The host knows of it.
    Told,
}

/// Neither list holds a question that was answered or withdrawn, so that they end with the host's requests, however
/// rarely it comes to look.
#[derive(Default)]
struct DeskInner {
    open: HashMap<u64, Open>,
    /// For the callback, in order.
    unasked: BTreeMap<u64, u64>,
    /// For the pull form, in order.
    unpulled: BTreeMap<u64, u64>,
    last_turn: u64,
}

impl DeskInner {
    fn turn(&mut self) -> u64 {
        self.last_turn += 1;
        self.last_turn
    }

    /// Takes a question out of the list in which it lies.
    fn unlist(&mut self, place: Place) {
        match place {
            Place::Unasked(turn) => self.unasked.remove(&turn),
            Place::Unpulled(turn) => self.unpulled.remove(&turn),
            Place::Told => None,
        };
    }

    /// The oldest of a list, from now on told.
    fn first(&mut self, list: fn(&mut Self) -> &mut BTreeMap<u64, u64>) -> Option<Arc<QuestionShared>> {
        let (_, id) = list(self).pop_first()?;
        let open = self.open.get_mut(&id)?;
        open.place = Place::Told;
        Some(open.question.clone())
    }
}

impl Desk {
    /// `live` tells, with no lock held, whether a request has neither ended, nor was told to, nor been freed. Else it
    /// withdraws its question soon; until then nobody is asked, as the host may have forgotten the request's user data.
    pub fn new(live: impl Fn(u64) -> bool + Send + Sync + 'static) -> Self {
        Self {
            inner: Mutex::default(),
            last_id: AtomicU64::new(0),
            unasked: AtomicUsize::new(0),
            unpulled: AtomicUsize::new(0),
            jobs_taken: AtomicU64::new(0),
            live: Box::new(live),
        }
    }

    /// A new id for an action.
    pub fn new_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Puts a question on the desk. `work` is what a `Take` would run.
    pub fn ask(self: &Arc<Self>, info: SpawnInfo, work: Option<Work>, waker: TaskWaker) -> Question {
        let job = Arc::new(Job::new(work, waker.clone(), self, info.request));
        let shared = Arc::new(QuestionShared { info, job, waker, decision: Mutex::new(None) });
        let (id, mut inner) = (shared.info.spawn_id, lock(&self.inner));
        let turn = inner.turn();
        inner.unasked.insert(turn, id);
        let before = inner.open.insert(id, Open { question: shared.clone(), place: Place::Unasked(turn) });
        before.into_iter().for_each(|before| inner.unlist(before.place));
        self.count(&inner);
        Question { shared, desk: self.clone() }
    }

    /// Something waits for [`pump`](Self::pump).
    pub fn has_unasked(&self) -> bool {
        self.unasked.load(Ordering::SeqCst) > 0
    }

    /// Questions for [`next`](Self::next).
    pub fn unpulled(&self) -> usize {
        self.unpulled.load(Ordering::SeqCst)
    }

    /// Puts each new question to the callback, or in the pull queue. Call it with no lock held. Returns how many were
    /// answered, and gives each that was not to `pulled`.
    pub fn pump(&self, callback: Option<&SpawnCallback>, mut pulled: impl FnMut(&SpawnInfo)) -> usize {
        let mut answered = 0;
        loop {
            let question = {
                let mut inner = lock(&self.inner);
                let Some(question) = inner.first(|inner| &mut inner.unasked) else { return answered };
                self.count(&inner);
                question
            };
            if !(self.live)(question.info.request) {
                continue;
            }
            let Some(callback) = callback else {
                if self.lay_out(&question) {
                    pulled(&question.info);
                }
                continue;
            };
            match callback(&question.info, &question.job) {
                Decision::Later => {}
                decision => answered += usize::from(self.settle(&question, decision)),
            }
        }
    }

    /// The next question of the pull form; each is handed out once.
    pub fn next(&self) -> Option<SpawnInfo> {
        while self.unpulled() > 0 {
            let question = {
                let mut inner = lock(&self.inner);
                let question = inner.first(|inner| &mut inner.unpulled)?;
                self.count(&inner);
                question
            };
            if (self.live)(question.info.request) {
                return Some(question.info.clone());
            }
        }
        None
    }

    /// Answers by id.
    pub fn decide(&self, spawn_id: u64, decision: Decision) -> Result<Option<Arc<Job>>, Status> {
        if decision == Decision::Later {
            return Err(Status::Decision);
        }
        let question = lock(&self.inner).open.get(&spawn_id).map(|open| open.question.clone());
        let question = question.filter(|question| (self.live)(question.info.request)).ok_or(Status::NoSpawn)?;
        if !self.settle(&question, decision) {
            return Err(Status::NoSpawn);
        }
        Ok((decision == Decision::Take).then(|| question.job.clone()))
    }

    /// Jobs that hosts took so far.
    pub fn jobs_taken(&self) -> u64 {
        self.jobs_taken.load(Ordering::SeqCst)
    }

    /// Puts a question in the pull queue, unless it was answered or withdrawn meanwhile.
    fn lay_out(&self, question: &Arc<QuestionShared>) -> bool {
        let (id, mut inner) = (question.info.spawn_id, lock(&self.inner));
        let turn = inner.turn();
        let Some(open) = inner.open.get_mut(&id).filter(|open| Arc::ptr_eq(&open.question, question)) else {
            return false;
        };
        open.place = Place::Unpulled(turn);
        inner.unpulled.insert(turn, id);
        self.count(&inner);
        true
    }

    /// Answers a question. False: it was answered, timed out or withdrawn before.
    fn settle(&self, question: &Arc<QuestionShared>, decision: Decision) -> bool {
        // A redirect has no work to take: who takes it lets it run.
        let decision = match (question.info.kind, decision) {
            (SpawnKind::Redirect, Decision::Take) => Decision::Run,
            (_, decision) => decision,
        };
        let open = self.close(question, Some(decision));
        if open {
            question.waker.wake();
        }
        open
    }

    /// Takes a question off the desk, with its decision in the same breath: whoever comes second finds it gone. Another
    /// question may lie under the same id by then, of a later step of the same handshake; it stays.
    fn close(&self, question: &Arc<QuestionShared>, decision: Option<Decision>) -> bool {
        let mut inner = lock(&self.inner);
        let id = question.info.spawn_id;
        if !inner.open.get(&id).is_some_and(|open| Arc::ptr_eq(&open.question, question)) {
            return false;
        }
        if let Some(open) = inner.open.remove(&id) {
            inner.unlist(open.place);
            self.count(&inner);
        }
        self.jobs_taken.fetch_add(u64::from(decision == Some(Decision::Take)), Ordering::SeqCst);
        *lock(&question.decision) = decision;
        true
    }

    /// How long the lists are, of those to be asked and to be pulled.
    #[cfg(test)]
    pub fn listed(&self) -> (usize, usize) {
        let inner = lock(&self.inner);
        (inner.unasked.len(), inner.unpulled.len())
    }

    fn count(&self, inner: &DeskInner) {
        self.unasked.store(inner.unasked.len(), Ordering::SeqCst);
        self.unpulled.store(inner.unpulled.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synca::{Entry, WakeQueue};

    fn ask(desk: &Arc<Desk>, spawn_id: u64, step: u32) -> Question {
        let waker = TaskWaker::new(Entry::new(0, 1), WakeQueue::new(Box::new(|| {})));
        let kind = SpawnKind::TlsUpgrade;
        let text = "a.test".into();
        let info = SpawnInfo { spawn_id, request: 1, user_data: 0, kind, step, http_status: 0, port: 0, text };
        desk.ask(info, None, waker)
    }

    /// Goal: a host that never looks, or that leaves one question lying, costs no memory: of those that were answered
    /// in its stead or withdrawn nothing stays, and no look goes through them. Method: many, beside one that stays.
    #[test]
    fn what_is_over_is_not_listed() {
        let desk = Arc::new(Desk::new(|_| true));
        let stays = ask(&desk, desk.new_id(), 0);
        for _ in 0..1_000 {
            assert_eq!(ask(&desk, desk.new_id(), 0).expire(), Decision::Run);
            assert_eq!(desk.listed(), (1, 0));
        }
        assert_eq!(desk.pump(None, |_| {}), 0);
        for _ in 0..1_000 {
            let question = ask(&desk, desk.new_id(), 0);
            desk.pump(None, |_| {});
            assert_eq!((desk.listed(), desk.unpulled()), ((0, 2), 2));
            drop(question);
            assert_eq!((desk.listed(), desk.unpulled()), ((0, 1), 1));
        }
        assert_eq!(desk.next().map(|info| info.spawn_id), Some(1));
        assert!(desk.next().is_none() && stays.decision().is_none());
    }

    /// Goal: each question is put to the host once, also if the step before it was answered unasked, by its id. Method:
    /// two steps of one handshake, of which the callback is told.
    #[test]
    fn a_step_is_asked_once() {
        let desk = Arc::new(Desk::new(|_| true));
        let id = desk.new_id();
        let first = ask(&desk, id, 0);
        assert!(desk.decide(id, Decision::Take).is_ok_and(|job| job.is_some()));
        drop(first);
        let _second = ask(&desk, id, 1);
        let told = Arc::new(Mutex::new(Vec::new()));
        let tells = told.clone();
        let callback: SpawnCallback = Box::new(move |info, _| {
            lock(&tells).push(info.step);
            Decision::Later
        });
        assert_eq!(desk.pump(Some(&callback), |_| {}), 0);
        assert_eq!(*lock(&told), [1]);
    }
}
