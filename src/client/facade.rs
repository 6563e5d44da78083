//! A client: what the C API wraps. It owns the lanes, hands requests to them, and answers the host.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use foldhash::fast::RandomState;

mod lanes;
mod spare;
#[cfg(test)]
mod tests;

use super::config::{ClientConfig, RequestConfig};
use super::error::{Argument, HttpClientError, Phase};
use super::executor::{execute_task, Lane};
use super::hitches::{HitchReport, Hitches};
use super::host_side::{Event, HostSide};
use super::job::Job;
use super::mapping::tls_status;
use super::plan::{Plan, Usual};
use super::questions::{Decision, SpawnCallback, SpawnInfo};
use super::request::{HeadKind, HeadRecord, RequestInfo, RequestShared, Stop, TraceEntry};
use super::status::Status;
use lanes::{start, system, Maker, Recorded};
use spare::Spare;

use crate::net::{DescriptorLedger, OsNet, ResolverPool, SystemResolver};
use crate::synca::sync::lock;
use crate::tls::{TlsConfig, TlsError, TlsSettings, Trust};
use crate::valtron::clock::SystemClock;
use crate::valtron::poller::{self, Poller};
use crate::valtron::time::{Clock, Instant};
use crate::valtron::{Executor, ExecutorStats};

/// What the end of a freed request may cost the call that frees it; it takes some steps of its task and its children.
const FREE_BUDGET: Duration = Duration::from_millis(1);

/// What a driving call leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in the C API
pub struct PollInfo {
    pub work_left: bool,
    pub next_deadline: Option<Duration>,
    pub events_ready: u32,
    pub spawns_ready: u32,
    pub requests_live: u32,
}

/// Counts since the client was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in the C API
pub struct ClientStats {
    pub task_polls: u64,
    pub turns: u64,
    pub wakes: u64,
    pub empty_waits: u64,
    pub hitches: u64,
    pub connections_opened: u64,
    pub connections_reused: u64,
    pub lookups_started: u64,
    pub lookups_abandoned: u64,
    pub jobs_taken: u64,
    pub jobs_expired: u64,
    pub requests_created: u64,
    pub requests_live: u64,
    pub events_lost: u64,
    pub longest_poll_us: u64,
}

/// An executor that a host's thread drives, and its lane.
pub(super) struct Driven {
    /// Goes first: a number in the ledger must not outlive its descriptor.
    _descriptors: Recorded,
    /// `None`: the client was closed.
    pub executor: Mutex<Option<Executor>>,
    pub lane: Lane<OsNet>,
    /// Where its counts go when it is gone.
    retired: Arc<Mutex<ExecutorStats>>,
}

impl Drop for Driven {
    fn drop(&mut self) {
        *lock(&self.retired) += self.lane.executor.stats();
    }
}

/// Who drives requests that are not `perform`ed.
pub(super) enum Drive {
    /// The host's calls.
    Inline(Arc<Driven>),
    /// Worker threads; the host waits at a poller of its own.
    #[cfg(feature = "multi")]
    Workers {
        workers: Mutex<crate::valtron::multi::Workers>,
        lanes: Vec<Lane<OsNet>>,
        host_poller: Arc<dyn Poller>,
        driver: Mutex<()>,
        _descriptors: Vec<Recorded>,
    },
}

pub(super) struct Inner {
    pub host: Arc<HostSide>,
    pub drive: Drive,
    maker: Maker,
    pub spawn_callback: Option<SpawnCallback>,
    /// Lanes of `perform`, not in use.
    spare: Spare,
    /// Lanes of `perform`, by the request they carry.
    bound: Mutex<HashMap<u64, Arc<Driven>, RandomState>>,
    /// There never were any; set before the first is known to anybody.
    none_bound: AtomicBool,
    pub closed: AtomicBool,
    pub poisoned: AtomicBool,
    /// A wakeup that no wait has seen yet.
    pub woken: AtomicBool,
    /// The host sleeps at its poller; where it drives itself, it never does.
    #[cfg_attr(not(feature = "multi"), allow(dead_code))]
    pub asleep: Arc<AtomicBool>,
    /// The host wants its handle to tell of everything.
    pub handle_used: Arc<AtomicBool>,
    /// A request that may not be sent twice is new: its lane looks for dead connections before it takes one.
    pub look_first: AtomicBool,
    pub hitches: Hitches,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Client(pub(super) Arc<Inner>);

impl Client {
    /// A client, ready for requests. Reads the trust store, if it is not the bundled one; opens a poller; starts
    /// worker threads if asked.
    pub fn create(config: ClientConfig) -> Result<Self, HttpClientError> {
        let tls = TlsSettings::new(TlsConfig {
            trust: config.trust,
            extra_ca_pem: config.ca_pem.as_deref(),
            verify_off: config.tls_verify_off,
        })
        .map_err(|error| {
            let status = tls_status(&error);
            match error {
                TlsError::NoTrust(_) if config.trust == Trust::System => {
                    HttpClientError::argument(status, Argument::Enum, format!("trust: {error}"))
                }
                TlsError::NoTrust(_) | TlsError::PemInvalid(_) => {
                    HttpClientError::argument(status, Argument::CaPem, format!("ca_pem: {error}"))
                }
                error => HttpClientError::new(status, Phase::None, error.to_string()),
            }
        })?;
        let asleep = Arc::new(AtomicBool::new(false));
        let handle_used = Arc::new(AtomicBool::new(false));
        let clock = Arc::new(SystemClock::new());
        let maker = Maker {
            clock: clock.clone(),
            resolver_pool: ResolverPool::new(Arc::new(SystemResolver), config.resolver_threads, clock),
            ledger: Arc::new(DescriptorLedger::new()),
            tls,
            spawn_ask: config.spawn_ask,
            spawn_timeout: config.spawn_timeout,
            job_timeout: config.job_timeout,
            idle_connections_max: config.idle_connections_max,
            idle_timeout: config.idle_timeout,
            user_agent: config.user_agent,
            usual: Usual::default(),
            retired: Arc::default(),
        };
        let (host, drive) = start(&maker, config.worker_threads, config.requests_max, &asleep, &handle_used)?;
        Ok(Self(Arc::new(Inner {
            host,
            drive,
            maker,
            spawn_callback: config.spawn_callback,
            spare: Spare::default(),
            bound: Mutex::default(),
            none_bound: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            asleep,
            handle_used,
            look_first: AtomicBool::new(false),
            hitches: Hitches::default(),
        })))
    }

    /// Makes a request. No look-up, no I/O: a driver takes it from here.
    pub fn request_create(&self, config: RequestConfig<'_>) -> Result<u64, HttpClientError> {
        let (plan, shared) = self.new_request(config, false)?;
        if !plan.idempotent {
            self.0.look_first.store(true, Ordering::SeqCst);
        }
        let handle = shared.handle();
        execute_task(self.0.lanes(), shared, plan);
        Ok(handle)
    }

    pub(super) fn new_request(
        &self,
        config: RequestConfig<'_>,
        silent: bool,
    ) -> Result<(Plan, Arc<RequestShared>), HttpClientError> {
        self.0.usable().map_err(|status| HttpClientError::plain(status, Phase::None))?;
        let now = self.0.maker.clock.read();
        let (user_data, capacity) = (config.user_data, config.body_buffer_bytes);
        let plan = Plan::sharing(config, now, &self.0.maker.user_agent, &self.0.maker.usual)?;
        let url = plan.target.display();
        let host = &self.0.host;
        let shared = host
            .insert(|handle| RequestShared::new(handle, user_data, silent, now, url, capacity, host))
            .map_err(|status| HttpClientError::plain(status, Phase::None))?;
        if let Some(body) = &plan.body {
            shared.keep_upload(body);
        }
        Ok((plan, shared))
    }

    /// Up to `most` events, the oldest first: see [`HostSide::events`].
    pub fn events(&self, most: usize) -> impl FnMut() -> Option<Event> + '_ {
        self.0.host.events(most)
    }

    /// The oldest question that waits to be pulled.
    pub fn next_spawn(&self) -> Option<SpawnInfo> {
        self.0.host.desk.next()
    }

    /// Answers a question.
    pub fn decide(&self, spawn_id: u64, decision: Decision) -> Result<Option<Arc<Job>>, Status> {
        self.0.usable()?;
        self.0.host.desk.decide(spawn_id, decision)
    }

    /// One of a request's heads.
    pub fn request_head(&self, request: u64, which: i32) -> Result<Arc<HeadRecord>, Status> {
        let shared = self.0.host.find(request)?;
        let kind = HeadKind::from_code(which).ok_or(Status::EnumRange)?;
        shared.head(kind).ok_or(Status::NoHead)
    }

    /// Copies body bytes out; `Ok(0)` is the end.
    pub fn request_read(&self, request: u64, into: &mut [u8]) -> Result<usize, Status> {
        self.0.host.find(request)?.read(into)
    }

    /// Body bytes in place; none is the end.
    pub fn request_peek(&self, request: u64) -> Result<(*const u8, usize), Status> {
        self.0.host.find(request)?.peek()
    }

    /// Drops body bytes.
    pub fn request_consume(&self, request: u64, len: usize) -> Result<(), Status> {
        self.0.host.find(request)?.consume(len)
    }

    /// What a request failed with; status `Ok` inside if it did not.
    pub fn request_error(&self, request: u64) -> Result<HttpClientError, Status> {
        let shared = self.0.host.find(request)?;
        Ok(shared.error().unwrap_or_else(|| HttpClientError::plain(Status::Ok, Phase::None)))
    }

    /// A request's changes of state.
    pub fn request_trace(&self, request: u64) -> Result<Vec<TraceEntry>, Status> {
        Ok(self.0.host.find(request)?.trace())
    }

    /// A request's present URL, without credentials.
    pub fn request_url(&self, request: u64) -> Result<Arc<str>, Status> {
        Ok(self.0.host.find(request)?.url())
    }

    /// A look at a request.
    pub fn request_info(&self, request: u64) -> Result<RequestInfo, Status> {
        Ok(self.0.host.find(request)?.info())
    }

    /// Asks a request to end; its terminal event comes from the next driving call.
    pub fn request_cancel(&self, request: u64) -> Result<(), Status> {
        self.0.host.find(request)?.request_stop(Stop::Cancelled);
        Ok(())
    }

    /// Forgets a request; if it lives, it ends by itself. No event of it comes any more.
    pub fn request_free(&self, request: u64) {
        let mut live = false;
        if let Ok(shared) = self.0.host.remove(request) {
            live = !shared.is_terminal();
            shared.free();
        }
        if let Some(driven) = self.0.unbind(request) {
            if live {
                // Nobody else may ever drive this lane again: its connection is closed here.
                driven.tend(FREE_BUDGET);
                self.0.host.passengers.wake();
            }
            self.0.spare(driven);
        }
    }

    /// Ends a wait, or the next one.
    pub fn wakeup(&self) {
        self.0.woken.store(true, Ordering::SeqCst);
        self.0.interrupt();
    }

    /// What the host may put in its own loop.
    pub fn wait_handle(&self) -> Result<i64, Status> {
        self.0.usable()?;
        self.0.handle_used.store(true, Ordering::SeqCst);
        let poller = match &self.0.drive {
            Drive::Inline(driven) => {
                driven.lane.executor.set_host_waits(true);
                driven.lane.executor.poller()
            }
            #[cfg(feature = "multi")]
            Drive::Workers { host_poller, .. } => {
                // What happened before the handle was asked for shows, too.
                host_poller.notify();
                host_poller.clone()
            }
        };
        poller.handle().ok_or(Status::Unsupported)
    }

    /// Counts.
    pub fn stats(&self) -> ClientStats {
        let host = &self.0.host;
        let executors = self.0.executor_stats();
        let lookups = self.0.maker.resolver_pool.stats();
        let (live, created) = host.counts();
        ClientStats {
            task_polls: executors.polls,
            turns: executors.turns,
            wakes: executors.wakes,
            empty_waits: executors.empty_waits,
            hitches: host.hitches.load(Ordering::Relaxed),
            connections_opened: host.connections_opened.load(Ordering::Relaxed),
            connections_reused: host.connections_reused.load(Ordering::Relaxed),
            lookups_started: lookups.started,
            lookups_abandoned: lookups.abandoned,
            jobs_taken: host.desk.jobs_taken(),
            jobs_expired: host.jobs_expired.load(Ordering::Relaxed),
            requests_created: created,
            requests_live: live as u64,
            events_lost: 0,
            longest_poll_us: self.0.hitches.longest().as_micros() as u64,
        }
    }

    /// How long polls and steps took; `reset`: and from here on anew.
    pub fn hitches(&self, reset: bool) -> HitchReport {
        let (longest_step, longest_step_kind) = self.0.longest_step(reset);
        HitchReport { longest_step, longest_step_kind, ..self.0.hitches.report(reset) }
    }

    /// After a bug outside any task: from now on only events, shutdown and close.
    pub fn poison(&self) {
        self.0.poisoned.store(true, Ordering::SeqCst);
    }

    /// Ends everything without waiting: requests, connections, threads. A driver that is at work finds out and
    /// leaves.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.host.clear();
        self.0.drop_spare_lanes();
        lock(&self.0.bound).clear();
        match &self.0.drive {
            Drive::Inline(driven) => {
                driven.dispose();
                driven.lane.executor.notify();
            }
            #[cfg(feature = "multi")]
            Drive::Workers { workers, host_poller, .. } => {
                if let Ok(workers) = workers.try_lock() {
                    workers.stop();
                }
                host_poller.notify();
            }
        }
    }

    /// In a forked child: closes this process's copies of the descriptors and touches nothing else. The caller leaks
    /// the client.
    pub fn abandon_after_fork(&self) {
        self.0.maker.ledger.set_forked();
        self.0.maker.ledger.close_all();
    }
}

impl Driven {
    /// Runs what is ready, if no other thread drives.
    fn tend(&self, budget: Duration) {
        if let Ok(mut place) = self.executor.try_lock() {
            if let Some(executor) = place.as_mut() {
                executor.run_once(budget);
            }
        }
    }

    /// Drops the executor, unless a driver has it: that one will.
    pub fn dispose(&self) {
        let executor = match self.executor.try_lock() {
            Ok(mut place) => place.take(),
            Err(_) => None,
        };
        drop(executor);
    }
}

impl Inner {
    /// The client answers.
    pub fn usable(&self) -> Result<(), Status> {
        if self.poisoned.load(Ordering::SeqCst) {
            return Err(Status::Poisoned);
        }
        self.open()
    }

    /// Not freed. Shutdown asks no more than this: it works on a poisoned client.
    pub fn open(&self) -> Result<(), Status> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Status::Shutdown);
        }
        Ok(())
    }

    /// The lanes of requests that are not `perform`ed.
    pub fn lanes(&self) -> &[Lane<OsNet>] {
        match &self.drive {
            Drive::Inline(driven) => std::slice::from_ref(&driven.lane),
            #[cfg(feature = "multi")]
            Drive::Workers { lanes, .. } => lanes,
        }
    }

    /// A place to wait while another thread drives.
    pub fn board(&self) -> Result<Passenger<'_>, Status> {
        let poller = poller::system().map_err(|error| system(error).status)?;
        let recorded = Recorded::new(&self.maker.ledger, &*poller);
        let place = self.host.passengers.board(poller.clone()).ok_or(Status::NoMemory)?;
        Ok(Passenger { host: &self.host, place, _descriptors: Some(recorded), poller })
    }

    /// A driver that is told what happens in other lanes, too.
    pub fn board_lane(&self, driven: &Driven) -> Result<Passenger<'_>, Status> {
        let poller = driven.lane.executor.poller();
        let place = self.host.passengers.board(poller.clone()).ok_or(Status::NoMemory)?;
        Ok(Passenger { host: &self.host, place, _descriptors: None, poller })
    }

    /// Ends the sleep of whoever drives what is not `perform`ed.
    pub fn interrupt(&self) {
        match &self.drive {
            Drive::Inline(driven) => driven.lane.executor.notify(),
            #[cfg(feature = "multi")]
            Drive::Workers { host_poller, .. } => host_poller.notify(),
        }
    }

    /// The lane that carries a performed request.
    pub fn bind(&self, request: u64, driven: &Arc<Driven>) {
        self.none_bound.store(false, Ordering::SeqCst);
        lock(&self.bound).insert(request, driven.clone());
    }

    /// The lane that carries a request, if it is a performed one.
    pub fn bound_to(&self, request: u64) -> Option<Arc<Driven>> {
        lock(&self.bound).get(&request).cloned()
    }

    /// Lanes that carry performed requests.
    pub fn bound_lanes(&self) -> Vec<Arc<Driven>> {
        lock(&self.bound).values().cloned().collect()
    }

    /// A performed request is over or freed: its lane may serve another.
    pub fn unbind(&self, request: u64) -> Option<Arc<Driven>> {
        if self.none_bound.load(Ordering::SeqCst) {
            return None;
        }
        lock(&self.bound).remove(&request)
    }

    /// The counts of all executors, as of the last turn of each.
    pub fn executor_stats(&self) -> ExecutorStats {
        let mut sum = ExecutorStats::default();
        for lane in self.lanes() {
            sum += lane.executor.stats();
        }
        for driven in self.bound_lanes().iter().chain(self.spare.lanes().iter()) {
            sum += driven.lane.executor.stats();
        }
        sum += *lock(&self.maker.retired);
        sum
    }

    /// The longest step of all executors there are, those of `perform` included.
    fn longest_step(&self, reset: bool) -> (Duration, u32) {
        let mut longest = (Duration::ZERO, 0);
        let mut offer = |lane: &Lane<OsNet>| {
            let step = lane.executor.longest_step(reset);
            longest = if step.0 > longest.0 { step } else { longest };
        };
        self.lanes().iter().for_each(&mut offer);
        self.bound_lanes().iter().for_each(|driven| offer(&driven.lane));
        self.spare.lanes().iter().for_each(|driven| offer(&driven.lane));
        longest
    }

    pub fn resolver_pool(&self) -> &ResolverPool {
        &self.maker.resolver_pool
    }

    pub fn clock_now(&self) -> Instant {
        self.maker.clock.read()
    }
}

/// Waits while another thread drives.
pub(super) struct Passenger<'a> {
    host: &'a HostSide,
    place: usize,
    /// Goes first: a number in the ledger must not outlive its descriptor.
    _descriptors: Option<Recorded>,
    poller: Arc<dyn Poller>,
}

impl Passenger<'_> {
    /// Until something happened or the time is over.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<(), Status> {
        match self.poller.wait(timeout, &mut Vec::new()) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(Status::Interrupted),
            Err(_) => Err(Status::System),
        }
    }
}

impl Drop for Passenger<'_> {
    fn drop(&mut self) {
        self.host.passengers.leave(self.place);
    }
}
