//! One request over a script.

use std::sync::Arc;
use std::time::Duration;

use valtron_http::client::task::HttpRequestTask;
use valtron_http::client::{Context, Decision, HostSide, Plan, Pool, RequestConfig, RequestShared, SpawnCallback};
use valtron_http::net::scripted::{Op, Plan as Wire, ScriptedNet};
use valtron_http::valtron::sim::Sim;
use valtron_http::valtron::DoNext;

pub struct World {
    pub sim: Sim,
    pub net: ScriptedNet,
    pub host: Arc<HostSide>,
    context: Arc<Context<ScriptedNet>>,
}

impl World {
    /// A world whose host is asked about kinds of action and takes all of them.
    pub fn new(spawn_ask: u32) -> Self {
        let mut sim = Sim::new(1);
        let handle = sim.executor().handle();
        let net = ScriptedNet::new(sim.poller(), handle.clock());
        let host = HostSide::new(10, Box::new(|| {}));
        let context = Arc::new(Context {
            net: net.clone(),
            pool: Pool::new(8, None),
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
        Self { sim, net, host, context }
    }

    pub fn script(&self, ops: Vec<Op>) {
        self.net.plan(Wire::Script(ops));
    }

    pub fn start(&mut self, config: RequestConfig<'_>) -> Arc<RequestShared> {
        let (now, capacity) = (self.sim.now(), config.body_buffer_bytes);
        let plan = Plan::new(config, now, "").unwrap();
        let (url, host) = (plan.target.display(), &self.host);
        let shared = host.insert(|handle| RequestShared::new(handle, 0, false, now, url, capacity, host)).unwrap();
        let task = HttpRequestTask::new(self.context.clone(), shared.clone(), plan);
        self.sim.executor().handle().spawn(DoNext::boxed(task, |()| {}));
        shared
    }

    /// Lets so much time pass; the host answers on the way.
    pub fn advance(&mut self, ms: u64) {
        let take: SpawnCallback = Box::new(|_, _| Decision::Take);
        for _ in 0..ms {
            self.sim.advance(Duration::from_millis(1));
            self.host.desk.pump(Some(&take), |_| {});
        }
        self.sim.advance(Duration::ZERO);
    }
}

pub fn get() -> RequestConfig<'static> {
    RequestConfig { url: "http://10.0.0.1/".into(), ..RequestConfig::default() }
}

pub fn post(length: usize) -> RequestConfig<'static> {
    RequestConfig { method: "POST".into(), body: Some(Arc::new(vec![b'x'; length])), ..get() }
}

pub fn bytes(text: &str) -> Op {
    Op::Bytes(text.as_bytes().to_vec())
}

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
