//! The making of lanes: an executor with its poller, its network and its pool, for the host or a worker to drive.

use std::sync::atomic::AtomicBool;
#[cfg(feature = "multi")]
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Drive, Driven};
use crate::client::context::Context;
use crate::client::error::{HttpClientError, Phase};
use crate::client::executor::Lane;
use crate::client::host_side::HostSide;
use crate::client::plan::Usual;
use crate::client::pool::Pool;
use crate::client::status::Status;
use crate::net::{DescriptorLedger, OsNet, ResolverPool};
#[cfg(feature = "multi")]
use crate::synca::sync::lock;
use crate::tls::TlsSettings;
use crate::valtron::clock::SystemClock;
use crate::valtron::poller::{self, Poller};
use crate::valtron::{Executor, ExecutorStats};

/// Worker threads of a `multi` build that was not told: two keep a core busy with cryptography while the other reads.
#[cfg(feature = "multi")]
const WORKER_THREADS: usize = 2;
/// What it takes to make a lane.
pub(super) struct Maker {
    pub(super) clock: Arc<SystemClock>,
    pub(super) resolver_pool: ResolverPool,
    pub(super) ledger: Arc<DescriptorLedger>,
    pub(super) tls: TlsSettings,
    pub(super) spawn_ask: u32,
    pub(super) spawn_timeout: Duration,
    pub(super) job_timeout: Duration,
    pub(super) idle_connections_max: usize,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) user_agent: String,
    pub(super) usual: Usual,
    /// What executors counted that are gone.
    pub(super) retired: Arc<Mutex<ExecutorStats>>,
}

/// Descriptors written down in the ledger, as long as this lives.
pub(in crate::client) struct Recorded {
    ledger: Arc<DescriptorLedger>,
    slots: Vec<u32>,
}

impl Recorded {
    pub(super) fn new(ledger: &Arc<DescriptorLedger>, poller: &dyn Poller) -> Self {
        let slots = poller.descriptors().into_iter().map(|descriptor| ledger.add(descriptor)).collect();
        Self { ledger: ledger.clone(), slots }
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        for slot in &self.slots {
            self.ledger.remove(*slot);
        }
    }
}

impl Maker {
    fn context(&self, executor: &Executor, host: &Arc<HostSide>) -> Arc<Context<OsNet>> {
        let handle = executor.handle();
        let (poller, clock) = (handle.poller(), handle.clock());
        Arc::new(Context {
            net: OsNet::new(poller, clock, self.resolver_pool.clone(), self.ledger.clone()),
            pool: Pool::new(self.idle_connections_max, self.idle_timeout),
            host: host.clone(),
            load: Arc::default(),
            buffers: Default::default(),
            tls: Some(self.tls.for_executor()),
            spawn_ask: self.spawn_ask,
            spawn_timeout: self.spawn_timeout,
            job_timeout: self.job_timeout,
            user_agent: self.user_agent.clone(),
            spawn: Box::new(move |task| handle.spawn(task)),
        })
    }

    fn executor(&self) -> std::io::Result<(Executor, Recorded)> {
        let poller = poller::system()?;
        let recorded = Recorded::new(&self.ledger, &*poller);
        Ok((Executor::new(poller, self.clock.clone()), recorded))
    }

    pub(super) fn driven(&self, host: &Arc<HostSide>) -> Result<Arc<Driven>, HttpClientError> {
        let (executor, _descriptors) = self.executor().map_err(system)?;
        let context = self.context(&executor, host);
        let lane = Lane { executor: executor.handle(), context };
        Ok(Arc::new(Driven { _descriptors, executor: Mutex::new(Some(executor)), lane, retired: self.retired.clone() }))
    }
}

#[cfg(not(feature = "multi"))]
pub(super) fn start(
    maker: &Maker,
    _worker_threads: Option<usize>,
    requests_max: usize,
    _asleep: &Arc<AtomicBool>,
    _handle_used: &Arc<AtomicBool>,
) -> Result<(Arc<HostSide>, Drive), HttpClientError> {
    inline(maker, requests_max)
}

fn inline(maker: &Maker, requests_max: usize) -> Result<(Arc<HostSide>, Drive), HttpClientError> {
    // The host drives: whoever raises an event is the one who would be told.
    let host = HostSide::new(requests_max, Box::new(|| {}));
    let driven = maker.driven(&host)?;
    Ok((host, Drive::Inline(driven)))
}

#[cfg(feature = "multi")]
pub(super) fn start(
    maker: &Maker,
    worker_threads: Option<usize>,
    requests_max: usize,
    asleep: &Arc<AtomicBool>,
    handle_used: &Arc<AtomicBool>,
) -> Result<(Arc<HostSide>, Drive), HttpClientError> {
    let count = worker_threads.unwrap_or(WORKER_THREADS);
    if count == 0 {
        return inline(maker, requests_max);
    }
    let host_poller = poller::system().map_err(system)?;
    let mut descriptors = vec![Recorded::new(&maker.ledger, &*host_poller)];
    let signal = {
        let (poller, asleep, handle_used) = (host_poller.clone(), asleep.clone(), handle_used.clone());
        move || {
            if asleep.swap(false, Ordering::SeqCst) || handle_used.load(Ordering::SeqCst) {
                poller.notify();
            }
        }
    };
    let host = HostSide::new(requests_max, Box::new(signal));
    let made = Mutex::new((Vec::new(), Vec::new()));
    let make = |_| {
        let (executor, recorded) = maker.executor()?;
        let mut made = lock(&made);
        made.0.push(maker.context(&executor, &host));
        made.1.push(recorded);
        Ok(executor)
    };
    // Weak: a worker may outlive its client for a moment, and must not keep what the client dropped.
    let told = Arc::downgrade(&host);
    let flush = Arc::new(move || {
        if let Some(host) = told.upgrade() {
            host.flush();
        }
    });
    let workers = crate::valtron::multi::Workers::start_with(count, make, flush).map_err(|error| {
        let mut failed = system(error);
        if failed.status == Status::System {
            failed.status = Status::NoThread;
        }
        failed
    })?;
    let (contexts, recorded) = std::mem::take(&mut *lock(&made));
    descriptors.extend(recorded);
    let lanes = contexts
        .into_iter()
        .enumerate()
        .map(|(index, context)| Lane { executor: workers.handle(index).clone(), context })
        .collect();
    let workers = Mutex::new(workers);
    let drive = Drive::Workers { workers, lanes, host_poller, driver: Mutex::new(()), _descriptors: descriptors };
    Ok((host, drive))
}

pub(super) fn system(error: std::io::Error) -> HttpClientError {
    let errno = error.raw_os_error().unwrap_or(0);
    let status = match errno {
        libc::EMFILE | libc::ENFILE => Status::NoDescriptors,
        libc::ENOMEM => Status::NoMemory,
        _ => Status::System,
    };
    let mut failed = HttpClientError::new(status, Phase::None, format!("{}: {error}", status.message()));
    failed.os_errno = errno;
    failed
}
