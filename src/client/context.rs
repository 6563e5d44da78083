//! What the tasks of one executor share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::host_side::HostSide;
use super::job::Work;
use super::pool::Pool;
use super::questions::{Question, SpawnInfo, SpawnKind};
use super::request::RequestShared;
use crate::net::Net;
use crate::synca::sync::try_lock;
use crate::synca::TaskWaker;
use crate::tls::TlsSettings;
use crate::valtron::BoxedExecutionIterator;

/// See the module. Behind an `Arc` in every task.
pub struct Context<N: Net> {
    /// The network.
    pub net: N,
    /// Idle connections of this executor.
    pub pool: Pool<N>,
    /// Requests that run here, children not counted.
    pub load: Arc<AtomicUsize>,
    /// Buffers for heads.
    pub buffers: Buffers,
    /// The client's host side.
    pub host: Arc<HostSide>,
    /// The client's trust and sessions; `None`: this build has no TLS.
    pub tls: Option<TlsSettings>,
    /// Kinds of action the host is asked about.
    pub spawn_ask: u32,
    /// How long a question waits.
    pub spawn_timeout: Duration,
    /// How long a taken job waits to be started.
    pub job_timeout: Duration,
    /// Sent by requests that bring no `User-Agent`; empty: none.
    pub user_agent: String,
    /// Adds a task that belongs to no request, such as the pool's.
    pub spawn: Box<dyn Fn(BoxedExecutionIterator) + Send + Sync>,
}

impl<N: Net> Context<N> {
    /// The host wants to be asked.
    pub fn asks(&self, kind: SpawnKind) -> bool {
        self.spawn_ask & kind as u32 != 0
    }

    /// Puts a question to the host and tells it so.
    pub fn ask(&self, request: &Arc<RequestShared>, ask: Ask, work: Option<Work>, waker: &TaskWaker) -> Question {
        let info = SpawnInfo {
            spawn_id: ask.spawn_id,
            request: request.handle(),
            user_data: request.user_data(),
            kind: ask.kind,
            step: ask.step,
            http_status: ask.http_status,
            port: ask.port,
            text: ask.text,
        };
        let question = self.host.desk.ask(info, request, work, waker.clone());
        self.host.nudge();
        question
    }

    /// A step that a job should have done was done by the library.
    pub fn count_hitch(&self) {
        self.host.hitches.fetch_add(1, Ordering::Relaxed);
    }

    /// A job was not started in time.
    pub fn count_expired(&self) {
        self.host.jobs_expired.fetch_add(1, Ordering::Relaxed);
    }
}

/// Buffers that heads are gathered in, lent from the first byte of a head to the end of its body: most come whole, so
/// few are out at any time, and they are warm. Nobody waits for the lock: a new buffer is cheaper.
#[derive(Default)]
pub struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// An empty one.
    pub fn take(&self) -> Vec<u8> {
        try_lock(&self.0).and_then(|mut buffers| buffers.pop()).unwrap_or_default()
    }

    /// Takes one back.
    pub fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() == 0 || buffer.capacity() > BUFFER_BYTES_KEPT {
            return;
        }
        buffer.clear();
        if let Some(mut buffers) = try_lock(&self.0).filter(|buffers| buffers.len() < BUFFERS_KEPT) {
            buffers.push(buffer);
        }
    }
}

/// So many buffers are kept by one executor, each of no more than so many bytes: 256 KiB in all.
const BUFFERS_KEPT: usize = 16;
const BUFFER_BYTES_KEPT: usize = 16 * 1024;

/// A question in the making.
#[allow(missing_docs)] // as in `SpawnInfo`
pub struct Ask {
    pub spawn_id: u64,
    pub kind: SpawnKind,
    pub step: u32,
    pub http_status: i32,
    pub port: u32,
    pub text: Arc<str>,
}
