//! The host's say: questions about the actions a request spawns, and the jobs a host takes to its own threads.
//!
//! A question belongs to the task that asks it. The task parks on its waker and on the answer's deadline; whoever
//! answers, from any thread, wakes it. So no callback ever runs inside a task, and an unanswered question needs
//! nobody's care.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use super::job::{Job, Work};
use super::status::Status;
use crate::synca::{DelegationMutex, Serve, TaskWaker};

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

/// The request that asks. A poll looks at it, so nothing here waits for a lock.
pub trait Asker: Send + Sync {
    /// It has neither ended, nor was told to, nor been freed. Else it withdraws its question soon; until then nobody is
    /// asked, as the host may have forgotten the request's user data.
    fn is_live(&self) -> bool;

    /// Its question waits for a host that pulls, which is to learn of it.
    fn raise_spawn(&self);
}

fn live(asker: &Weak<dyn Asker>) -> Option<Arc<dyn Asker>> {
    asker.upgrade().filter(|asker| asker.is_live())
}

/// Answers questions. Runs on a driving thread with no lock held.
pub type SpawnCallback = Box<dyn Fn(&SpawnInfo, &Arc<Job>) -> Decision + Send + Sync>;

/// The asking task's end of a question; dropped, it withdraws the question and cancels the job.
pub struct Question {
    shared: Arc<QuestionShared>,
    desk: Arc<Desk>,
}

struct QuestionShared {
    info: SpawnInfo,
    asker: Weak<dyn Asker>,
    job: Arc<Job>,
    waker: TaskWaker,
    /// What became of it; whoever is first, says so. `None`: it was withdrawn.
    outcome: OnceLock<Option<Decision>>,
    /// In which of the desk's counts it is.
    counted: AtomicU8,
}

const NOWHERE: u8 = 0;
const UNASKED: u8 = 1;
const UNPULLED: u8 = 2;

impl QuestionShared {
    fn is_open(&self) -> bool {
        self.outcome.get().is_none()
    }
}

impl Question {
    /// The answer, once there is one.
    pub fn decision(&self) -> Option<Decision> {
        self.shared.outcome.get().copied().flatten()
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
#[derive(Default)]
pub struct Desk {
    inner: DelegationMutex<DeskInner>,
    last_id: AtomicU64,
    /// Open questions that nobody was told of, and those for [`next`](Desk::next); for every poll to read.
    unasked: AtomicUsize,
    unpulled: AtomicUsize,
    jobs_taken: AtomicU64,
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

/// What a poll does to the desk. It comes late if another thread of the host is at the desk at that moment.
enum Note {
    Ask(Arc<QuestionShared>),
    LayOut(Arc<QuestionShared>),
    Close(Arc<QuestionShared>),
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

impl Serve for DeskInner {
    type Request = Note;
    /// What left the desk, for others to drop.
    type Effect = Option<Arc<QuestionShared>>;

    fn serve(&mut self, note: Note) -> Self::Effect {
        match note {
            Note::Ask(question) if question.is_open() => {
                let (id, turn) = (question.info.spawn_id, self.turn());
                self.unasked.insert(turn, id);
                let before = self.open.insert(id, Open { question, place: Place::Unasked(turn) })?;
                self.unlist(before.place);
                Some(before.question)
            }
            Note::Ask(question) => Some(question),
            Note::LayOut(question) => {
                let turn = self.turn();
                if let Some(open) = self.find(&question) {
                    open.place = Place::Unpulled(turn);
                    self.unpulled.insert(turn, question.info.spawn_id);
                }
                Some(question)
            }
            Note::Close(question) => {
                // Another question may lie under the same id by then, of a later step of the same handshake; it stays.
                self.find(&question)?;
                let open = self.open.remove(&question.info.spawn_id)?;
                self.unlist(open.place);
                Some(open.question)
            }
        }
    }
}

impl DeskInner {
    fn turn(&mut self) -> u64 {
        self.last_turn += 1;
        self.last_turn
    }

    fn find(&mut self, question: &Arc<QuestionShared>) -> Option<&mut Open> {
        self.open.get_mut(&question.info.spawn_id).filter(|open| Arc::ptr_eq(&open.question, question))
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

/// What [`Desk::pump`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pumped {
    /// Questions that were answered.
    pub answered: usize,
    /// Another thread was at the desk, or posted something to it: what is there is for the next time.
    pub left: bool,
}

impl Desk {
    /// A new id for an action.
    pub fn new_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Puts a question of `asker` on the desk. `work` is what a `Take` would run.
    pub fn ask(
        self: &Arc<Self>,
        info: SpawnInfo,
        asker: &Arc<impl Asker + 'static>,
        work: Option<Work>,
        waker: TaskWaker,
    ) -> Question {
        let asker = Arc::downgrade(asker);
        let wants: Weak<dyn Asker> = asker.clone();
        let job = Arc::new(Job::new(work, waker.clone(), move || live(&wants).is_some()));
        let (outcome, counted) = (OnceLock::new(), AtomicU8::new(NOWHERE));
        let shared = Arc::new(QuestionShared { info, asker, job, waker, outcome, counted });
        self.count(&shared, UNASKED);
        self.post(Note::Ask(shared.clone()));
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

    /// Puts each new question to the callback, or in the pull queue, and gives its asker to `pulled`. Call it with no
    /// lock held. Waits for no other thread.
    pub fn pump(&self, callback: Option<&SpawnCallback>, mut pulled: impl FnMut(&dyn Asker)) -> Pumped {
        let mut pumped = Pumped::default();
        loop {
            let first = self.inner.try_with(|inner| inner.first(|inner| &mut inner.unasked), drop);
            let Some(first) = first else { return Pumped { left: true, ..pumped } };
            let Some(question) = first else { return Pumped { left: self.inner.has_posted(), ..pumped } };
            self.count(&question, NOWHERE);
            let Some(asker) = live(&question.asker).filter(|_| question.is_open()) else { continue };
            let Some(callback) = callback else {
                if self.lay_out(&question) {
                    pulled(&*asker);
                }
                continue;
            };
            match callback(&question.info, &question.job) {
                Decision::Later => {}
                decision => pumped.answered += usize::from(self.settle(&question, decision)),
            }
        }
    }

    /// Waits until the thread that is at the desk has left it, and what was posted is there.
    pub fn wait_for_turn(&self) {
        self.with(|_| ());
    }

    /// The next question of the pull form; each is handed out once. Waits for the desk's lock.
    pub fn next(&self) -> Option<SpawnInfo> {
        while self.unpulled() > 0 {
            let question = self.with(|inner| inner.first(|inner| &mut inner.unpulled))?;
            self.count(&question, NOWHERE);
            if question.is_open() && live(&question.asker).is_some() {
                return Some(question.info.clone());
            }
        }
        None
    }

    /// Answers by id. Waits for the desk's lock.
    pub fn decide(&self, spawn_id: u64, decision: Decision) -> Result<Option<Arc<Job>>, Status> {
        if decision == Decision::Later {
            return Err(Status::Decision);
        }
        let question = self.with(|inner| inner.open.get(&spawn_id).map(|open| open.question.clone()));
        let question = question.filter(|question| live(&question.asker).is_some()).ok_or(Status::NoSpawn)?;
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
        self.count(question, UNPULLED);
        self.post(Note::LayOut(question.clone()));
        if !question.is_open() {
            self.count(question, NOWHERE);
            return false;
        }
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

    /// Takes a question off the desk, with its decision. Whoever comes second is told so.
    fn close(&self, question: &Arc<QuestionShared>, decision: Option<Decision>) -> bool {
        if question.outcome.set(decision).is_err() {
            return false;
        }
        self.count(question, NOWHERE);
        self.post(Note::Close(question.clone()));
        self.jobs_taken.fetch_add(u64::from(decision == Some(Decision::Take)), Ordering::SeqCst);
        true
    }

    /// From now on the question counts as one of these. Whoever closes it does this after that, and whoever lays it out
    /// looks after this whether it was closed, so that it ends in no count.
    fn count(&self, question: &QuestionShared, among: u8) {
        let counter = |among| match among {
            UNASKED => Some(&self.unasked),
            UNPULLED => Some(&self.unpulled),
            _ => None,
        };
        // Before it is taken from the other, lest both look empty.
        counter(among).map(|counter| counter.fetch_add(1, Ordering::SeqCst));
        let before = question.counted.swap(among, Ordering::SeqCst);
        counter(before).map(|counter| counter.fetch_sub(1, Ordering::SeqCst));
    }

    fn with<R>(&self, work: impl FnOnce(&mut DeskInner) -> R) -> R {
        self.inner.with(work, drop)
    }

    fn post(&self, note: Note) {
        self.inner.post(note, drop);
    }

    /// Does something while another thread would be at the desk.
    #[cfg(test)]
    pub fn held<R>(&self, meanwhile: impl FnOnce() -> R) -> R {
        self.with(|_| meanwhile())
    }

    /// How long the lists are, of those to be asked and to be pulled.
    #[cfg(test)]
    pub fn listed(&self) -> (usize, usize) {
        self.with(|inner| (inner.unasked.len(), inner.unpulled.len()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::synca::sync::lock;
    use crate::synca::{Entry, WakeQueue};

    /// Never ends.
    struct Lives;

    impl Asker for Lives {
        fn is_live(&self) -> bool {
            true
        }

        fn raise_spawn(&self) {}
    }

    fn ask(desk: &Arc<Desk>, spawn_id: u64, step: u32) -> Question {
        let waker = TaskWaker::new(Entry::new(0, 1), WakeQueue::new(Box::new(|| {})));
        let kind = SpawnKind::TlsUpgrade;
        let text = "a.test".into();
        let info = SpawnInfo { spawn_id, request: 1, user_data: 0, kind, step, http_status: 0, port: 0, text };
        let asker = Arc::new(Lives);
        let question = desk.ask(info, &asker, None, waker);
        std::mem::forget(asker);
        question
    }

    /// Goal: a host that never looks, or that leaves one question lying, costs no memory: of those that were answered
    /// in its stead or withdrawn nothing stays, and no look goes through them. Method: many, beside one that stays.
    #[test]
    fn what_is_over_is_not_listed() {
        let desk = Arc::new(Desk::default());
        let stays = ask(&desk, desk.new_id(), 0);
        for _ in 0..1_000 {
            assert_eq!(ask(&desk, desk.new_id(), 0).expire(), Decision::Run);
            assert_eq!(desk.listed(), (1, 0));
        }
        assert_eq!(desk.pump(None, |_| {}), Pumped::default());
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
        let desk = Arc::new(Desk::default());
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
        assert_eq!(desk.pump(Some(&callback), |_| {}), Pumped::default());
        assert_eq!(*lock(&told), [1]);
    }

    /// Goal: who asks, withdraws, lets expire or puts to the host does not wait for a thread of the host at the desk;
    /// when that one has left, all is as if it had not been there. Method: hold the desk meanwhile.
    #[test]
    fn a_held_desk_holds_no_poll_up() {
        let desk = Arc::new(Desk::default());
        let (one, two) = (ask(&desk, desk.new_id(), 0), ask(&desk, desk.new_id(), 0));
        let mut more = Vec::new();
        desk.with(|_| {
            assert_eq!(desk.pump(None, |_| {}), Pumped { answered: 0, left: true });
            more.extend((0..3).map(|_| ask(&desk, desk.new_id(), 0)));
            assert_eq!((one.expire(), one.decision()), (Decision::Run, Some(Decision::Run)));
            drop(more.pop());
            assert!(desk.has_unasked());
        });
        assert_eq!((desk.listed(), desk.decide(1, Decision::Deny).err()), ((3, 0), Some(Status::NoSpawn)));
        let mut laid_out = 0;
        assert_eq!(desk.pump(None, |_| laid_out += 1), Pumped::default());
        assert_eq!((laid_out, desk.listed(), desk.unpulled(), desk.has_unasked()), (3, (0, 3), 3, false));
        desk.with(|_| drop(two));
        assert_eq!((desk.listed(), desk.unpulled()), ((0, 2), 2));
        let ids: Vec<_> = std::iter::from_fn(|| desk.next().map(|info| info.spawn_id)).collect();
        assert_eq!((ids, desk.listed(), desk.unpulled()), (vec![3, 4], (0, 0), 0));
        assert!(desk.decide(3, Decision::Deny).is_ok());
        assert_eq!(more[0].decision(), Some(Decision::Deny));
    }

    /// Goal: a question that was left lying for another thread's sake is not overlooked: a poll says so, who may wait
    /// asks it, and the pull form finds it. Method: ask while the desk is held, and let go while another thread posts.
    #[test]
    fn a_question_beside_a_post_is_not_overlooked() {
        let desk = Arc::new(Desk::default());
        let (question, posting) = desk.with(|_| (ask(&desk, desk.new_id(), 0), desk.inner.hold_posting()));
        assert_eq!(desk.pump(None, |_| {}), Pumped { answered: 0, left: true });
        drop(posting);
        desk.wait_for_turn();
        let posting = desk.with(|inner| {
            assert!(inner.first(|inner| &mut inner.unasked).is_some() && desk.lay_out(&question.shared));
            desk.inner.hold_posting()
        });
        drop(posting);
        assert_eq!(desk.next().map(|info| info.spawn_id), Some(1));
    }
}
