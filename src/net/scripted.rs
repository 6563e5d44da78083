//! A network out of a script, under virtual time: the same script and seed give the same run, byte for byte.
//!
//! A connection is a list of [`Op`]s, or a [server](Plan::Server) that answers what it is sent. Both fill one queue
//! of segments, each visible from its time on; the simulator's poller is told of each time once, as an edge, the way
//! the system's poller would.
//!
//! ```
//! use std::sync::Arc;
//! use valtron_http::net::scripted::{Op, Plan, ScriptedNet};
//! use valtron_http::net::{Io, Net, Socket};
//! use valtron_http::valtron::poller::Poller;
//! use valtron_http::valtron::sim::{SimPoller, VirtualClock};
//! use valtron_http::valtron::time::TurnClock;
//!
//! let poller = Arc::new(SimPoller::new(VirtualClock::default()));
//! let net = ScriptedNet::new(poller.clone(), TurnClock::default());
//! net.plan(Plan::Script(vec![Op::Bytes(b"hello".to_vec()), Op::Eof]));
//!
//! let mut socket = net.connect("192.0.2.1:80".parse().unwrap()).unwrap();
//! poller.wait(None, &mut Vec::new()).unwrap();
//! assert_eq!(socket.connected(), Ok(true));
//! assert_eq!(socket.write(b"hi"), Ok(Io::Done(2)));
//! let mut bytes = [0; 16];
//! assert_eq!(socket.read(&mut bytes), Ok(Io::Done(5)));
//! assert_eq!(socket.read(&mut bytes), Ok(Io::Done(0)));
//! assert_eq!(net.written(0), b"hi");
//! ```

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{oneshot, LookupError, LookupResult, Net, NetError, NetErrorKind, Resolver, WatchList};
use crate::synca::sync::lock;
use crate::synca::{TaskWaker, WakeQueue};
use crate::valtron::poller::{Poller, Readiness, Source};
use crate::valtron::sim::SimPoller;
use crate::valtron::time::{Instant, TurnClock};
use crate::valtron::SocketKey;

mod socket;

pub use socket::ScriptedSocket;
use socket::Wire;

/// What the peer, and the network before it, does on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The peer sends bytes. Neighbours may be read together.
    Bytes(Vec<u8>),
    /// Ends a readiness period: what follows is seen only after the client found nothing to read, and comes as an
    /// edge of its own.
    WouldBlock,
    /// The peer closes its side.
    Eof,
    /// The peer cuts the connection.
    Reset,
    /// What follows comes so much later.
    AdvanceMs(u64),
    /// So many bytes are taken from the client before its writes would block; the next such op, or a drop of the
    /// limit by [`Op::AcceptAll`], makes room again.
    AcceptWrite(usize),
    /// Everything is taken from the client from here on, as at first.
    AcceptAll,
    /// What follows comes only after the client has written so many bytes, counted from the start.
    ExpectWrite(usize),
}

/// A server in a closure: given the bytes that the client wrote (none at all at first), it says what happens next.
pub type Server = Box<dyn FnMut(&[u8]) -> Vec<Op> + Send>;

/// One connection to come.
pub enum Plan {
    /// Connects at once and follows the ops.
    Script(Vec<Op>),
    /// Connects at once; the closure plays the server.
    Server(Server),
    /// As another plan, but the connection is made only after so many milliseconds.
    After(u64, Box<Plan>),
    /// Nobody listens; known after so many milliseconds.
    Refuse(u64),
    /// Nothing ever answers.
    BlackHole,
    /// The call itself fails.
    Fail(NetErrorKind),
}

/// The answer to a look-up of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// These addresses (their ports are replaced by the one asked for).
    Addresses(Vec<SocketAddr>),
    /// An error.
    Error(LookupError),
    /// No answer, ever.
    Never,
    /// Another answer, but only after so many milliseconds.
    After(u64, Box<Lookup>),
}

/// The scripted network. A clone is the same network.
#[derive(Clone)]
pub struct ScriptedNet(Arc<Shared>);

struct Shared {
    poller: Arc<SimPoller>,
    clock: TurnClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Plans for a certain address, then for any.
    for_address: HashMap<SocketAddr, VecDeque<Plan>>,
    for_any: VecDeque<Plan>,
    names: HashMap<String, Lookup>,
    opened: Vec<(SocketAddr, Arc<Mutex<Wire>>)>,
    looked_up: Vec<String>,
    delayed: Vec<(Answer, Arc<WatchList>)>,
    unanswered: Vec<oneshot::Sender<LookupResult>>,
}

/// An answer and whom it is for, until it is sent.
type Answer = Arc<Mutex<Option<(oneshot::Sender<LookupResult>, LookupResult)>>>;

impl ScriptedNet {
    /// A network where nothing is planned: a connect is refused, a look-up finds nothing. `clock` is the executor's.
    pub fn new(poller: Arc<SimPoller>, clock: TurnClock) -> Self {
        Self(Arc::new(Shared { poller, clock, state: Mutex::default() }))
    }

    /// Plans the next connection to any address; plans are used up in order.
    pub fn plan(&self, plan: Plan) {
        lock(&self.0.state).for_any.push_back(plan);
    }

    /// Plans the next connection to one address; such plans go before those for any.
    pub fn plan_for(&self, address: SocketAddr, plan: Plan) {
        lock(&self.0.state).for_address.entry(address).or_default().push_back(plan);
    }

    /// The answer to all look-ups of a name.
    pub fn name(&self, name: &str, lookup: Lookup) {
        lock(&self.0.state).names.insert(name.to_owned(), lookup);
    }

    /// Everything the client wrote on the connection opened as number `index`, from 0; empty if there is none.
    pub fn written(&self, index: usize) -> Vec<u8> {
        let state = lock(&self.0.state);
        state.opened.get(index).map(|(_, wire)| lock(wire).written.clone()).unwrap_or_default()
    }

    /// The client has dropped the connection opened as number `index`.
    pub fn is_closed(&self, index: usize) -> bool {
        lock(&self.0.state).opened.get(index).is_some_and(|(_, wire)| lock(wire).dropped)
    }

    /// The addresses that connections were opened to, in order; refused ones count.
    pub fn opened(&self) -> Vec<SocketAddr> {
        lock(&self.0.state).opened.iter().map(|(address, _)| *address).collect()
    }

    /// The names looked up, in order.
    pub fn looked_up(&self) -> Vec<String> {
        lock(&self.0.state).looked_up.clone()
    }

    /// Look-ups whose answer is still to come and still wanted.
    pub fn lookups_waiting(&self) -> usize {
        let state = lock(&self.0.state);
        let delayed = state
            .delayed
            .iter()
            .filter(|(answer, _)| lock(answer).as_ref().is_some_and(|(sender, _)| !sender.is_closed()));
        delayed.count() + state.unanswered.iter().filter(|sender| !sender.is_closed()).count()
    }

    /// Sends an answer at a time. The simulator's poller knows of times, but only for sockets; so a socket that
    /// nobody owns becomes ready then, and the one who watches it is not a task but this answer.
    fn answer_at(&self, at: Instant, answer: oneshot::Sender<LookupResult>, result: LookupResult) {
        let Ok((key, _)) = self.0.poller.register(Source::Virtual) else { return };
        let waiting: Answer = Arc::new(Mutex::new(Some((answer, result))));
        let due = waiting.clone();
        let queue = WakeQueue::new(Box::new(move || {
            let taken = lock(&due).take();
            if let Some((answer, result)) = taken {
                // Whoever gave up does not want it.
                let _ = answer.send(result);
            }
        }));
        // A queue calls its interrupt only while its driver sleeps; this one has no driver and sleeps for ever.
        queue.prepare_sleep();
        let list = Arc::new(WatchList::default());
        list.set_waker(TaskWaker::new(key.0, queue));
        self.0.poller.watch(key, &list);
        self.0.poller.set_ready_at(at, key, Readiness::READ);
        lock(&self.0.state).delayed.push((waiting, list));
    }
}

impl Net for ScriptedNet {
    type Socket = ScriptedSocket;

    fn now(&self) -> Instant {
        self.0.clock.now()
    }

    fn connect(&self, address: SocketAddr) -> Result<ScriptedSocket, NetError> {
        let now = self.now();
        let mut state = lock(&self.0.state);
        let planned = state.for_address.get_mut(&address).and_then(VecDeque::pop_front);
        let plan = planned.or_else(|| state.for_any.pop_front()).unwrap_or(Plan::Refuse(0));
        if let Plan::Fail(kind) = plan {
            return Err(NetError::of_kind(kind));
        }
        let (key, readiness) = self.0.poller.register(Source::Virtual).map_err(NetError::from_io)?;
        let wire = Arc::new(Mutex::new(Wire::new(self.0.poller.clone(), key, now, plan)));
        state.opened.push((address, wire.clone()));
        drop(state);
        Ok(ScriptedSocket::new(wire, self.0.clock.clone(), key, readiness))
    }

    fn lookup(&self, host: &str, port: u16) -> oneshot::Receiver<LookupResult> {
        let (answer, receiver) = oneshot::channel();
        let (delay_ms, found) = {
            let mut state = lock(&self.0.state);
            state.looked_up.push(host.to_owned());
            find(&state.names, host, port)
        };
        match found {
            None => lock(&self.0.state).unanswered.push(answer),
            Some(result) if delay_ms == 0 => {
                // The receiver is still ours, so the send cannot fail.
                let _ = answer.send(result);
            }
            Some(result) => self.answer_at(self.now().after(Duration::from_millis(delay_ms)), answer, result),
        }
        receiver
    }

    fn resolver(&self) -> Arc<dyn Resolver> {
        Arc::new(self.clone())
    }

    fn watch(&self, key: SocketKey, list: &Arc<WatchList>) -> bool {
        self.0.poller.watch(key, list)
    }

    fn with_scratch<R>(&self, use_it: impl FnOnce(&mut [u8]) -> R) -> R {
        use_it(&mut vec![0; SCRATCH_BYTES])
    }
}

impl Resolver for ScriptedNet {
    /// The answer at once, whatever its delay; one that never comes is [`LookupError::Failed`].
    fn resolve_blocking(&self, host: &str, port: u16) -> LookupResult {
        let (_, found) = find(&lock(&self.0.state).names, host, port);
        found.unwrap_or_else(|| Err(LookupError::Failed(format!("{host} never answers"))))
    }
}

/// The delay and the answer; no answer is one that never comes. An address answers itself, as the system's resolver
/// does.
fn find(names: &HashMap<String, Lookup>, host: &str, port: u16) -> (u64, Option<LookupResult>) {
    if let Ok(address) = host.parse() {
        return (0, Some(Ok(vec![SocketAddr::new(address, port)])));
    }
    let mut delay_ms = 0_u64;
    let mut lookup = names.get(host);
    while let Some(Lookup::After(more_ms, then)) = lookup {
        delay_ms = delay_ms.saturating_add(*more_ms);
        lookup = Some(then);
    }
    let found = match lookup {
        None => Some(Err(LookupError::NotFound("no such name in the script".to_owned()))),
        Some(Lookup::Error(error)) => Some(Err(error.clone())),
        Some(Lookup::Addresses(list)) => Some(Ok(list.iter().map(|one| SocketAddr::new(one.ip(), port)).collect())),
        Some(Lookup::Never | Lookup::After(..)) => None,
    };
    (delay_ms, found)
}

/// As large as the trait asks for.
const SCRATCH_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests;
