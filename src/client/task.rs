//! A request, from its URL to the last byte of its answer. This file is the whole protocol.
//!
//! ```text
//!                 +---------------------- reused connection was dead, safe to send again ------+
//!                 v                                                                            |
//!  Init ----> Connecting --(https)--> TlsHandshake ----> SendingRequest ----> ReceivingIntro --+
//!   ^             |                                        ^                    |      ^
//!   |             +----------------(http)------------------+                    v      | 1xx
//!   |             +---------(an idle connection)-----------+           ReceivingHeaders
//!   |                                                                    |           |
//!   +--- child request <--(RUN)-- AwaitingRedirect <--(3xx with Location)+           | final head
//!                                      |                                             v
//!                                      +----------------(DENY)----------------> ReceivingBody ----> Done
//!
//!  every state ----> Error(HttpClientError)
//! ```
//!
//! An interim response that comes before the request is out leads back to SendingRequest.
//!
//! Each state is a struct that holds only what is legal in it; a transition consumes it. [`HttpRequestTask::next`]
//! has one match on the state, and `Machine::wait` has one that says what each state waits for. Everything waits for
//! cancel and for the total deadline too.

use std::sync::Arc;

use super::actions::HttpClientAction;
use super::body_stream::BodyStream;
use super::connection::Connection;
use super::context::Context;
use super::error::{HttpClientError, Phase};
use super::hitches::StepKind;
use super::plan::Head;
pub use super::plan::Plan;
use super::request::{HeadRecord, RequestShared, Stop};
use super::status::Status;
use super::{dial, upgrade};
use crate::net::{Net, Socket};
use crate::proto::HeadReader;
use crate::synca::oneshot;
use crate::synca::{TaskMutex, TaskWaker};
use crate::valtron::time::Instant;
use crate::valtron::{Interest, TaskIterator, TaskStatus, Wait};

/// Transitions in one step at most: a request over a connection that is ready goes through all its states without
/// giving way, and a mistake in the machine does not hang the thread.
const TRANSITIONS_PER_STEP_MAX: usize = 16;

/// Where a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpRequestState {
    /// Nothing was done yet.
    Init,
    /// A connection is wanted: queued, looked up, connected.
    Connecting,
    /// TLS is being set up.
    TlsHandshake,
    /// The request goes out.
    SendingRequest,
    /// Waiting for the status line.
    ReceivingIntro,
    /// Reading the header lines.
    ReceivingHeaders,
    /// Reading the body.
    ReceivingBody,
    /// A redirect was found: the host thinks, or the child works.
    AwaitingRedirect,
    /// Over, well.
    Done,
    /// Over, with this.
    Error(HttpClientError),
}

impl HttpRequestState {
    /// The number of `Done`; the states behind it are those of requests that are over.
    pub(super) const DONE: i32 = 8;
    /// The number of `Error`.
    pub(super) const ERROR: i32 = 9;

    /// The number in the C API.
    pub fn code(&self) -> i32 {
        match self {
            Self::Init => 0,
            Self::Connecting => 1,
            Self::TlsHandshake => 2,
            Self::SendingRequest => 3,
            Self::ReceivingIntro => 4,
            Self::ReceivingHeaders => 5,
            Self::ReceivingBody => 6,
            Self::AwaitingRedirect => 7,
            Self::Done => Self::DONE,
            Self::Error(_) => Self::ERROR,
        }
    }

    /// Where in its life a request in the state of this number is. A request has several tasks while it is redirected;
    /// all of them say the same.
    pub(super) fn phase_of(code: i32) -> Phase {
        match code {
            1 => Phase::Connect,
            2 => Phase::Tls,
            3 => Phase::Send,
            4 | 5 => Phase::FirstByte,
            6 => Phase::Body,
            7 => Phase::Redirect,
            _ => Phase::None,
        }
    }
}

/// What a waiting request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPending {
    /// Where it is.
    pub state: HttpRequestState,
    /// What it waits for.
    pub wait: Wait,
}

impl From<RequestPending> for Wait {
    fn from(pending: RequestPending) -> Wait {
        pending.wait
    }
}

/// What is the same in every state.
pub(super) struct Core<N: Net> {
    pub context: Arc<Context<N>>,
    pub shared: Arc<RequestShared>,
    pub plan: Plan,
    pub waker: Option<TaskWaker>,
    pub role: Role,
    /// A reused connection turned out dead once; no second time.
    pub retried: bool,
    /// Of the present phase.
    pub deadline: Option<Instant>,
}

/// Whose child a request is.
pub(super) enum Role {
    /// The host's: its end is the request's end.
    Root,
    /// Of a request that was redirected.
    Child(Box<ChildLink>),
}

/// A child's ends of the channels to its parent.
pub(super) struct ChildLink {
    /// The verdict on the redirect, once.
    pub verdict: Option<oneshot::Sender<Verdict>>,
    /// The parent has let go of its connection.
    pub go: oneshot::Receiver<()>,
    /// How it all ended.
    pub completion: Option<oneshot::Sender<Result<(), HttpClientError>>>,
    /// The question to the host.
    pub question: Option<super::work::Offered<()>>,
    pub asked: bool,
    pub http_status: u16,
    pub hop: Option<Arc<HeadRecord>>,
}

/// What the host said of a redirect.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Follow,
    Denied,
}

/// The state, with what belongs to it.
#[allow(clippy::large_enum_variant)] // one per request, and the large one is the state that lasts
pub(super) enum Machine<N: Net> {
    Init(Init),
    Connecting(Connecting<N>),
    TlsHandshake(TlsHandshake<N>),
    SendingRequest(SendingRequest<N>),
    ReceivingIntro(Receiving<N>),
    ReceivingHeaders(Receiving<N>),
    ReceivingBody(ReceivingBody<N>),
    /// Boxed: it is rare, and would double what each transition moves.
    AwaitingRedirect(Box<AwaitingRedirect<N>>),
    /// Over, or in the middle of a transition.
    Over,
}

pub(super) struct Init {
    /// A child waits for the host, or for its parent.
    pub wait: Wait,
}

pub(super) enum Connecting<N: Net> {
    /// To an address that the URL gives: nothing to look up, nothing to race.
    Direct(N::Socket),
    /// A child looks up and connects.
    Dialing(oneshot::Receiver<dial::DialResult<N>>),
}

pub(super) struct TlsHandshake<N: Net> {
    pub answer: oneshot::Receiver<upgrade::UpgradeResult<N>>,
}

pub(super) struct SendingRequest<N: Net> {
    pub connection: Box<Connection<N>>,
    pub upload: Upload,
    /// Interim responses may come while the request still goes out.
    pub reader: HeadReader,
}

/// How far a request has gone out.
pub(super) struct Upload {
    pub head: Head,
    pub head_sent: usize,
    pub body_sent: usize,
}

pub(super) struct Receiving<N: Net> {
    pub connection: Box<Connection<N>>,
    pub buffer: Vec<u8>,
    /// So much of it was searched for the end of what is waited for.
    pub searched: usize,
    /// With so much of it the reader was asked in vain.
    pub looked: usize,
    pub reader: HeadReader,
    /// The request has not gone out whole: the rest goes after an interim response, and never after a final one.
    pub unsent: Option<Box<Upload>>,
}

pub(super) struct ReceivingBody<N: Net> {
    /// Shared with the host's reads, which may take bytes straight from the socket; emptied at the end.
    pub stream: Arc<TaskMutex<Option<BodyStream<N>>>>,
    /// What it waits for: the socket; room in the host's buffer (no more than a wake-up); or, until a deadline, that
    /// the host reads what lies in the socket.
    pub wait: Wait,
}

pub(super) struct AwaitingRedirect<N: Net> {
    pub stage: RedirectStage<N>,
    pub verdict: oneshot::Receiver<Verdict>,
    pub go: Option<oneshot::Sender<()>>,
    pub completion: oneshot::Receiver<Result<(), HttpClientError>>,
    pub head: Arc<HeadRecord>,
}

pub(super) enum RedirectStage<N: Net> {
    /// The host may still deny: the response's body is unread.
    Deciding(BodyStream<N>),
    /// Followed; what is left of the body is read away, within bounds, so that the connection serves again.
    Draining { body: BodyStream<N>, left: usize },
    /// The child works.
    Following,
}

/// What a step of a state came to.
#[allow(clippy::large_enum_variant)] // moved once per step, never stored: a box would cost more than the copy
pub(super) enum Move<N: Net> {
    /// Go on with this state at once.
    To(Machine<N>),
    /// Give way to others, then go on.
    Yield(Machine<N>),
    /// The same, but the peer brought nothing that counts: its time runs.
    Stall(Machine<N>),
    /// Wait as the state says.
    Wait(Machine<N>),
    /// The host is at the request's lock, or at its stream's: wait until it has left.
    Shut(Machine<N>, Shut),
    /// Spawn, then go on.
    Spawn(Machine<N>, HttpClientAction<N>),
    /// Over, well.
    Finish,
    /// Over, and nobody is to be told: the parent goes on in its own way.
    Vanish,
}

/// A lock that the host holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    Request,
    Stream,
}

impl<N: Net> Machine<N> {
    /// What the state waits for.
    fn wait(&self) -> Wait {
        match self {
            Machine::Init(state) => state.wait,
            Machine::Connecting(Connecting::Direct(socket)) => Wait::io(socket.key(), Interest::Write),
            Machine::Connecting(Connecting::Dialing(_)) => Wait::EXTERNAL,
            Machine::TlsHandshake(_) => Wait::EXTERNAL,
            Machine::SendingRequest(state) => state.connection.wait_write(),
            Machine::ReceivingIntro(state) | Machine::ReceivingHeaders(state) => state.connection.wait_read(),
            Machine::ReceivingBody(state) => state.wait,
            Machine::AwaitingRedirect(state) => match &state.stage {
                RedirectStage::Draining { body, .. } => body.connection.wait_read(),
                RedirectStage::Deciding(_) | RedirectStage::Following => Wait::EXTERNAL,
            },
            Machine::Over => Wait::EXTERNAL,
        }
    }

    fn state(&self) -> HttpRequestState {
        match self {
            Machine::Init(_) | Machine::Over => HttpRequestState::Init,
            Machine::Connecting(_) => HttpRequestState::Connecting,
            Machine::TlsHandshake(_) => HttpRequestState::TlsHandshake,
            Machine::SendingRequest(_) => HttpRequestState::SendingRequest,
            Machine::ReceivingIntro(_) => HttpRequestState::ReceivingIntro,
            Machine::ReceivingHeaders(_) => HttpRequestState::ReceivingHeaders,
            Machine::ReceivingBody(_) => HttpRequestState::ReceivingBody,
            Machine::AwaitingRedirect(_) => HttpRequestState::AwaitingRedirect,
        }
    }

    /// The timeout of the present phase has passed: which one.
    fn timeout(&self) -> (Status, Phase) {
        match self {
            Machine::Connecting(_) => (Status::TimeoutConnect, Phase::Connect),
            Machine::TlsHandshake(_) => (Status::TimeoutTls, Phase::Tls),
            Machine::SendingRequest(_) => (Status::TimeoutSend, Phase::Send),
            Machine::ReceivingIntro(_) | Machine::ReceivingHeaders(_) => (Status::TimeoutFirstByte, Phase::FirstByte),
            Machine::ReceivingBody(_) => (Status::TimeoutIdle, Phase::Body),
            Machine::AwaitingRedirect(_) => (Status::TimeoutIdle, Phase::Redirect),
            Machine::Init(_) | Machine::Over => (Status::TimeoutTotal, Phase::None),
        }
    }

    /// What a step that begins here is about.
    fn kind(&self) -> StepKind {
        match self {
            Machine::Init(_) | Machine::Connecting(_) | Machine::TlsHandshake(_) => StepKind::Start,
            Machine::SendingRequest(_) => StepKind::Send,
            Machine::ReceivingIntro(_) | Machine::ReceivingHeaders(_) => StepKind::Head,
            Machine::ReceivingBody(_) => StepKind::Body,
            Machine::AwaitingRedirect(_) => StepKind::Redirect,
            Machine::Over => StepKind::None,
        }
    }

    fn phase(&self) -> Phase {
        self.timeout().1
    }

    /// Time and again another task has the request: the parent of a child that waits, the child of a parent that
    /// does. One of them keeps the total time, so that the end does not depend on who looks first.
    fn keeps_time(&self) -> bool {
        match self {
            Machine::Init(_) => false,
            Machine::AwaitingRedirect(state) => !matches!(state.stage, RedirectStage::Following),
            _ => true,
        }
    }
}

/// The task that carries out one request.
pub struct HttpRequestTask<N: Net> {
    core: Core<N>,
    machine: Machine<N>,
    /// What the last step began with.
    kind: StepKind,
    /// How it ended, until the host is told.
    ending: Option<Result<(), HttpClientError>>,
    over: bool,
}

impl<N: Net> HttpRequestTask<N> {
    /// A task for what `plan` says; `shared` is where the host looks.
    pub fn new(context: Arc<Context<N>>, shared: Arc<RequestShared>, plan: Plan) -> Self {
        Self::with_role(context, shared, plan, Role::Root)
    }

    pub(super) fn with_role(context: Arc<Context<N>>, shared: Arc<RequestShared>, plan: Plan, role: Role) -> Self {
        let core = Core { context, shared, plan, waker: None, role, retried: false, deadline: None };
        let machine = Machine::Init(Init { wait: Wait::EXTERNAL });
        Self { core, machine, kind: StepKind::None, ending: None, over: false }
    }

    /// Where it is.
    pub fn state(&self) -> HttpRequestState {
        self.machine.state()
    }

    /// The host or a parent wants no more of it.
    fn stopped(&self) -> Option<HttpClientError> {
        if let Some(stop) = self.core.shared.stop() {
            let status = match stop {
                Stop::Cancelled | Stop::Freed => Status::Cancelled,
                Stop::Shutdown => Status::Shutdown,
            };
            return Some(HttpClientError::plain(status, self.core.shared.phase()));
        }
        match &self.core.role {
            Role::Child(link) if link.completion.as_ref().is_some_and(|completion| completion.is_closed()) => {
                Some(HttpClientError::plain(Status::Cancelled, self.machine.phase()))
            }
            _ => None,
        }
    }

    /// The request's own deadline, if this task is the one that keeps it.
    fn total(&self) -> Option<Instant> {
        self.core.plan.deadline.filter(|_| self.machine.keeps_time())
    }

    /// A deadline has passed: the request's own before the phase's.
    fn timed_out(&self, now: Instant) -> Option<HttpClientError> {
        let (status, phase) = if self.total().is_some_and(|deadline| now >= deadline) {
            (Status::TimeoutTotal, self.machine.phase())
        } else if self.core.deadline.is_some_and(|deadline| now >= deadline) {
            self.machine.timeout()
        } else {
            return None;
        };
        Some(HttpClientError::plain(status, phase))
    }

    /// The request's own deadline has passed.
    fn total_over(&self) -> Option<HttpClientError> {
        let now = self.core.context.net.now();
        self.total().filter(|deadline| now >= *deadline).and_then(|_| self.timed_out(now))
    }

    fn end(&mut self, result: Result<(), HttpClientError>) -> Option<Status2<N>> {
        // The connection goes first, so that a host that sees the end sees it closed.
        self.machine = Machine::Over;
        let result = result.map_err(|error| error.of_host(&self.core.plan.target.origin().host));
        match &mut self.core.role {
            Role::Root => return self.tell_end(result),
            Role::Child(link) => {
                if let Some(completion) = link.completion.take() {
                    let _ = completion.send(result);
                }
            }
        }
        self.over = true;
        None
    }

    /// Tells the host of the end, now or in the next step.
    fn tell_end(&mut self, result: Result<(), HttpClientError>) -> Option<Status2<N>> {
        match self.core.shared.finish(result, self.core.context.net.now()) {
            Ok(()) => {
                self.over = true;
                None
            }
            Err(result) => {
                self.ending = Some(result);
                Some(self.shut(Shut::Request))
            }
        }
    }
}

type Status2<N> = TaskStatus<(), RequestPending, HttpClientAction<N>>;

impl<N: Net> TaskIterator for HttpRequestTask<N> {
    type Ready = ();
    type Pending = RequestPending;
    type Spawner = HttpClientAction<N>;

    fn started(&mut self, waker: &TaskWaker) {
        self.core.waker = Some(waker.clone());
        if let Role::Root = &self.core.role {
            self.core.shared.start(waker);
        }
        if let Role::Child(link) = &self.core.role {
            link.go.set_waker(waker.clone());
            if let Some(completion) = &link.completion {
                completion.set_waker(waker.clone());
            }
        }
    }

    fn label(&self) -> u32 {
        self.kind as u32
    }

    fn next(&mut self) -> Option<TaskStatus<(), RequestPending, HttpClientAction<N>>> {
        if self.over {
            return None;
        }
        let status = self.step();
        self.core.shared.show();
        status
    }
}

impl<N: Net> HttpRequestTask<N> {
    /// Waits for this, and for the deadlines.
    fn pending(&self, wait: Wait) -> Status2<N> {
        let wait = wait.no_later_than(self.core.deadline).no_later_than(self.total());
        TaskStatus::Pending(RequestPending { state: self.machine.state(), wait })
    }

    /// The host holds a lock: waits until it is free, or goes on if it is. The phase's clock is looked at after that:
    /// what the peer sent in time counts, though nobody could take it.
    fn shut(&self, which: Shut) -> Status2<N> {
        let Some(waker) = &self.core.waker else { return TaskStatus::Init };
        let waits = match (which, &self.machine) {
            (Shut::Stream, Machine::ReceivingBody(state)) => state.stream.wake_when_free(waker),
            _ => self.core.shared.wake_when_free(waker),
        };
        if !waits {
            return TaskStatus::Init;
        }
        // Of one that has ended the time is over in any case.
        let total = self.total().filter(|_| self.ending.is_none());
        let wait = Wait::EXTERNAL.no_later_than(total);
        TaskStatus::Pending(RequestPending { state: self.machine.state(), wait })
    }

    fn step(&mut self) -> Option<Status2<N>> {
        self.core.shared.count_poll();
        self.kind = self.machine.kind();
        if let Some(result) = self.ending.take() {
            return self.tell_end(result);
        }
        if let Some(error) = self.stopped() {
            return self.end(Err(error));
        }
        for _ in 0..TRANSITIONS_PER_STEP_MAX {
            let core = &mut self.core;
            let outcome = match std::mem::replace(&mut self.machine, Machine::Over) {
                Machine::Init(state) => state.step(core),
                Machine::Connecting(state) => state.step(core),
                Machine::TlsHandshake(state) => state.step(core),
                Machine::SendingRequest(state) => state.step(core),
                Machine::ReceivingIntro(state) => state.step_intro(core),
                Machine::ReceivingHeaders(state) => state.step_headers(core),
                Machine::ReceivingBody(state) => state.step(core),
                Machine::AwaitingRedirect(state) => state.step(core),
                Machine::Over => return None,
            };
            match outcome {
                Ok(Move::To(machine)) => self.machine = machine,
                Ok(Move::Yield(machine)) => {
                    self.machine = machine;
                    break;
                }
                Ok(Move::Stall(machine)) => {
                    self.machine = machine;
                    match self.timed_out(self.core.context.net.now()) {
                        Some(error) => return self.end(Err(error)),
                        None => break,
                    }
                }
                Ok(Move::Spawn(machine, action)) => {
                    self.machine = machine;
                    return Some(TaskStatus::Spawn(action));
                }
                Ok(Move::Wait(machine)) => {
                    self.machine = machine;
                    // Only now: what lay ready in the socket counts, however late this poll is.
                    if let Some(error) = self.timed_out(self.core.context.net.now()) {
                        return self.end(Err(error));
                    }
                    if !self.core.shared.told() {
                        return Some(self.shut(Shut::Request));
                    }
                    return Some(self.pending(self.machine.wait().or_external()));
                }
                Ok(Move::Shut(machine, which)) => {
                    self.machine = machine;
                    if let Some(error) = self.total_over() {
                        return self.end(Err(error));
                    }
                    return Some(self.shut(which));
                }
                Ok(Move::Finish) => return self.end(Ok(())),
                Ok(Move::Vanish) => {
                    self.over = true;
                    return None;
                }
                Err(error) => return self.end(Err(error)),
            }
        }
        if let Some(error) = self.total_over() {
            return self.end(Err(error));
        }
        Some(TaskStatus::Init)
    }
}

impl<N: Net> Drop for HttpRequestTask<N> {
    fn drop(&mut self) {
        // Dropped before its end: a panic, or an executor that goes away with its client.
        if self.over || !matches!(self.core.role, Role::Root) {
            return;
        }
        let status = if self.core.shared.stop().is_some() { Status::Cancelled } else { Status::Internal };
        let lost = HttpClientError::plain(status, self.machine.phase());
        self.machine = Machine::Over;
        let result = self.ending.take().unwrap_or(Err(lost));
        let result = result.map_err(|error| error.of_host(&self.core.plan.target.origin().host));
        self.core.shared.finish_now(result, self.core.context.net.now());
    }
}
