//! The whole request over a scripted network and a virtual clock: no panic, one end each, no deadlock, no poll without
//! a reason, no empty wait, nothing after the end, buffers within their bounds, and the same course however the bytes
//! were cut. The simulator itself panics on a deadlock, an empty wait and a poll too many.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use valtron_http::client::actions::HttpClientAction;
use valtron_http::client::config::BODY_BUFFER_GROWN_BYTES_MAX;
use valtron_http::client::task::{HttpRequestState, HttpRequestTask, RequestPending};
use valtron_http::client::{
    event_flags, Context, Decision, HostSide, Phase, Plan, Pool, RequestConfig, RequestShared, SpawnCallback, Status,
    TraceEntry,
};
use valtron_http::net::scripted::{Lookup, Op, Plan as Wire, ScriptedNet};
use valtron_http::net::{LookupError, NetErrorKind};
use valtron_http::synca::TaskWaker;
use valtron_http::valtron::sim::Sim;
use valtron_http::valtron::time::Clock;
use valtron_http::valtron::{DoNext, TaskIterator, TaskStatus};

#[derive(Arbitrary, Debug)]
struct Input {
    seed: u8,
    world: World,
    requests: Vec<Request>,
    connections: Vec<Connection>,
    /// Where bytes are cut in the second run.
    pieces: [u8; 4],
}

#[derive(Arbitrary, Debug)]
struct World {
    ask: u8,
    decision: u8,
    runs_jobs: bool,
    reads: u8,
    idle_max: u8,
    lookup: u8,
}

#[derive(Arbitrary, Debug)]
struct Request {
    url: u8,
    method: u8,
    body: u16,
    redirects: u8,
    small: bool,
    hasty: bool,
    total: bool,
    buffer: u8,
    /// Freed after so many turns; zero: never.
    freed: u8,
    /// Starts only when those before it are over.
    last: bool,
}

#[derive(Arbitrary, Debug)]
struct Connection {
    kind: u8,
    delay: u8,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Part(u8),
    Raw(Vec<u8>),
    Many(u8, u8),
    Block,
    Eof,
    Reset,
    Advance(u8),
    Accept(u16),
    AcceptAll,
    Expect(u16),
}

const PARTS: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n",
    "HTTP/1.1 302 Found\r\n",
    "HTTP/1.1 307 T\r\n",
    "HTTP/1.1 204 N\r\n",
    "HTTP/1.1 304 N\r\n",
    "HTTP/1.1 101 S\r\n",
    "HTTP/1.1 404\r\n",
    "Location: /next\r\n",
    "Location: http://10.0.0.2/\r\n",
    "Location: https://10.0.0.1/\r\n",
    "Location: ftp://x\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 70000\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close\r\n",
    "X: y\r\n",
    "\r\n",
    "hello",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nT: v\r\n\r\n",
    "1;ext=\"a\"\r\nx\r\n",
    "\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n",
];

/// Bounds of one run, so that each takes about a millisecond.
const CONNECTIONS_MAX: usize = 6;
const STEPS_MAX: usize = 40;
const REQUESTS_MAX: usize = 4;
const TURNS_MAX: u64 = 1_000_000;

/// What of a request must not depend on how its bytes were cut.
#[derive(Debug, PartialEq)]
struct Course {
    status: Status,
    phase: Phase,
    text: String,
    states: Vec<(i32, u32)>,
    body: Vec<u8>,
    http_status: i32,
    interim_count: u32,
}

fuzz_target!(|input: Input| {
    let whole = run(&input, None);
    let alone = input.requests.len().min(REQUESTS_MAX) == 1 && input.requests[0].freed == 0;
    let window = input.connections.iter().any(|one| one.steps.iter().any(|step| matches!(step, Step::Accept(_))));
    // Where windows are small, what is sent depends on what came; after a redirect, whether a connection serves again
    // depends on what came along. Both are as they should be.
    if alone && !window && whole[0].states.iter().all(|(state, _)| *state != 7) {
        assert_eq!(whole, run(&input, Some(input.pieces)), "the course depends on how the bytes were cut");
        assert_eq!(whole, run(&input, Some([1; 4])), "the course depends on how the bytes were cut");
    }
});

fn run(input: &Input, pieces: Option<[u8; 4]>) -> Vec<Course> {
    let mut sim = Sim::new(u64::from(input.seed));
    let handle = sim.executor().handle();
    let net = ScriptedNet::new(sim.poller(), handle.clock());
    for connection in input.connections.iter().take(CONNECTIONS_MAX) {
        net.plan(wire(connection, pieces));
    }
    net.name("a.test", lookup(input.world.lookup));
    let host = HostSide::new(100, Box::new(|| {}));
    let (spawner, clock) = (handle.clone(), sim.clock());
    let context = Arc::new(Context {
        net: net.clone(),
        pool: Pool::new(usize::from(input.world.idle_max % 4), Some(Duration::from_secs(20))),
        load: Arc::default(),
        buffers: Default::default(),
        host: host.clone(),
        tls: None,
        spawn_ask: u32::from(input.world.ask % 8),
        spawn_timeout: Duration::from_micros(300_600),
        job_timeout: Duration::from_micros(200_700),
        user_agent: String::new(),
        spawn: Box::new(move |task| spawner.spawn(task)),
    });
    let (decision, runs_jobs) = (input.world.decision, input.world.runs_jobs);
    let callback: SpawnCallback = Box::new(move |_, job| {
        let decision = [Decision::Run, Decision::Deny, Decision::Take, Decision::Later][usize::from(decision % 4)];
        if decision == Decision::Take && runs_jobs {
            let _ = job.run();
        }
        decision
    });
    let reads = [1, 100, 5_000, 20_000][usize::from(input.world.reads % 4)];
    let mut into = vec![0; reads];
    let mut all = Vec::new();
    let requests = &input.requests[..input.requests.len().min(REQUESTS_MAX)];
    for (at, request) in requests.iter().enumerate() {
        let now = sim.now();
        let config = config(request);
        let capacity = config.body_buffer_bytes;
        let plan = Plan::new(config, now, "").expect("a good request");
        let url = plan.target.display();
        let made = host.insert(|handle| RequestShared::new(handle, 0, false, now, url, capacity, &host));
        let shared = made.expect("a slot");
        let task = HttpRequestTask::new(context.clone(), shared.clone(), plan);
        handle.spawn(DoNext::boxed(Watched { task, shared: shared.clone(), over: false }, |()| {}));
        all.push((shared, capacity, request.freed, Vec::new(), 0_u8));
        if requests.get(at + 1).is_some_and(|next| !next.last) {
            continue;
        }
        // Both clocks at the same time.
        sim.advance(Duration::ZERO);
        let turn = handle.clock();
        let over = sim.run_until(
            || {
                if turn.now() != clock.read() {
                    return false;
                }
                host.desk.pump(Some(&callback), |_| {});
                let mut over = true;
                for (shared, capacity, freed, body, turns) in &mut all {
                    let most = capacity.unwrap_or(BODY_BUFFER_GROWN_BYTES_MAX);
                    assert!(shared.info().body_buffered <= most as u64);
                    while let Ok(count @ 1..) = shared.read(&mut into) {
                        body.extend_from_slice(&into[..count]);
                    }
                    *turns = turns.saturating_add(1);
                    if *turns == *freed {
                        shared.free();
                    }
                    over &= shared.is_terminal();
                }
                over
            },
            TURNS_MAX,
        );
        assert!(over, "the tasks are gone, the requests are not over");
    }
    // Only the keeper of idle connections is left, and it goes, too.
    sim.run_until_idle();
    assert!(context.pool.is_empty());
    assert!((0..net.opened().len()).all(|index| net.is_closed(index)));
    let mut terminal = 0;
    while let Some(event) = host.events(1)() {
        terminal += usize::from(event.flags & event_flags::DONE != 0);
    }
    assert_eq!(terminal, all.len());
    all.into_iter().map(|(shared, _, _, body, _)| course(&shared, body)).collect()
}

fn course(shared: &RequestShared, body: Vec<u8>) -> Course {
    let (error, info) = (shared.error(), shared.info());
    let trace = shared.trace();
    assert!(trace.windows(2).all(|pair| pair[0].at <= pair[1].at && pair[0].hop <= pair[1].hop));
    assert_eq!(trace.iter().filter(|entry| entry.state >= 8).count(), 1);
    assert_eq!(info.body_received, body.len() as u64);
    if let (None, Some(total)) = (&error, info.body_total) {
        assert_eq!(total, body.len() as u64);
    }
    Course {
        status: error.as_ref().map_or(Status::Ok, |error| error.status),
        phase: error.as_ref().map_or(Phase::None, |error| error.phase),
        text: error.map(|error| error.text.clone()).unwrap_or_default(),
        states: trace.iter().map(|TraceEntry { state, hop, .. }| (*state, *hop)).collect(),
        body,
        http_status: info.http_status,
        interim_count: info.interim_count,
    }
}

/// Looks at each step of a request's task.
struct Watched {
    task: HttpRequestTask<ScriptedNet>,
    shared: Arc<RequestShared>,
    over: bool,
}

impl TaskIterator for Watched {
    type Ready = ();
    type Pending = RequestPending;
    type Spawner = HttpClientAction<ScriptedNet>;

    fn started(&mut self, waker: &TaskWaker) {
        self.task.started(waker);
    }

    fn next(&mut self) -> Option<TaskStatus<(), RequestPending, HttpClientAction<ScriptedNet>>> {
        assert!(!self.over);
        assert!(!self.shared.is_terminal(), "it is over, and its task still runs");
        let status = self.task.next();
        match &status {
            None => {
                self.over = true;
                assert!(self.shared.is_terminal());
                assert!(self.task.next().is_none() && self.task.next().is_none());
            }
            Some(TaskStatus::Pending(RequestPending { state, wait })) => {
                use HttpRequestState as S;
                assert!(wait.external, "cancel must reach it: {wait:?}");
                let socket = matches!(state, S::SendingRequest | S::ReceivingIntro | S::ReceivingHeaders);
                assert!(!socket || wait.io.is_some() && wait.deadline.is_some(), "{state:?} {wait:?}");
                assert!(!matches!(state, S::Init | S::Done | S::Error(_)), "{state:?} {wait:?}");
            }
            Some(_) => {}
        }
        status
    }
}

/// No timeout falls on a whole millisecond, as all scripted times do: which of two things at the same moment comes
/// first is not what is asked here.
fn config(request: &Request) -> RequestConfig<'static> {
    let url = ["http://10.0.0.1/", "http://a.test/", "http://[::1]:81/", "https://10.0.0.1/", "http://10.0.0.1/x"];
    let method = ["GET", "POST", "HEAD", "PUT", "OPTIONS"];
    let mut config = RequestConfig {
        url: url[usize::from(request.url) % url.len()].into(),
        method: method[usize::from(request.method) % method.len()].into(),
        redirects_max: [Some(10), Some(1), Some(0), None][usize::from(request.redirects % 4)],
        body_buffer_bytes: [None, Some(1), Some(7), Some(1_000)][usize::from(request.buffer % 4)],
        connect_timeout: Some(Duration::from_micros(9_000_800)),
        ..RequestConfig::default()
    };
    if request.body > 0 && matches!(&*config.method, "POST" | "PUT") {
        config.body = Some(Arc::new(vec![b'b'; usize::from(request.body) * 3]));
    }
    if request.small {
        (config.head_bytes_max, config.headers_max, config.interim_max) = (64, 2, 1);
    }
    if request.hasty {
        config.send_timeout = Some(Duration::from_micros(30_100));
        config.first_byte_timeout = Some(Duration::from_micros(50_200));
        config.idle_timeout = Some(Duration::from_micros(20_300));
        config.connect_timeout = Some(Duration::from_micros(300_400));
    }
    if request.total {
        config.total_timeout = Some(Duration::from_micros(400_500));
    }
    config
}

fn lookup(kind: u8) -> Lookup {
    let list = |texts: &[&str]| Lookup::Addresses(texts.iter().map(|text| text.parse().expect("good")).collect());
    match kind % 6 {
        0 => list(&["10.0.0.1:0"]),
        1 => list(&["[::1]:0", "10.0.0.1:0", "[::2]:0"]),
        2 => Lookup::Error(LookupError::NotFound("no".to_owned())),
        3 => Lookup::Never,
        4 => Lookup::After(70, Box::new(list(&["10.0.0.1:0", "[::1]:0"]))),
        _ => list(&[]),
    }
}

fn wire(connection: &Connection, pieces: Option<[u8; 4]>) -> Wire {
    let delay = u64::from(connection.delay) * 5;
    match connection.kind % 8 {
        0 => Wire::Refuse(delay),
        1 => Wire::BlackHole,
        2 => Wire::Fail(NetErrorKind::Unreachable),
        3 => Wire::After(delay, Box::new(Wire::Script(ops(connection, pieces)))),
        _ => Wire::Script(ops(connection, pieces)),
    }
}

fn ops(connection: &Connection, pieces: Option<[u8; 4]>) -> Vec<Op> {
    let mut pieces = pieces.map(|pieces| pieces.into_iter().cycle());
    let mut ops = Vec::new();
    let mut push = |ops: &mut Vec<Op>, bytes: &[u8]| {
        let mut rest = bytes;
        if let Some(pieces) = &mut pieces {
            // A long run is cut at its beginning only: the rest is more of the same. A block stands between two pieces,
            // since what follows one is seen only by who came for what is before it.
            for piece in pieces.take(400).map(|piece| usize::from(piece).max(1)) {
                if piece >= rest.len() {
                    break;
                }
                let (part, left) = rest.split_at(piece);
                ops.extend([Op::Bytes(part.to_vec()), Op::WouldBlock]);
                rest = left;
            }
        }
        ops.push(Op::Bytes(rest.to_vec()));
    };
    for step in connection.steps.iter().take(STEPS_MAX) {
        match step {
            Step::Part(part) => push(&mut ops, PARTS[usize::from(*part) % PARTS.len()].as_bytes()),
            Step::Raw(bytes) => push(&mut ops, bytes),
            Step::Many(byte, count) => push(&mut ops, &vec![*byte; usize::from(*count) * 300]),
            Step::Block => ops.push(Op::WouldBlock),
            Step::Eof => ops.push(Op::Eof),
            Step::Reset => ops.push(Op::Reset),
            Step::Advance(ms) => ops.push(Op::AdvanceMs(u64::from(*ms))),
            Step::Accept(bytes) => ops.push(Op::AcceptWrite(usize::from(*bytes))),
            Step::AcceptAll => ops.push(Op::AcceptAll),
            Step::Expect(bytes) => ops.push(Op::ExpectWrite(usize::from(*bytes))),
        }
    }
    ops
}
