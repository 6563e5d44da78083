//! A request in a world of its own: a seeded simulator, a scripted network, a host that reads as bytes come.

use std::sync::Arc;
use std::time::Duration;

use crate::client::plan::Usual;
use crate::client::request::Stop;
use crate::client::task::HttpRequestTask;
use crate::client::{Context, HostSide, Phase, Plan, Pool, RequestConfig, RequestInfo, RequestShared, Status};
use crate::net::scripted::{Op, Plan as Wire, ScriptedNet};
use crate::tls::TlsSettings;
use crate::valtron::sim::Sim;
use crate::valtron::time::Clock;
use crate::valtron::DoNext;

/// Turns that no test comes near.
const TURNS_MAX: u64 = 100_000;

/// What a context is made with.
pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) ask: u32,
    pub(super) tls: Option<TlsSettings>,
    pub(super) idle_max: usize,
    pub(super) idle_timeout: Option<Duration>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { seed: 0, ask: 0, tls: None, idle_max: 8, idle_timeout: Some(Duration::from_secs(60)) }
    }
}

/// What the host does between two turns.
pub(super) type Host = Box<dyn FnMut(&HostSide)>;

pub(super) struct World {
    pub(super) sim: Sim,
    pub(super) net: ScriptedNet,
    pub(super) host: Arc<HostSide>,
    pub(super) context: Arc<Context<ScriptedNet>>,
    /// What its requests have in common.
    usual: Usual,
    /// Answers questions and runs jobs.
    pub(super) acts: Host,
    /// Bytes the host reads at once; 0: it does not read before the end.
    pub(super) reads: usize,
    /// Another thread of the host has the request's lock in so many turns of three.
    pub(super) held: u32,
}

/// How a request ended.
pub(super) struct Outcome {
    pub(super) states: String,
    pub(super) status: Status,
    pub(super) phase: Phase,
    pub(super) text: String,
    pub(super) body: Vec<u8>,
    pub(super) took: Duration,
    pub(super) info: RequestInfo,
    pub(super) shared: Arc<RequestShared>,
}

/// Whatever a request fails with, it says first and once which host it is about.
fn names_a_host_once(text: &str) -> bool {
    let hosts = ["10.0.0.1:", "10.0.0.2:", "10.0.0.9:", "[::1]:", "a.test:", "nowhere.test:"];
    let host = hosts.iter().find(|host| text.starts_with(*host));
    host.is_some_and(|host| !text[host.len()..].trim_start().starts_with(&host[..host.len() - 1]))
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::with(Setup { seed, ..Setup::default() })
    }

    pub(super) fn asking(seed: u64, ask: u32) -> Self {
        Self::with(Setup { seed, ask, ..Setup::default() })
    }

    pub(super) fn with(setup: Setup) -> Self {
        let mut sim = Sim::new(setup.seed);
        let handle = sim.executor().handle();
        let net = ScriptedNet::new(sim.poller(), handle.clock());
        let host = HostSide::new(1_000, Box::new(|| {}));
        let context = Arc::new(Context {
            net: net.clone(),
            pool: Pool::new(setup.idle_max, setup.idle_timeout),
            load: Arc::default(),
            buffers: Default::default(),
            host: host.clone(),
            tls: setup.tls,
            spawn_ask: setup.ask,
            spawn_timeout: Duration::from_secs(1),
            job_timeout: Duration::from_secs(2),
            user_agent: String::new(),
            spawn: Box::new(move |task| handle.spawn(task)),
        });
        // Large reads go straight to the socket, small ones through the buffer: neither may show.
        let reads = [1_000, 20_000][(setup.seed % 2) as usize];
        Self { sim, net, host, context, usual: Usual::default(), acts: Box::new(|_| {}), reads, held: 0 }
    }

    /// The next connection follows `ops`.
    pub(super) fn script(&self, ops: Vec<Op>) {
        self.net.plan(Wire::Script(ops));
    }

    pub(super) fn start(&mut self, config: RequestConfig<'_>) -> Arc<RequestShared> {
        let now = self.sim.now();
        let capacity = config.body_buffer_bytes;
        let plan = Plan::sharing(config, now, "", &self.usual).expect("a request");
        let url = plan.target.display();
        let host = &self.host;
        let made = host.insert(|handle| RequestShared::new(handle, 0, false, now, url, capacity, host));
        let shared = made.expect("a slot");
        let task = HttpRequestTask::new(self.context.clone(), shared.clone(), plan);
        self.sim.executor().handle().spawn(DoNext::boxed(task, |()| {}));
        shared
    }

    /// Runs until the request is over; the host reads and acts after each turn.
    pub(super) fn finish(&mut self, shared: &Arc<RequestShared>) -> Outcome {
        // Both clocks at the same time, see below.
        self.sim.advance(Duration::ZERO);
        let (start, mut body, mut into) = (self.sim.now(), Vec::new(), vec![0; self.reads]);
        let (host, acts, reads, held) = (&self.host, &mut self.acts, self.reads, self.held);
        let (mut turns, mut guard) = (0, None);
        let (clock, turn) = (self.sim.clock(), self.sim.executor().handle().clock());
        let over = self.sim.run_until(
            || {
                guard = None;
                // Between a wait and its turn the network is at the wait's time and the sockets at the last turn's.
                if turn.now() != clock.read() {
                    return false;
                }
                acts(host);
                while let (true, Ok(count @ 1..)) = (reads > 0, shared.read(&mut into)) {
                    body.extend_from_slice(&into[..count]);
                }
                turns += 1;
                guard = (turns % 3 < held).then(|| shared.hold());
                shared.is_terminal()
            },
            TURNS_MAX,
        );
        drop(guard);
        assert!(over, "tasks are gone, the request is not over");
        let took = self.sim.now().since(start);
        // What waits for later must not be the request's: its tasks end with it.
        let mut into = [0; 512];
        while let Ok(count @ 1..) = shared.read(&mut into) {
            body.extend_from_slice(&into[..count]);
        }
        let error = shared.error();
        if let Some(error) = &error {
            assert!(names_a_host_once(&error.text), "{}", error.text);
        }
        Outcome {
            states: states(shared),
            status: error.as_ref().map_or(Status::Ok, |error| error.status),
            phase: error.as_ref().map_or(Phase::None, |error| error.phase),
            text: error.map(|error| error.text.clone()).unwrap_or_default(),
            body,
            took,
            info: shared.info(),
            shared: shared.clone(),
        }
    }

    pub(super) fn run(&mut self, config: RequestConfig<'_>) -> Outcome {
        let shared = self.start(config);
        self.finish(&shared)
    }

    pub(super) fn get(&mut self, url: &str) -> Outcome {
        self.run(get(url))
    }

    /// Stops a request after so long, and sees it end at once.
    pub(super) fn stop_after(&mut self, shared: &Arc<RequestShared>, delay: Duration, stop: Stop) -> Outcome {
        self.sim.advance(delay);
        shared.request_stop(stop);
        let outcome = self.finish(shared);
        assert_eq!(outcome.took, Duration::ZERO);
        outcome
    }

    /// Lets everything that can still happen happen, and counts what is left: idle connections' keeper at most.
    pub(super) fn settle(&mut self) {
        self.sim.advance(Duration::from_millis(1));
        let left = self.sim.executor().task_count();
        assert!(left <= 1, "tasks outlive their request: {}", self.sim.waits());
    }
}

/// The states passed, by name.
pub(super) fn states(shared: &RequestShared) -> String {
    let names = ["init", "connecting", "tls", "sending", "intro", "headers", "body", "redirect", "done", "error"];
    let passed: Vec<_> = shared.trace().iter().map(|entry| names[entry.state as usize]).collect();
    passed.join(" ")
}

pub(super) fn get(url: &str) -> RequestConfig<'static> {
    RequestConfig { url: url.to_owned().into(), ..RequestConfig::default() }
}

pub(super) fn post(url: &str, body: &[u8]) -> RequestConfig<'static> {
    RequestConfig { method: "POST".into(), body: Some(Arc::new(body.to_vec())), ..get(url) }
}

pub(super) fn bytes(text: impl AsRef<[u8]>) -> Op {
    Op::Bytes(text.as_ref().to_vec())
}

/// An answer with a body.
pub(super) fn ok(body: &str) -> Op {
    bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// A redirect with a body.
pub(super) fn moved(status: u16, location: &str, body: &str) -> Op {
    bytes(format!("HTTP/1.1 {status} M\r\nLocation: {location}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

/// A server for requests without bodies: each whole head is answered by the next of `answers`.
pub(super) fn server(answers: Vec<Vec<Op>>) -> Wire {
    let (mut answers, mut heads) = (answers.into_iter(), Vec::new());
    Wire::Server(Box::new(move |received: &[u8]| {
        heads.extend_from_slice(received);
        if !heads.ends_with(b"\r\n\r\n") {
            return Vec::new();
        }
        heads.clear();
        answers.next().unwrap_or_default()
    }))
}

pub(super) const HEADED: &str = "init connecting sending intro headers";
pub(super) const PLAIN: &str = "init connecting sending intro headers body done";
pub(super) const URL: &str = "http://10.0.0.1/";

/// Several orders of tasks.
pub(super) const SEEDS: std::ops::Range<u64> = 0..6;
