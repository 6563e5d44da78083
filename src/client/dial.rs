//! From a host's name to a connected socket: the task that [`ResolveAction`](super::actions::ResolveAction) lifts. It
//! looks the name up, or lets the host do it, then tries the addresses as RFC 8305 says.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::context::{Ask, Context};
use super::error::{HttpClientError, Phase};
use super::hitches::StepKind;
use super::questions::SpawnKind;
use super::request::{Milestone, RequestShared};
use super::status::Status;
use super::target::Origin;
use super::work::{offer, Offer, Offered};
use crate::net::{LookupError, LookupResult, Net, NetError, Socket};
use crate::synca::oneshot::{self, Received};
use crate::synca::{Entry, TaskWaker};
use crate::valtron::time::Instant;
use crate::valtron::{
    BoxedExecutionEngine, DoNext, ExecutionAction, GenericResult, Interest, NoAction, TaskIterator, TaskStatus, Wait,
};

/// RFC 8305 section 5: the recommended time between the starts of two attempts.
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// Addresses tried of one name: enough for any real one, few enough to end.
pub const ADDRESSES_MAX: usize = 16;

/// What the parent gets.
pub type DialResult<N> = Result<<N as Net>::Socket, HttpClientError>;

/// What one attempt beside the first comes to.
type AttemptResult<N> = Result<<N as Net>::Socket, NetError>;

/// The limits of the two phases.
#[derive(Clone, Copy, Debug, Default)]
pub struct DialLimits {
    /// For the look-up, questions to the host included.
    pub resolve: Option<Duration>,
    /// For all attempts together.
    pub connect: Option<Duration>,
}

/// See the module.
pub struct ResolveTask<N: Net> {
    context: Arc<Context<N>>,
    request: Arc<RequestShared>,
    origin: Origin,
    limits: DialLimits,
    answer: Option<oneshot::Sender<DialResult<N>>>,
    waker: Option<TaskWaker>,
    phase_deadline: Option<Instant>,
    state: State<N>,
}

enum State<N: Net> {
    Start,
    Offered(Offered<LookupResult>),
    Looking(oneshot::Receiver<LookupResult>),
    Racing(Race<N>),
}

impl<N: Net> ResolveTask<N> {
    /// Dials `origin`; the socket, or why there is none, goes to `answer`.
    pub fn new(
        context: Arc<Context<N>>,
        request: Arc<RequestShared>,
        origin: Origin,
        limits: DialLimits,
        answer: oneshot::Sender<DialResult<N>>,
    ) -> Self {
        let answer = Some(answer);
        Self { context, request, origin, limits, answer, waker: None, phase_deadline: None, state: State::Start }
    }

    fn finish(&mut self, result: DialResult<N>) -> Option<TaskStatus<(), Wait, DialAction<N>>> {
        if let Some(answer) = self.answer.take() {
            // If nobody waits any more, the socket closes here.
            let _ = answer.send(result);
        }
        None
    }

    fn start_lookup(&mut self) {
        let receiver = self.context.net.lookup(&self.origin.host, self.origin.port);
        if let Some(waker) = &self.waker {
            receiver.set_waker(waker.clone());
        }
        self.state = State::Looking(receiver);
    }

    fn looked_up(&mut self, result: LookupResult) -> Result<(), HttpClientError> {
        let addresses = match result {
            Ok(addresses) if addresses.is_empty() => Err(LookupError::NotFound("the name has no address".to_owned())),
            other => other,
        }
        .map_err(|error| HttpClientError::lookup(error, &self.origin.host))?;
        let now = self.context.net.now();
        self.request.reach(Milestone::Resolved, now);
        self.phase_deadline = self.limits.connect.map(|limit| now.after(limit));
        self.state = State::Racing(Race::new(interleave(addresses)));
        Ok(())
    }

    fn timeout(&self) -> HttpClientError {
        let (status, phase) = match self.state {
            State::Racing(_) => {
                self.context.net.forget_name(&self.origin.host);
                (Status::TimeoutConnect, Phase::Connect)
            }
            _ => (Status::TimeoutResolve, Phase::Resolve),
        };
        HttpClientError::new(status, phase, format!("{}: {}", self.origin.host, status.message()))
    }

    /// One step: what to wait for, what to spawn, or the end.
    fn step(&mut self) -> Result<Step<N>, HttpClientError> {
        loop {
            match &mut self.state {
                State::Start if self.context.asks(SpawnKind::Resolve) => {
                    let Some(waker) = &self.waker else { return Err(internal()) };
                    let (resolver, host, port) =
                        (self.context.net.resolver(), self.origin.host.clone(), self.origin.port);
                    let ask = Ask {
                        spawn_id: self.context.host.desk.new_id(),
                        kind: SpawnKind::Resolve,
                        step: 0,
                        http_status: 0,
                        port: u32::from(port),
                        text: host.clone(),
                    };
                    let work = move || resolver.resolve_blocking(&host, port);
                    self.state = State::Offered(offer(&self.context, &self.request, ask, waker, work));
                }
                State::Start => self.start_lookup(),
                State::Offered(offered) => match offered.poll(&self.context) {
                    Offer::Pending(wait) => return Ok(Step::Wait(wait)),
                    Offer::Done(result) => self.looked_up(result)?,
                    // Never inline: a look-up may block. It goes to the library's pool.
                    Offer::Run(..) | Offer::Expired(..) => self.start_lookup(),
                    Offer::Denied => {
                        return Err(HttpClientError::new(Status::Denied, Phase::Resolve, "the look-up was denied"))
                    }
                    Offer::Broken => return Err(internal()),
                },
                State::Looking(receiver) => match receiver.try_recv() {
                    Received::Empty => return Ok(Step::Wait(Wait::EXTERNAL)),
                    Received::Value(result) => self.looked_up(result)?,
                    Received::Closed => return Err(internal()),
                },
                State::Racing(race) => {
                    let step = race.step(&self.context, self.waker.as_ref());
                    if step.is_err() {
                        self.context.net.forget_name(&self.origin.host);
                    }
                    return step;
                }
            }
        }
    }
}

enum Step<N: Net> {
    Wait(Wait),
    Attempt(DialAction<N>),
    Connected(N::Socket),
}

impl<N: Net> TaskIterator for ResolveTask<N> {
    type Ready = ();
    type Pending = Wait;
    type Spawner = DialAction<N>;

    fn started(&mut self, waker: &TaskWaker) {
        self.waker = Some(waker.clone());
        if let Some(answer) = &self.answer {
            answer.set_waker(waker.clone());
        }
        self.phase_deadline = self.limits.resolve.map(|limit| self.context.net.now().after(limit));
    }

    fn label(&self) -> u32 {
        StepKind::Resolve as u32
    }

    fn next(&mut self) -> Option<TaskStatus<(), Wait, DialAction<N>>> {
        self.request.count_poll();
        if self.answer.as_ref().is_none_or(oneshot::Sender::is_closed) {
            return None;
        }
        match self.step() {
            Ok(Step::Connected(socket)) => self.finish(Ok(socket)),
            Ok(Step::Attempt(action)) => Some(TaskStatus::Spawn(action)),
            Ok(Step::Wait(wait)) => match self.phase_deadline {
                Some(deadline) if self.context.net.now() >= deadline => {
                    let error = self.timeout();
                    self.finish(Err(error))
                }
                deadline => Some(TaskStatus::Pending(wait.or_external().no_later_than(deadline))),
            },
            Err(error) => self.finish(Err(error)),
        }
    }
}

/// RFC 8305 section 4: the families take turns, beginning with the resolver's first choice.
fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut a, mut b): (VecDeque<_>, VecDeque<_>) = addresses.into_iter().partition(|x| x.is_ipv6() == first_is_v6);
    let mut out = VecDeque::new();
    while out.len() < ADDRESSES_MAX && (!a.is_empty() || !b.is_empty()) {
        out.extend(a.pop_front());
        out.extend(b.pop_front());
    }
    out.truncate(ADDRESSES_MAX);
    out
}

/// Attempts on several addresses. The task drives the first itself; each further one at the same time is a child,
/// since a task waits for at most one socket.
struct Race<N: Net> {
    left: VecDeque<SocketAddr>,
    own: Option<(SocketAddr, N::Socket)>,
    children: Vec<(SocketAddr, oneshot::Receiver<AttemptResult<N>>)>,
    next_start: Option<Instant>,
    failure: Option<HttpClientError>,
}

impl<N: Net> Race<N> {
    fn new(left: VecDeque<SocketAddr>) -> Self {
        Self { left, own: None, children: Vec::new(), next_start: None, failure: None }
    }

    fn step(&mut self, context: &Arc<Context<N>>, waker: Option<&TaskWaker>) -> Result<Step<N>, HttpClientError> {
        let now = context.net.now();
        loop {
            if let Some((address, mut socket)) = self.own.take() {
                match socket.connected() {
                    Ok(true) => return Ok(Step::Connected(socket)),
                    Ok(false) => self.own = Some((address, socket)),
                    Err(error) => self.failed(address, error),
                }
            }
            let mut index = 0;
            while index < self.children.len() {
                match self.children[index].1.try_recv() {
                    Received::Empty => index += 1,
                    Received::Value(Ok(socket)) => return Ok(Step::Connected(socket)),
                    Received::Value(Err(error)) => {
                        let (address, _) = self.children.swap_remove(index);
                        self.failed(address, error);
                    }
                    Received::Closed => drop(self.children.swap_remove(index)),
                }
            }
            let due = self.next_start.is_none_or(|start| now >= start);
            if !due || self.left.is_empty() {
                break;
            }
            let Some(address) = self.left.pop_front() else { break };
            self.next_start = Some(now.after(CONNECTION_ATTEMPT_DELAY));
            match context.net.connect(address) {
                Err(error) => self.failed(address, error),
                Ok(socket) if self.own.is_none() => self.own = Some((address, socket)),
                Ok(socket) => {
                    let (sender, receiver) = oneshot::channel();
                    if let Some(waker) = waker {
                        receiver.set_waker(waker.clone());
                    }
                    self.children.push((address, receiver));
                    return Ok(Step::Attempt(DialAction(Some(ConnectTask {
                        socket: Some(socket),
                        answer: Some(sender),
                    }))));
                }
            }
        }
        if self.own.is_none() && self.children.is_empty() && self.left.is_empty() {
            return Err(self.failure.take().unwrap_or_else(internal));
        }
        let next = self.next_start.filter(|_| !self.left.is_empty());
        let wait = match &self.own {
            Some((_, socket)) => Wait::io(socket.key(), Interest::Write),
            None => Wait::EXTERNAL,
        };
        Ok(Step::Wait(wait.no_later_than(next)))
    }

    /// The first failure is the one reported: it was the resolver's first choice. The next attempt need not wait.
    fn failed(&mut self, address: SocketAddr, error: NetError) {
        self.failure.get_or_insert_with(|| HttpClientError::connect(error, address));
        self.next_start = None;
    }
}

/// One attempt beside the first.
pub struct ConnectTask<N: Net> {
    socket: Option<N::Socket>,
    answer: Option<oneshot::Sender<AttemptResult<N>>>,
}

impl<N: Net> TaskIterator for ConnectTask<N> {
    type Ready = ();
    type Pending = Wait;
    type Spawner = NoAction;

    fn started(&mut self, waker: &TaskWaker) {
        if let Some(answer) = &self.answer {
            answer.set_waker(waker.clone());
        }
    }

    fn label(&self) -> u32 {
        StepKind::Resolve as u32
    }

    fn next(&mut self) -> Option<TaskStatus<(), Wait, NoAction>> {
        let mut socket = self.socket.take()?;
        if self.answer.as_ref().is_none_or(oneshot::Sender::is_closed) {
            return None;
        }
        let result = match socket.connected() {
            Ok(false) => {
                let wait = Wait::io(socket.key(), Interest::Write).or_external();
                self.socket = Some(socket);
                return Some(TaskStatus::Pending(wait));
            }
            Ok(true) => Ok(socket),
            Err(error) => Err(error),
        };
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(result);
        }
        None
    }
}

/// Lifts one more attempt.
pub struct DialAction<N: Net>(Option<ConnectTask<N>>);

impl<N: Net> ExecutionAction for DialAction<N> {
    fn apply(&mut self, parent: Entry, engine: BoxedExecutionEngine) -> GenericResult<()> {
        if let Some(task) = self.0.take() {
            engine.lift(DoNext::boxed(task, |()| {}), Some(parent))?;
        }
        Ok(())
    }
}

fn internal() -> HttpClientError {
    HttpClientError::plain(Status::Internal, Phase::Connect)
}
