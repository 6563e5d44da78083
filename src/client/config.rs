//! What a host may set, with the defaults and their reasons. Zero-means-default is the C layer's business: here every
//! value is explicit.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::questions::SpawnCallback;
use crate::proto::Limits;
use crate::synca::sync::try_lock;
use crate::tls::Trust;

/// Requests that may exist at once: a slot is 20 bits of a handle; far below that, a runaway host is told early.
pub const REQUESTS_MAX: usize = 65_536;
/// Largest `requests_max`: 20 bits of slot number.
pub const REQUESTS_MAX_LIMIT: usize = 1 << 20;
/// How long a question about an action waits for the host before the library runs the action itself.
pub const SPAWN_TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long a taken job may stay unstarted: a frame hitch is long, a handshake that never goes on is worse.
pub const JOB_TIMEOUT: Duration = Duration::from_millis(1_000);
/// Look-up threads at most; a stuck look-up costs one of them.
pub const RESOLVER_THREADS: usize = 4;
/// Idle connections kept per executor.
pub const IDLE_CONNECTIONS_MAX: usize = 128;
/// How long an idle connection is kept; servers commonly close at 60 to 75 s.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Unread body bytes kept per request before the peer is slowed down, unless the host says how many. They
/// become more for a host that polls rarely and takes all of them each time.
pub const BODY_BUFFER_BYTES: usize = 256 * 1024;
/// How far a request's buffer grows: twice what a fast peer sends in the 2 ms that a game has for it in a frame.
pub const BODY_BUFFER_GROWN_BYTES_MAX: usize = 16 << 20;
/// What the buffers of all requests of a client grow by, together.
pub const BODY_BUFFERS_GROWTH_BYTES_MAX: usize = 64 << 20;
/// Redirects followed before giving up; browsers follow 20, curl's tool 50, Python's requests 30; loops show well
/// before 10.
pub const REDIRECTS_MAX: u32 = 10;

/// The bytes of a request's body.
pub trait BodyBytes: Send + Sync {
    /// How many there are; never changes.
    fn count(&self) -> usize;

    /// Lends them for one call of `use_it`. False: their owner has taken them back, and nobody wants the request any
    /// more.
    fn lend(&self, use_it: &mut dyn FnMut(&[u8])) -> bool;

    /// Its memory is the library's, and so much that to give it back takes its time: whoever frees the request does so
    /// by [`discard`](Self::discard), since the end of its task may lie in a poll.
    fn is_heavy(&self) -> bool {
        false
    }

    /// Gives the memory back; nobody wants the request any more.
    fn discard(&self) {}
}

impl BodyBytes for Vec<u8> {
    fn count(&self) -> usize {
        self.len()
    }

    fn lend(&self, use_it: &mut dyn FnMut(&[u8])) -> bool {
        use_it(self);
        true
    }
}

/// A body that was copied from the host's.
pub struct CopiedBody {
    /// Held for one step of the request at most; empty once it was discarded.
    bytes: Mutex<Vec<u8>>,
    count: usize,
}

impl CopiedBody {
    /// From the copy.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { count: bytes.len(), bytes: Mutex::new(bytes) }
    }
}

impl BodyBytes for CopiedBody {
    fn count(&self) -> usize {
        self.count
    }

    fn lend(&self, use_it: &mut dyn FnMut(&[u8])) -> bool {
        let Some(bytes) = try_lock(&self.bytes).filter(|bytes| bytes.len() == self.count) else { return false };
        use_it(&bytes);
        true
    }

    fn is_heavy(&self) -> bool {
        self.count >= HEAVY_BODY_BYTES_MIN
    }

    fn discard(&self) {
        // Who is just sending from it on another thread, a worker or a host that polls, gives it back itself.
        let bytes = try_lock(&self.bytes).map(|mut bytes| std::mem::take(&mut *bytes));
        drop(bytes);
    }
}

/// To give back so much takes some ten microseconds.
const HEAVY_BODY_BYTES_MIN: usize = 256 * 1024;

/// A request's body: owned, or lent by the host. Shared, since a redirect may send it again. Dropped, on whatever
/// thread, when no longer needed; see [`BodyBytes::is_heavy`] for those that are kept longer.
pub type Body = Arc<dyn BodyBytes>;

/// How a client is made.
pub struct ClientConfig {
    /// `multi` build: threads that drive; zero drives inline. `None`: the build's default. A single build ignores it.
    pub worker_threads: Option<usize>,
    /// Mask of [`SpawnKind`](super::SpawnKind)s to ask the host about.
    pub spawn_ask: u32,
    /// Who answers; `None`: the host pulls questions.
    pub spawn_callback: Option<SpawnCallback>,
    /// See [`SPAWN_TIMEOUT`].
    pub spawn_timeout: Duration,
    /// See [`JOB_TIMEOUT`].
    pub job_timeout: Duration,
    /// Which roots to trust.
    pub trust: Trust,
    /// Accept any certificate. For tests of servers only.
    pub tls_verify_off: bool,
    /// Further roots, PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// See [`RESOLVER_THREADS`]; zero: no pool.
    pub resolver_threads: usize,
    /// See [`REQUESTS_MAX`].
    pub requests_max: usize,
    /// Connections at once, whatever their state; `None`: no limit.
    pub connections_max: Option<usize>,
    /// The same for one origin.
    pub connections_per_origin_max: Option<usize>,
    /// See [`IDLE_CONNECTIONS_MAX`].
    pub idle_connections_max: usize,
    /// See [`IDLE_TIMEOUT`]; `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// The `User-Agent` of requests that bring none; empty: none is sent.
    pub user_agent: String,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            worker_threads: None,
            spawn_ask: 0,
            spawn_callback: None,
            spawn_timeout: SPAWN_TIMEOUT,
            job_timeout: JOB_TIMEOUT,
            trust: Trust::Bundled,
            tls_verify_off: false,
            ca_pem: None,
            resolver_threads: RESOLVER_THREADS,
            requests_max: REQUESTS_MAX,
            connections_max: None,
            connections_per_origin_max: None,
            idle_connections_max: IDLE_CONNECTIONS_MAX,
            idle_timeout: Some(IDLE_TIMEOUT),
            user_agent: concat!("valtron_http/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// One request, whole.
#[derive(Clone)]
pub struct RequestConfig<'a> {
    /// Comes back in events.
    pub user_data: usize,
    /// A token; case matters.
    pub method: Cow<'static, str>,
    /// Absolute, http or https.
    pub url: Cow<'a, str>,
    /// In this order.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body; `None`: none.
    pub body: Option<Body>,
    /// Higher first, where requests queue.
    pub priority: i32,
    /// May be sent twice; `None`: as the method says (RFC 9110 section 9.2.2).
    pub idempotent: Option<bool>,
    /// See [`REDIRECTS_MAX`]; `None`: a 3xx is an answer like any other.
    pub redirects_max: Option<u32>,
    /// Follow from https to http.
    pub redirect_downgrade_allowed: bool,
    /// Waiting for a connection slot.
    pub queue_timeout: Option<Duration>,
    /// Name look-up, queue for a resolver thread included.
    pub resolve_timeout: Option<Duration>,
    /// All addresses together.
    pub connect_timeout: Option<Duration>,
    /// The whole handshake.
    pub tls_timeout: Option<Duration>,
    /// Without progress while sending.
    pub send_timeout: Option<Duration>,
    /// From the request's last byte to the end of the response's head.
    pub first_byte_timeout: Option<Duration>,
    /// Without progress while reading the body. Does not run while the host leaves the buffer full.
    pub idle_timeout: Option<Duration>,
    /// Everything, redirects included.
    pub total_timeout: Option<Duration>,
    /// Bytes of one head.
    pub head_bytes_max: usize,
    /// Lines of one head.
    pub headers_max: usize,
    /// 1xx responses before the final one.
    pub interim_max: u32,
    /// Unread body bytes kept before the peer is slowed down. `None`: [`BODY_BUFFER_BYTES`], and more for a host that
    /// comes by rarely and takes all of them.
    pub body_buffer_bytes: Option<usize>,
}

impl Default for RequestConfig<'_> {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            user_data: 0,
            method: Cow::Borrowed("GET"),
            url: Cow::Borrowed(""),
            headers: Vec::new(),
            body: None,
            priority: 0,
            idempotent: None,
            redirects_max: Some(REDIRECTS_MAX),
            redirect_downgrade_allowed: false,
            queue_timeout: None,
            resolve_timeout: Some(Duration::from_secs(10)),
            connect_timeout: Some(Duration::from_secs(10)),
            tls_timeout: Some(Duration::from_secs(10)),
            send_timeout: Some(Duration::from_secs(30)),
            first_byte_timeout: Some(Duration::from_secs(60)),
            idle_timeout: Some(Duration::from_secs(30)),
            total_timeout: None,
            head_bytes_max: limits.head_bytes_max,
            headers_max: limits.header_count_max,
            interim_max: limits.interim_count_max,
            body_buffer_bytes: None,
        }
    }
}
