//! The host's say, jobs, and what panics: one request's affair each time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::harness::{get, ok, server, states, Setup, World, PLAIN, SEEDS, URL};
use super::tls::{serve, Authority, HEADED_TLS, SECURE};
use crate::client::actions::{HttpClientAction, ResolveAction, TlsUpgradeAction};
use crate::client::dial::{DialLimits, ResolveTask};
use crate::client::questions::SpawnKind;
use crate::client::request::Stop;
use crate::client::task::HttpRequestTask;
use crate::client::upgrade::TlsUpgradeTask;
use crate::client::{Context, Decision, Job, Phase, Pool, RequestConfig, RequestShared, SpawnCallback, Status};
use crate::net::scripted::{Lookup, Op, Plan as Wire, ScriptedNet, ScriptedSocket};
use crate::net::{LookupResult, Net, NetError, Resolver};
use crate::synca::sync::lock;
use crate::synca::{oneshot, Entry};
use crate::valtron::poller::WatchList;
use crate::valtron::time::Instant;
use crate::valtron::{
    BoxedExecutionEngine, BoxedExecutionIterator, DoNext, ExecutionAction, ExecutionEngine, GenericResult, SocketKey,
};

const RESOLVE: u32 = SpawnKind::Resolve as u32;
const TLS: u32 = SpawnKind::TlsUpgrade as u32;
const NAMED: &str = "http://a.test/";

type Jobs = Arc<Mutex<Vec<Arc<Job>>>>;

/// A world with a name, whose host answers `decision` and keeps the jobs.
fn world(seed: u64, ask: u32, decision: Decision) -> (World, Jobs) {
    let mut world = World::asking(seed, ask);
    world.net.name("a.test", Lookup::Addresses(vec!["10.0.0.1:0".parse().expect("an address")]));
    let jobs = keep_jobs(&mut world, decision);
    (world, jobs)
}

fn keep_jobs(world: &mut World, decision: Decision) -> Jobs {
    let jobs = Jobs::default();
    let kept = jobs.clone();
    let callback: SpawnCallback = Box::new(move |_, job| {
        lock(&kept).push(job.clone());
        decision
    });
    world.acts = Box::new(move |host| {
        host.desk.pump(Some(&callback), |_| {});
    });
    jobs
}

/// Lets the host also run what it has, on a thread of its own.
fn run_jobs(world: &mut World, jobs: &Jobs) {
    let mut ask = std::mem::replace(&mut world.acts, Box::new(|_| {}));
    let jobs = jobs.clone();
    let mut next = 0;
    world.acts = Box::new(move |host| {
        ask(host);
        while let Some(job) = { lock(&jobs).get(next).cloned() } {
            next += 1;
            let status = std::thread::scope(|scope| scope.spawn(|| job.run()).join().expect("no panic gets out"));
            assert_eq!((status, job.run()), (Status::Ok, Status::JobAlreadyRun));
        }
    });
}

/// Goal: a look-up by the library, refused, taken, left unanswered: state, status and time of each.
#[test]
fn look_ups() {
    for seed in SEEDS {
        let (mut run, _) = world(seed, RESOLVE, Decision::Run);
        run.script(vec![ok("x")]);
        let outcome = run.get(NAMED);
        assert_eq!((&outcome.states[..], outcome.took.as_millis(), run.net.looked_up().len()), (PLAIN, 0, 1));
        run.settle();

        let (mut deny, jobs) = world(seed, RESOLVE, Decision::Deny);
        let outcome = deny.get(NAMED);
        assert_eq!((outcome.status, outcome.phase), (Status::Denied, Phase::Resolve));
        assert_eq!(outcome.text, "a.test: the look-up was denied");
        assert_eq!(outcome.states, "init connecting error");
        assert_eq!(lock(&jobs)[0].run(), Status::JobCancelled);
        deny.settle();

        let (mut take, jobs) = world(seed, RESOLVE, Decision::Take);
        run_jobs(&mut take, &jobs);
        take.script(vec![ok("x")]);
        let outcome = take.get(NAMED);
        assert_eq!((&outcome.states[..], outcome.took.as_millis(), take.net.looked_up().len()), (PLAIN, 0, 0));
        take.settle();

        // Taken and never run: two seconds, then the library does it. Not asked in time: one second.
        for (decision, took, late) in
            [(Decision::Take, 2_000, Status::JobExpired), (Decision::Later, 1_000, Status::JobExpired)]
        {
            let (mut forgotten, jobs) = world(seed, RESOLVE, decision);
            forgotten.script(vec![ok("x")]);
            let outcome = forgotten.get(NAMED);
            assert_eq!((&outcome.states[..], outcome.took.as_millis()), (PLAIN, took));
            assert!(outcome.info.task_polls <= 10, "{}", outcome.info.task_polls);
            assert_eq!((forgotten.net.looked_up().len(), lock(&jobs)[0].run()), (1, late));
            let expired = forgotten.host.jobs_expired.load(std::sync::atomic::Ordering::SeqCst);
            assert_eq!(expired, u64::from(decision == Decision::Take));
            forgotten.settle();
        }

        // An address needs no look-up and no question.
        let (mut none, jobs) = world(seed, RESOLVE, Decision::Deny);
        none.script(vec![ok("x")]);
        assert_eq!(none.get(URL).states, PLAIN);
        assert!(lock(&jobs).is_empty());
    }
}

/// Goal: the pull form of the same: the question comes once, the answer gives the job, a second answer is refused.
#[test]
fn a_look_up_taken_by_id() {
    for seed in SEEDS {
        let (mut world, _) = world(seed, RESOLVE, Decision::Later);
        world.script(vec![ok("x")]);
        world.acts = Box::new(|host| {
            host.desk.pump(None, |_| {});
            while let Some(info) = host.desk.next() {
                assert_eq!((info.kind, &*info.text, info.port), (SpawnKind::Resolve, "a.test", 80));
                let job = host.desk.decide(info.spawn_id, Decision::Take).expect("it is open").expect("a job");
                assert_eq!(host.desk.decide(info.spawn_id, Decision::Run).err(), Some(Status::NoSpawn));
                assert_eq!((job.run(), job.run()), (Status::Ok, Status::JobAlreadyRun));
            }
        });
        let outcome = world.get(NAMED);
        assert_eq!((&outcome.states[..], outcome.took.as_millis(), world.net.looked_up().len()), (PLAIN, 0, 0));
        world.settle();
    }
}

/// Goal: a failed look-up in a job is the request's failure, as in the pool.
#[test]
fn a_taken_look_up_that_finds_nothing() {
    for seed in SEEDS {
        let (mut take, jobs) = world(seed, RESOLVE, Decision::Take);
        run_jobs(&mut take, &jobs);
        let outcome = take.get("http://nowhere.test/");
        assert_eq!((outcome.status, outcome.phase), (Status::NameNotFound, Phase::Resolve));
        take.settle();
    }
}

/// Goal: a handshake whose every step is a job on another thread; then steps that come too late, and refusal.
#[test]
fn handshakes() {
    let authority = Authority::new();
    let config = authority.server();
    let good = || serve(&config, 100_000, b"\r\n\r\n", vec![super::tls::ok("x")]);
    for seed in SEEDS {
        let mut take = authority.world(seed, TLS);
        let jobs = keep_jobs(&mut take, Decision::Take);
        run_jobs(&mut take, &jobs);
        take.net.plan(good());
        let outcome = take.get(SECURE);
        assert_eq!((outcome.status, outcome.took.as_millis()), (Status::Ok, 0), "{}", outcome.text);
        assert_eq!(outcome.states, format!("{HEADED_TLS} body done"));
        assert!(lock(&jobs).len() >= 3, "the first flight, and the server's records");
        assert_eq!(take.host.desk.jobs_taken(), lock(&jobs).len() as u64);
        assert_eq!(take.host.hitches.load(std::sync::atomic::Ordering::SeqCst), 0);
        take.settle();

        let mut forgotten = authority.world(seed, TLS);
        let jobs = keep_jobs(&mut forgotten, Decision::Take);
        forgotten.net.plan(good());
        let outcome = forgotten.run(RequestConfig { tls_timeout: None, ..get(SECURE) });
        let steps = lock(&jobs).len() as u64;
        assert_eq!((outcome.status, outcome.took.as_millis()), (Status::Ok, 2_000 * u128::from(steps)));
        assert_eq!(forgotten.host.hitches.load(std::sync::atomic::Ordering::SeqCst), steps);
        assert!(lock(&jobs).iter().all(|job| job.run() == Status::JobExpired));
        forgotten.settle();

        // The limit of the phase holds for jobs, too.
        let mut slow = authority.world(seed, TLS);
        let jobs = keep_jobs(&mut slow, Decision::Take);
        slow.net.plan(good());
        let tls_timeout = Some(Duration::from_millis(1_500));
        let outcome = slow.run(RequestConfig { tls_timeout, ..get(SECURE) });
        assert_eq!((outcome.status, outcome.took.as_millis()), (Status::TimeoutTls, 1_500));
        slow.settle();
        assert_eq!(lock(&jobs)[0].run(), Status::JobCancelled);

        let mut deny = authority.world(seed, TLS);
        keep_jobs(&mut deny, Decision::Deny);
        deny.net.plan(good());
        let outcome = deny.get(SECURE);
        assert_eq!((outcome.status, outcome.phase), (Status::Denied, Phase::Tls));
        assert_eq!(outcome.states, "init connecting tls error");
        deny.settle();
        assert!(deny.net.is_closed(0));

        // Run once is run for the whole handshake: one question.
        let mut run = authority.world(seed, TLS);
        let asked = keep_jobs(&mut run, Decision::Run);
        run.net.plan(good());
        assert_eq!(run.get(SECURE).states, format!("{HEADED_TLS} body done"));
        assert_eq!(lock(&asked).len(), 1);
    }
}

/// Goal: a job of a cancelled request answers so, and harms nobody; one that runs while its request ends is left alone.
#[test]
fn cancelled_jobs() {
    for seed in SEEDS {
        for stop in [Stop::Cancelled, Stop::Freed, Stop::Shutdown] {
            let (mut take, jobs) = world(seed, RESOLVE, Decision::Take);
            let shared = take.start(get(NAMED));
            take.sim.advance(Duration::ZERO);
            let host = take.host.clone();
            (take.acts)(&host);
            take.stop_after(&shared, Duration::from_millis(100), stop);
            take.settle();
            assert_eq!(lock(&jobs)[0].run(), Status::JobCancelled);
            assert_eq!(states(&shared), "init connecting error");
        }
    }
}

/// Symptom: a job ran although its request was cancelled before, as long as the client was not driven in between.
/// Method: no step between the end and the run.
#[test]
fn a_job_of_a_request_cancelled_just_now_does_not_run() {
    for stop in [Stop::Cancelled, Stop::Freed, Stop::Shutdown] {
        let (mut take, jobs) = world(1, RESOLVE, Decision::Take);
        let shared = take.start(get(NAMED));
        take.sim.advance(Duration::ZERO);
        let host = take.host.clone();
        (take.acts)(&host);
        shared.request_stop(stop);
        assert_eq!(lock(&jobs)[0].run(), Status::JobCancelled);
        take.settle();
        assert_eq!(states(&shared), "init connecting error");
    }
}

/// A server that panics at the first write.
fn panics(world: &World) {
    world.net.plan_for(
        "10.0.0.9:80".parse().expect("an address"),
        Wire::Server(Box::new(|received: &[u8]| {
            assert!(received.is_empty(), "this server panics");
            Vec::new()
        })),
    );
}

/// Goal: a panic inside a task ends its request with an answer, and no other request notices. Method: a server in a
/// closure that panics on the task's own stack, for a request and for the child of one.
#[test]
fn a_panic_is_one_requests_affair() {
    for seed in SEEDS {
        let mut world = World::new(seed);
        panics(&world);
        panics(&world);
        let child = vec![vec![super::harness::moved(302, "http://10.0.0.9/", "")]];
        world.net.plan_for("10.0.0.1:80".parse().expect("an address"), server(child));
        world.net.plan_for(
            "10.0.0.2:80".parse().expect("an address"),
            Wire::Script(vec![Op::ExpectWrite(1), Op::AdvanceMs(50), ok("x")]),
        );
        let all = ["http://10.0.0.9/", URL, "http://10.0.0.2/"].map(|url| world.start(get(url)));
        let outcomes = all.map(|shared| world.finish(&shared));
        assert_eq!(outcomes.each_ref().map(|one| one.status), [Status::Internal, Status::Internal, Status::Ok]);
        assert!(outcomes[0].states.ends_with("sending error"), "{}", outcomes[0].states);
        assert!(outcomes[1].states.ends_with("redirect init connecting sending error"), "{}", outcomes[1].states);
        let done = crate::client::event_flags::DONE;
        let mut terminal = 0;
        while let Some(event) = world.host.next_event() {
            terminal += usize::from(event.flags & done != 0);
        }
        assert_eq!(terminal, 3);
        world.settle();
    }
}

/// The scripted network with a resolver that panics.
#[derive(Clone)]
struct Panicky(ScriptedNet);

impl Net for Panicky {
    type Socket = ScriptedSocket;

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn connect(&self, address: SocketAddr) -> Result<ScriptedSocket, NetError> {
        self.0.connect(address)
    }

    fn lookup(&self, host: &str, port: u16) -> oneshot::Receiver<LookupResult> {
        self.0.lookup(host, port)
    }

    fn resolver(&self) -> Arc<dyn Resolver> {
        Arc::new(self.clone())
    }

    fn watch(&self, key: SocketKey, list: &Arc<WatchList>) -> bool {
        self.0.watch(key, list)
    }

    fn with_scratch<R>(&self, use_it: impl FnOnce(&mut [u8]) -> R) -> R {
        self.0.with_scratch(use_it)
    }
}

impl Resolver for Panicky {
    fn resolve_blocking(&self, host: &str, port: u16) -> LookupResult {
        assert!(host != "a.test", "this resolver panics");
        self.0.resolve_blocking(host, port)
    }
}

/// Goal: a job that panics says so to who ran it, and fails its request alone.
#[test]
fn a_panic_in_a_job() {
    for seed in SEEDS {
        let (mut world, jobs) = world(seed, RESOLVE, Decision::Take);
        world.net.name("b.test", Lookup::Addresses(vec!["10.0.0.1:0".parse().expect("an address")]));
        world.script(vec![ok("x")]);
        let handle = world.sim.executor().handle();
        let context = Arc::new(Context {
            net: Panicky(world.net.clone()),
            pool: Pool::new(8, None),
            load: Arc::default(),
            buffers: Default::default(),
            host: world.host.clone(),
            tls: None,
            spawn_ask: RESOLVE,
            spawn_timeout: Duration::from_secs(1),
            job_timeout: Duration::from_secs(1),
            user_agent: String::new(),
            spawn: Box::new(move |task| handle.spawn(task)),
        });
        let all = ["a.test", "b.test"].map(|host| {
            let plan = crate::client::Plan::for_tests(&format!("http://{host}/"), "GET");
            let (host, now) = (&world.host, world.sim.now());
            let url = plan.target.display();
            let shared =
                host.insert(|handle| RequestShared::new(handle, 0, false, now, url, Some(100), host)).expect("a slot");
            let task = HttpRequestTask::new(context.clone(), shared.clone(), plan);
            world.sim.executor().handle().spawn(DoNext::boxed(task, |()| {}));
            shared
        });
        world.sim.advance(Duration::ZERO);
        let host = world.host.clone();
        (world.acts)(&host);
        let mut statuses = lock(&jobs).iter().map(|job| job.run()).collect::<Vec<_>>();
        statuses.sort_unstable_by_key(|status| *status as i32);
        assert_eq!(statuses, [Status::Internal, Status::Ok]);
        let outcomes = all.map(|shared| world.finish(&shared));
        assert_eq!(outcomes.each_ref().map(|one| one.status), [Status::Internal, Status::Ok]);
        assert_eq!(outcomes[0].states, "init connecting error");
        world.settle();
    }
}

/// Counts what is lifted, and under whom.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<Vec<Option<Entry>>>>);

impl ExecutionEngine for Counting {
    fn schedule(&self, _task: BoxedExecutionIterator) -> GenericResult<Entry> {
        Err("only lifted".into())
    }

    fn lift(&self, _task: BoxedExecutionIterator, parent: Option<Entry>) -> GenericResult<Entry> {
        lock(&self.0).push(parent);
        Ok(Entry::new(9, 9))
    }

    fn broadcast(&self, _make: Box<dyn Fn() -> BoxedExecutionIterator + Send + Sync>) -> GenericResult<()> {
        Err("only lifted".into())
    }
}

/// Goal: each action lifts one child of the requesting task, however often it is applied.
#[test]
fn actions_are_idempotent() {
    let mut world = World::new(0);
    world.script(vec![]);
    let shared = world.start(get(URL));
    let context = world.context.clone();
    let origin = crate::client::Target::parse(URL).expect("a target").origin().clone();
    let socket = context.net.connect("10.0.0.1:80".parse().expect("an address")).expect("a socket");
    let plan = || crate::client::Plan::for_tests(URL, "GET");
    let child = HttpRequestTask::new(context.clone(), shared.clone(), plan());
    let (dialled, _keep) = oneshot::channel();
    let (upgraded, _keep) = oneshot::channel();
    let limits = DialLimits::default();
    let resolve = ResolveTask::new(context.clone(), shared.clone(), origin.clone(), limits, dialled);
    let upgrade = TlsUpgradeTask::new(context, shared, origin, None, socket, upgraded);
    let mut actions = [
        (HttpClientAction::None, 0),
        (HttpClientAction::Redirect(crate::client::actions::RedirectAction::new(child)), 1),
        (HttpClientAction::Resolve(ResolveAction::new(resolve)), 1),
        (HttpClientAction::TlsUpgrade(TlsUpgradeAction::new(upgrade)), 1),
    ];
    let parent = Entry::new(3, 7);
    for (action, lifted) in &mut actions {
        let engine = Counting::default();
        for _ in 0..3 {
            let boxed: BoxedExecutionEngine = Box::new(engine.clone());
            action.apply(parent, boxed).expect("it applies");
        }
        assert_eq!(*lock(&engine.0), vec![Some(parent); *lifted]);
    }
}

/// Goal: questions that nobody answered leave nothing on the desk, whether the host never looked, or was told of them
/// and never pulled them; not even beside one that still waits. Method: a request a quarter of a second, of which each
/// question waits for one.
#[test]
fn unanswered_questions_are_forgotten() {
    for pumped in [false, true] {
        let mut world = World::with(Setup { ask: RESOLVE, idle_max: 0, ..Setup::default() });
        world.net.name("a.test", Lookup::Addresses(vec!["10.0.0.1:0".parse().expect("an address")]));
        let mut listed = (0, 0);
        let mut all = Vec::new();
        for _ in 0..100 {
            world.script(vec![ok("x")]);
            all.push(world.start(get(NAMED)));
            world.sim.advance(Duration::from_millis(250));
            let desk = &world.host.desk;
            if pumped {
                desk.pump(None, |_| {});
            }
            let (unasked, unpulled) = desk.listed();
            listed = (unasked.max(listed.0), unpulled.max(listed.1));
        }
        let (some, none) = if pumped { (listed.1, listed.0) } else { listed };
        assert!((1..=4).contains(&some) && none == 0, "{listed:?}");
        world.sim.advance(Duration::from_secs(2));
        assert!(all.iter().all(|request| request.is_terminal() && request.error().is_none()));
        assert_eq!((world.host.desk.listed(), world.host.desk.has_unasked()), ((0, 0), false));
    }
}
