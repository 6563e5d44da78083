//! The request task over a scripted network and a virtual clock: its states, asserted exactly, and how each kind of
//! failure ends.

use std::sync::Arc;
use std::time::Duration;

use valtron_http::client::task::HttpRequestTask;
use valtron_http::client::{
    event_flags, Context, Decision, HostSide, Plan, Pool, RequestConfig, RequestShared, Status,
};
use valtron_http::net::scripted::{Lookup, Op, Plan as Wire, ScriptedNet};
use valtron_http::valtron::sim::Sim;
use valtron_http::valtron::DoNext;

struct World {
    sim: Sim,
    net: ScriptedNet,
    host: Arc<HostSide>,
    context: Arc<Context<ScriptedNet>>,
}

fn world(seed: u64, spawn_ask: u32) -> World {
    let mut sim = Sim::new(seed);
    let handle = sim.executor().handle();
    let net = ScriptedNet::new(sim.poller(), handle.clock());
    let host = HostSide::new(100, Box::new(|| {}));
    let context = Arc::new(Context {
        net: net.clone(),
        pool: Pool::new(8, Some(Duration::from_secs(60))),
        load: Arc::default(),
        buffers: Default::default(),
        host: host.clone(),
        tls: None,
        spawn_ask,
        spawn_timeout: Duration::from_secs(1),
        job_timeout: Duration::from_secs(1),
        user_agent: String::new(),
        spawn: Box::new(move |task| handle.spawn(task)),
    });
    World { sim, net, host, context }
}

impl World {
    fn start(&mut self, config: RequestConfig<'_>) -> Arc<RequestShared> {
        let now = self.sim.now();
        let plan = Plan::new(config, now, "").unwrap();
        let url = plan.target.display();
        let host = &self.host;
        let shared = host.insert(|handle| RequestShared::new(handle, 0, false, now, url, Some(1 << 20), host)).unwrap();
        let task = HttpRequestTask::new(self.context.clone(), shared.clone(), plan);
        self.sim.executor().handle().spawn(DoNext::boxed(task, |()| {}));
        shared
    }

    fn run(&mut self, url: &str) -> Arc<RequestShared> {
        let shared = self.start(get(url));
        self.finish(&shared);
        shared
    }

    fn finish(&mut self, shared: &Arc<RequestShared>) {
        let (over, host) = (shared.clone(), self.host.clone());
        let done = self.sim.run_until(
            move || {
                host.desk.pump(None, |_| {});
                over.is_terminal()
            },
            100_000,
        );
        assert!(done, "{}", self.sim.waits());
    }
}

fn get(url: &str) -> RequestConfig<'static> {
    RequestConfig { url: url.to_owned().into(), ..RequestConfig::default() }
}

fn bytes(text: &str) -> Op {
    Op::Bytes(text.as_bytes().to_vec())
}

fn states(shared: &RequestShared) -> Vec<i32> {
    shared.trace().iter().map(|entry| entry.state).collect()
}

fn body(shared: &RequestShared) -> Vec<u8> {
    let mut into = vec![0; 1 << 16];
    let count = shared.read(&mut into[..10_000]).unwrap_or(0);
    into.truncate(count);
    into
}

const INIT: i32 = 0;
const CONNECTING: i32 = 1;
const SENDING: i32 = 3;
const INTRO: i32 = 4;
const HEADERS: i32 = 5;
const BODY: i32 = 6;
const REDIRECT: i32 = 7;
const DONE: i32 = 8;
const ERROR: i32 = 9;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Goal: the plain course of a request, whatever the order of tasks. Method: several seeds.
#[test]
fn http() {
    for seed in 0..8 {
        let mut world = world(seed, 0);
        world.net.plan(Wire::Script(vec![bytes(OK)]));
        let shared = world.run("http://10.0.0.1/path?q");
        assert_eq!(states(&shared), [INIT, CONNECTING, SENDING, INTRO, HEADERS, BODY, DONE]);
        assert_eq!(body(&shared), b"hello");
        assert!(world.net.written(0).starts_with(b"GET /path?q HTTP/1.1\r\nHost: 10.0.0.1\r\n"));
    }
}

/// Goal: how bytes are cut never shows. Method: the same response cut at each place, with a pause at the cut.
#[test]
fn every_cut_gives_the_same() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n";
    for cut in 1..response.len() {
        let mut world = world(cut as u64, 0);
        let (a, b) = response.split_at(cut);
        world.net.plan(Wire::Script(vec![bytes(a), Op::AdvanceMs(5), bytes(b)]));
        let shared = world.run("http://10.0.0.1/");
        assert_eq!(states(&shared), [INIT, CONNECTING, SENDING, INTRO, HEADERS, BODY, DONE], "cut {cut}");
        assert_eq!(body(&shared), b"hello", "cut {cut}");
        assert!(shared.info().flags & event_flags::TRAILERS != 0);
    }
}

/// Goal: a redirect is followed over the same connection, its body read away. Method: two responses on one wire.
#[test]
fn a_redirect_reuses_its_connection() {
    let mut world = world(1, 0);
    let moved = "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 4\r\n\r\nbody";
    let mut answers = vec![moved, OK].into_iter();
    world.net.plan(Wire::Server(Box::new(move |received: &[u8]| {
        if received.ends_with(b"\r\n\r\n") {
            answers.next().map(bytes).into_iter().collect()
        } else {
            Vec::new()
        }
    })));
    let shared = world.run("http://10.0.0.1/first");
    let hop = [INIT, CONNECTING, SENDING, INTRO, HEADERS];
    assert_eq!(states(&shared), [&hop[..], &[REDIRECT], &hop[..], &[BODY, DONE]].concat());
    assert_eq!(world.net.opened().len(), 1);
    assert_eq!(shared.info().hops, 1);
    assert_eq!(&*shared.url(), "http://10.0.0.1/next");
}

/// Goal: a denied redirect is the answer itself. Method: ask, deny by id.
#[test]
fn a_denied_redirect_is_the_answer() {
    let mut world = world(2, 1);
    let moved = "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 4\r\n\r\nbody";
    world.net.plan(Wire::Script(vec![bytes(moved)]));
    let shared = world.start(get("http://10.0.0.1/"));
    let host = world.host.clone();
    world.sim.run_until(move || host.desk.pump(None, |_| {}).answered > 0 || host.desk.unpulled() > 0, 10_000);
    let question = world.host.desk.next().unwrap();
    assert_eq!((question.http_status, &*question.text), (302, "http://10.0.0.1/next"));
    world.host.desk.decide(question.spawn_id, Decision::Deny).unwrap();
    world.finish(&shared);
    assert_eq!(states(&shared), [INIT, CONNECTING, SENDING, INTRO, HEADERS, REDIRECT, BODY, DONE]);
    assert_eq!(body(&shared), b"body");
}

/// Goal: each kind of failure has its status and its trace. Method: one script per kind.
#[test]
fn failures() {
    let sent = [INIT, CONNECTING, SENDING, INTRO];
    let headed = [INIT, CONNECTING, SENDING, INTRO, HEADERS, BODY];
    let script = |ops: Vec<Op>| move |net: &ScriptedNet| net.plan(Wire::Script(ops));
    type Prepare = Box<dyn FnOnce(&ScriptedNet)>;
    let cases: Vec<(Prepare, Status, Vec<i32>)> = vec![
        (Box::new(|net| net.plan(Wire::Refuse(1))), Status::ConnectRefused, vec![INIT, CONNECTING]),
        (Box::new(|net| net.plan(Wire::BlackHole)), Status::TimeoutConnect, vec![INIT, CONNECTING]),
        (Box::new(script(vec![Op::Eof])), Status::ConnectionLost, sent.to_vec()),
        (Box::new(script(vec![Op::Reset])), Status::ConnectionLost, vec![]),
        (Box::new(script(vec![Op::AdvanceMs(90_000), bytes(OK)])), Status::TimeoutFirstByte, sent.to_vec()),
        (Box::new(script(vec![bytes("SSH-2.0-x\r\n")])), Status::NotHttp, vec![]),
        (
            Box::new(script(vec![bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell"), Op::Eof])),
            Status::BodyTruncated,
            headed.to_vec(),
        ),
        (
            Box::new(script(vec![bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"), Op::Eof])),
            Status::BodyTruncated,
            headed.to_vec(),
        ),
        (
            Box::new(script(vec![bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell"), Op::AdvanceMs(90_000)])),
            Status::TimeoutIdle,
            headed.to_vec(),
        ),
        (
            Box::new(script(vec![bytes("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")])),
            Status::FramingConflict,
            vec![],
        ),
        (
            Box::new(script(vec![bytes("HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n")])),
            Status::BadRedirect,
            vec![],
        ),
        (Box::new(script(vec![bytes("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")])), Status::UnaskedUpgrade, vec![]),
    ];
    for (prepare, status, trace) in cases {
        let mut world = world(3, 0);
        prepare(&world.net);
        let shared = world.run("http://10.0.0.1/");
        assert_eq!(shared.error().map(|error| error.status), Some(status));
        if !trace.is_empty() {
            assert_eq!(states(&shared), [&trace[..], &[ERROR]].concat(), "{status:?}");
        }
        assert_eq!(states(&shared).last(), Some(&ERROR));
    }
}

/// Goal: names that are not there, or that nobody answers for. Method: the script's look-ups.
#[test]
fn look_ups() {
    let mut world = world(4, 0);
    world.net.name("hangs.test", Lookup::Never);
    assert_eq!(world.run("http://hangs.test/").error().unwrap().status, Status::TimeoutResolve);
    assert_eq!(world.run("http://nowhere.test/").error().unwrap().status, Status::NameNotFound);
    world.net.name("two.test", Lookup::Addresses(vec!["[::1]:80".parse().unwrap(), "10.0.0.9:80".parse().unwrap()]));
    world.net.plan_for("[::1]:80".parse().unwrap(), Wire::BlackHole);
    world.net.plan_for("10.0.0.9:80".parse().unwrap(), Wire::Script(vec![bytes(OK)]));
    let before = world.sim.now();
    let shared = world.run("http://two.test/");
    assert!(shared.error().is_none());
    // RFC 8305 section 5: the second address after 250 ms.
    assert_eq!(world.sim.now().since(before), Duration::from_millis(250));
}

/// Goal: an idle connection that died is not an error: GET goes again, once. POST that was sent does not. Method: a
/// wire that answers once and resets at the next request.
#[test]
fn a_dead_reused_connection() {
    for (method, status) in [("GET", None), ("POST", Some(Status::ConnectionLost))] {
        let mut world = world(5, 0);
        let mut turns = 0;
        world.net.plan(Wire::Server(Box::new(move |received: &[u8]| {
            if !received.ends_with(b"\r\n\r\n") {
                return Vec::new();
            }
            turns += 1;
            if turns == 1 {
                vec![bytes(OK)]
            } else {
                vec![Op::Reset]
            }
        })));
        world.net.plan(Wire::Script(vec![bytes(OK)]));
        assert!(world.run("http://10.0.0.1/").error().is_none());
        let shared = world.start(RequestConfig { method: method.to_owned().into(), ..get("http://10.0.0.1/") });
        world.finish(&shared);
        assert_eq!(shared.error().map(|error| error.status), status, "{method}");
        assert_eq!(world.net.opened().len(), if status.is_none() { 2 } else { 1 });
    }
}

/// Goal: waiting costs no polls. Method: a hundred requests whose server thinks for 300 ms of virtual time.
#[test]
fn waiting_is_free() {
    let mut world = world(6, 0);
    let all: Vec<_> = (0..100)
        .map(|_| {
            world.net.plan(Wire::Script(vec![Op::AdvanceMs(300), bytes(OK)]));
            world.start(get("http://10.0.0.1/"))
        })
        .collect();
    for shared in &all {
        world.finish(shared);
        assert!(shared.error().is_none());
        assert!(shared.info().task_polls <= 10, "{}", shared.info().task_polls);
    }
}
