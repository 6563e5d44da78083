//! The TLS handshake: the task that [`TlsUpgradeAction`](super::actions::TlsUpgradeAction) lifts.
//!
//! Its CPU work comes in steps, each indivisible: making the first flight, and digesting what one read brought.
//! Between steps it gives way, so that a poll overruns its budget by one step at most; or the host takes each step as
//! a job.

use std::sync::Arc;
use std::time::Duration;

use super::context::{Ask, Context};
use super::error::{HttpClientError, Phase};
use super::hitches::StepKind;
use super::questions::SpawnKind;
use super::request::RequestShared;
use super::status::Status;
use super::target::Origin;
use super::work::{offer, run_here, Offer, Offered};
use crate::net::{Io, Net, Socket};
use crate::synca::oneshot;
use crate::synca::TaskWaker;
use crate::tls::{TlsError, TlsIo, TlsSession};
use crate::valtron::time::Instant;
use crate::valtron::{Interest, NoAction, TaskIterator, TaskStatus, Wait};

/// What the parent gets.
pub type UpgradeResult<N> = Result<(<N as Net>::Socket, Box<TlsSession>), HttpClientError>;

/// A session after a step, and how the step went. A failed one is kept to send its alert.
type Stepped = (Option<Box<TlsSession>>, Result<(), TlsError>);

/// See the module.
pub struct TlsUpgradeTask<N: Net> {
    context: Arc<Context<N>>,
    request: Arc<RequestShared>,
    origin: Origin,
    limit: Option<Duration>,
    deadline: Option<Instant>,
    socket: Option<N::Socket>,
    answer: Option<oneshot::Sender<UpgradeResult<N>>>,
    waker: Option<TaskWaker>,
    /// The host is still asked.
    ask: Option<u64>,
    steps: u32,
    /// What the last turn was about.
    kind: StepKind,
    state: State,
}

enum State {
    /// The next CPU step is due; `None`: the one that makes the session.
    Due(Option<Box<TlsSession>>),
    /// The host has the step, or thinks about it.
    Offered(Offered<Stepped>),
    /// Bytes go and come.
    Network(Box<TlsSession>),
    /// Nothing: only while `next` runs, and at the end.
    Gone,
}

impl<N: Net> TlsUpgradeTask<N> {
    /// Shakes hands over `socket`; the result goes to `answer`.
    pub fn new(
        context: Arc<Context<N>>,
        request: Arc<RequestShared>,
        origin: Origin,
        limit: Option<Duration>,
        socket: N::Socket,
        answer: oneshot::Sender<UpgradeResult<N>>,
    ) -> Self {
        let ask = context.asks(SpawnKind::TlsUpgrade).then(|| context.host.desk.new_id());
        Self {
            context,
            request,
            origin,
            limit,
            deadline: None,
            socket: Some(socket),
            answer: Some(answer),
            waker: None,
            ask,
            steps: 0,
            kind: StepKind::None,
            state: State::Due(None),
        }
    }

    fn fail(&self, error: &TlsError) -> HttpClientError {
        HttpClientError::tls(error, &self.origin.host, Phase::Tls)
    }

    fn work(&self, session: Option<Box<TlsSession>>) -> impl FnOnce() -> Stepped + Send + 'static {
        let (tls, host) = (self.context.tls.clone(), self.origin.host.clone());
        move || match session {
            None => match tls.as_ref().map_or(Err(TlsError::Unavailable), |tls| tls.session(&host)) {
                Ok(session) => (Some(Box::new(session)), Ok(())),
                Err(error) => (None, Err(error)),
            },
            Some(mut session) => {
                let outcome = session.step();
                (Some(session), outcome)
            }
        }
    }

    fn stepped(&mut self, (session, outcome): Stepped) -> Result<Turn, HttpClientError> {
        self.steps += 1;
        match (session, outcome) {
            (Some(session), Ok(())) => {
                self.state = State::Network(session);
                self.network()
            }
            (session, Err(error)) => {
                if let (Some(mut session), Some(socket)) = (session, &mut self.socket) {
                    // The alert goes if it fits; the failure stands either way.
                    let _ = session.push(socket);
                }
                Err(self.fail(&error))
            }
            (None, Ok(())) => Err(HttpClientError::plain(Status::Internal, Phase::Tls)),
        }
    }

    fn run_step(&mut self, session: Option<Box<TlsSession>>) -> Result<Turn, HttpClientError> {
        let Some(id) = self.ask else {
            self.computes();
            let outcome = self.work(session)();
            return self.stepped(outcome);
        };
        let Some(waker) = self.waker.clone() else { return Err(HttpClientError::plain(Status::Internal, Phase::Tls)) };
        let ask = Ask {
            spawn_id: id,
            kind: SpawnKind::TlsUpgrade,
            step: self.steps,
            http_status: 0,
            port: u32::from(self.origin.port),
            text: self.origin.host.clone(),
        };
        let work = self.work(session);
        self.state = State::Offered(offer(&self.context, &self.request, ask, &waker, work));
        self.offered()
    }

    /// The cryptography is done in this turn. One that puts a question or moves bytes must not pass for it.
    fn computes(&mut self) {
        self.kind = if self.steps == 0 { StepKind::TlsStart } else { StepKind::TlsHandshake };
    }

    fn offered(&mut self) -> Result<Turn, HttpClientError> {
        let State::Offered(offered) = &mut self.state else { return Ok(Turn::Again) };
        let outcome = match offered.poll(&self.context) {
            Offer::Pending(wait) => return Ok(Turn::Wait(wait)),
            Offer::Done(stepped) => Some(stepped),
            Offer::Run(work, place) => {
                // Who leaves one step to the library leaves it the rest.
                self.ask = None;
                self.computes();
                run_here(work, &place)
            }
            Offer::Expired(work, place) => {
                self.context.count_hitch();
                self.computes();
                run_here(work, &place)
            }
            Offer::Denied => {
                return Err(HttpClientError::new(Status::Denied, Phase::Tls, "the TLS handshake was denied"))
            }
            Offer::Broken => None,
        };
        self.state = State::Gone;
        match outcome {
            Some(stepped) => self.stepped(stepped),
            None => Err(HttpClientError::plain(Status::Internal, Phase::Tls)),
        }
    }

    /// Sends what there is, then reads; a read that brought something makes the next step due.
    fn network(&mut self) -> Result<Turn, HttpClientError> {
        let State::Network(mut session) = std::mem::replace(&mut self.state, State::Gone) else {
            return Ok(Turn::Again);
        };
        let Some(socket) = &mut self.socket else { return Ok(Turn::Again) };
        let key = socket.key();
        while session.wants_write() {
            match session.push(socket) {
                Ok(Io::Done(_)) => {}
                Ok(Io::WouldBlock) => {
                    self.state = State::Network(session);
                    return Ok(Turn::Wait(Wait::io(key, Interest::Write)));
                }
                Err(error) => return Err(self.broken(error)),
            }
        }
        if !session.is_handshaking() {
            return Ok(Turn::Finished(session));
        }
        // Only a whole record (or the end of the stream) is worth a step. Each read moves bytes, and a record is
        // bounded.
        while !session.wants_step() {
            match session.pull(socket) {
                Ok(Io::Done(_)) => {}
                Ok(Io::WouldBlock) => {
                    self.state = State::Network(session);
                    return Ok(Turn::Wait(Wait::io(key, Interest::Read)));
                }
                Err(error) => return Err(self.broken(error)),
            }
        }
        self.state = State::Due(Some(session));
        Ok(Turn::Again)
    }

    fn broken(&self, error: TlsIo) -> HttpClientError {
        match error {
            TlsIo::Tls(error) => self.fail(&error),
            TlsIo::Net(error) => {
                let text = format!("{}: {}", self.origin.host, Status::TlsClosed.message());
                let mut failed = HttpClientError::new(Status::TlsClosed, Phase::Tls, text);
                failed.os_errno = error.errno;
                failed
            }
        }
    }

    fn finish(&mut self, result: UpgradeResult<N>) {
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(result);
        }
    }
}

enum Turn {
    /// Give way, then go on.
    Again,
    Wait(Wait),
    Finished(Box<TlsSession>),
}

impl<N: Net> TaskIterator for TlsUpgradeTask<N> {
    type Ready = ();
    type Pending = Wait;
    type Spawner = NoAction;

    fn started(&mut self, waker: &TaskWaker) {
        self.waker = Some(waker.clone());
        if let Some(answer) = &self.answer {
            answer.set_waker(waker.clone());
        }
        self.deadline = self.limit.map(|limit| self.context.net.now().after(limit));
    }

    fn label(&self) -> u32 {
        self.kind as u32
    }

    fn next(&mut self) -> Option<TaskStatus<(), Wait, NoAction>> {
        self.request.count_poll();
        self.kind = StepKind::Start;
        if self.answer.as_ref().is_none_or(oneshot::Sender::is_closed) {
            return None;
        }
        let turn = match &mut self.state {
            State::Due(session) => {
                let session = session.take();
                self.run_step(session)
            }
            State::Offered(_) => self.offered(),
            State::Network(_) => self.network(),
            State::Gone => return None,
        };
        match turn {
            Ok(Turn::Again) => Some(TaskStatus::Init),
            Ok(Turn::Wait(wait)) => match self.deadline {
                Some(deadline) if self.context.net.now() >= deadline => {
                    let text = format!("{}: {}", self.origin.host, Status::TimeoutTls.message());
                    self.finish(Err(HttpClientError::new(Status::TimeoutTls, Phase::Tls, text)));
                    None
                }
                deadline => Some(TaskStatus::Pending(wait.or_external().no_later_than(deadline))),
            },
            Ok(Turn::Finished(session)) => {
                if let Some(socket) = self.socket.take() {
                    self.finish(Ok((socket, session)));
                }
                None
            }
            Err(error) => {
                self.finish(Err(error));
                None
            }
        }
    }
}
