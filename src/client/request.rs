//! A request as both sides see it: tasks write, the host reads. One lock per request, held for moments.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

mod reading;

use super::body_buffer::{BodyBuffer, NoMemory};
use super::error::{HttpClientError, Phase};
pub use super::heads::{HeadKind, HeadRecord};
use super::host_side::{event_flags, Event, HostSide};
use super::status::Status;
use super::task::HttpRequestState;
use crate::proto::{HeadBlock, ResponseHead, Span};
use crate::synca::sync::lock;
use crate::synca::TaskWaker;
use crate::valtron::time::Instant;
pub use reading::{Direct, DirectBody, Intake};

/// What may end a wait for a request, besides its end.
pub mod until_flags {
    /// The final head.
    pub const HEAD: u32 = 1;
    /// Body bytes, or their end.
    pub const BODY: u32 = 2;
    /// A question.
    pub const SPAWN: u32 = 4;
    /// All of them.
    pub const ALL: u32 = HEAD | BODY | SPAWN;
}

/// State changes kept per request: ten states for each of a dozen hops; a longer trace keeps its beginning and its
/// latest entry.
const TRACE_ENTRIES_MAX: usize = 128;

/// One change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceEntry {
    /// Since the request was made.
    pub at: Duration,
    /// The new state.
    pub state: i32,
    /// How many redirects lay behind.
    pub hop: u32,
}

/// Points in a request's life, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // named after what was reached
pub enum Milestone {
    Queued = 0,
    Resolved = 1,
    Connected = 2,
    Tls = 3,
    Sent = 4,
    FirstByte = 5,
    Head = 6,
    Done = 7,
}

/// A look at a request.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // as in the C API
pub struct RequestInfo {
    pub user_data: usize,
    pub state: i32,
    pub status: Status,
    pub http_status: i32,
    pub flags: u32,
    pub terminal: bool,
    pub hops: u32,
    pub interim_count: u32,
    pub http_minor: i32,
    pub connection_reused: bool,
    pub tls_resumed: bool,
    pub body_received: u64,
    pub body_buffered: u64,
    pub body_sent: u64,
    pub body_total: Option<u64>,
    pub task_polls: u64,
    pub times: [Option<Duration>; 8],
}

/// Why a request must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The host cancelled it.
    Cancelled,
    /// The host freed it: nobody looks any more.
    Freed,
    /// The client shuts down.
    Shutdown,
}

struct Inner {
    /// Ends in `Done` or `Error`, once.
    state: HttpRequestState,
    trace: Vec<TraceEntry>,
    hop: u32,
    final_head: Option<Arc<HeadRecord>>,
    interim: Vec<Arc<HeadRecord>>,
    hops: Vec<Arc<HeadRecord>>,
    trailers: Option<Arc<HeadRecord>>,
    url: Arc<str>,
    /// URLs handed out live until the request is freed.
    old_urls: Vec<Arc<str>>,
    body: BodyBuffer,
    body_capacity: usize,
    body_ended: bool,
    body_total: Option<u64>,
    body_received: u64,
    body_sent: u64,
    flags: u32,
    connection_reused: bool,
    tls_resumed: bool,
    times: [Option<Duration>; 8],
    wakers: Vec<TaskWaker>,
    /// Who fills the buffer.
    producer: Option<TaskWaker>,
    /// The producer parked because the buffer was full.
    starved: bool,
    /// Where the body comes from, while it comes.
    stream: Option<Arc<Mutex<dyn DirectBody>>>,
    /// The host's last read was large: it wants bytes straight from the socket.
    direct: bool,
    /// The producer parked because bytes for such a read lie in the socket.
    direct_ready: bool,
    /// Bytes were read past the producer since it last asked.
    direct_progress: bool,
}

/// See the module.
pub struct RequestShared {
    handle: u64,
    user_data: usize,
    silent: bool,
    created: Instant,
    host: Weak<HostSide>,
    stop: AtomicU32,
    polls: AtomicU64,
    inner: Mutex<Inner>,
}

impl RequestShared {
    /// A request that nothing has happened to yet. `silent`: no events.
    pub fn new(
        handle: u64,
        user_data: usize,
        silent: bool,
        created: Instant,
        url: Arc<str>,
        body_capacity: usize,
        host: &Arc<HostSide>,
    ) -> Arc<Self> {
        let first = TraceEntry { at: Duration::ZERO, state: HttpRequestState::Init.code(), hop: 0 };
        // Room for a request without redirects: one allocation instead of three.
        let mut trace = Vec::with_capacity(8);
        trace.push(first);
        Arc::new(Self {
            handle,
            user_data,
            silent,
            created,
            host: Arc::downgrade(host),
            stop: AtomicU32::new(0),
            polls: AtomicU64::new(0),
            inner: Mutex::new(Inner {
                state: HttpRequestState::Init,
                trace,
                hop: 0,
                final_head: None,
                interim: Vec::new(),
                hops: Vec::new(),
                trailers: None,
                url,
                old_urls: Vec::new(),
                body: BodyBuffer::default(),
                body_capacity,
                body_ended: false,
                body_total: None,
                body_received: 0,
                body_sent: 0,
                flags: 0,
                connection_reused: false,
                tls_resumed: false,
                times: [None; 8],
                wakers: Vec::new(),
                producer: None,
                starved: false,
                stream: None,
                direct: false,
                direct_ready: false,
                direct_progress: false,
            }),
        })
    }

    // --- for tasks ---

    /// A task of this request begins: it is woken by cancel and by room in the buffer.
    pub fn join(&self, waker: &TaskWaker) {
        lock(&self.inner).wakers.push(waker.clone());
    }

    /// A task of this request ran one step.
    pub fn count_poll(&self) {
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    /// It must stop.
    pub fn stop(&self) -> Option<Stop> {
        match self.stop.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Stop::Cancelled),
            2 => Some(Stop::Freed),
            _ => Some(Stop::Shutdown),
        }
    }

    /// Enters a state; none after the end, which another task of the request may have brought.
    pub fn enter(&self, state: HttpRequestState, now: Instant) {
        let since = now.since(self.created);
        let mut inner = lock(&self.inner);
        if !inner.state.is_terminal() {
            inner.enter(state, since);
        }
    }

    /// A milestone is reached; of several hops the last one counts.
    pub fn reach(&self, milestone: Milestone, now: Instant) {
        lock(&self.inner).times[milestone as usize] = Some(now.since(self.created));
    }

    /// What connection the request got.
    pub fn note_connection(&self, reused: bool, tls_resumed: bool) {
        let mut inner = lock(&self.inner);
        inner.connection_reused = reused;
        inner.tls_resumed = tls_resumed;
    }

    /// So many bytes of the request's body were sent.
    pub fn note_sent(&self, bytes: u64) {
        lock(&self.inner).body_sent = bytes;
    }

    /// An interim head came. `Err`: that was one too many.
    pub fn add_interim(&self, head: ResponseHead) -> usize {
        let count = {
            let mut inner = lock(&self.inner);
            let url = inner.url.clone();
            inner.interim.push(Arc::new(HeadRecord::new(head, url)));
            inner.interim.len()
        };
        self.raise(event_flags::INTERIM);
        count
    }

    /// The final head is there. Its body follows, from the task behind `producer`, which shares where it comes from.
    pub fn set_final_head(
        &self,
        head: Arc<HeadRecord>,
        body_total: Option<u64>,
        producer: Option<TaskWaker>,
        stream: Arc<Mutex<dyn DirectBody>>,
    ) {
        {
            let mut inner = lock(&self.inner);
            inner.producer = producer;
            inner.stream = Some(stream);
            inner.final_head = Some(head);
            inner.body_total = body_total;
            if let Some(total) = body_total {
                inner.body.expect(total);
            }
        }
        self.raise(event_flags::HEAD);
    }

    /// A redirect is followed: its head joins the history, the URL is another.
    pub fn add_hop(&self, head: Arc<HeadRecord>, url: Arc<str>, now: Instant) {
        {
            let mut inner = lock(&self.inner);
            inner.hops.push(head);
            inner.hop += 1;
            let old = std::mem::replace(&mut inner.url, url);
            inner.old_urls.push(old);
        }
        self.enter(HttpRequestState::Init, now);
        self.raise(event_flags::HOP);
    }

    /// Whether the producer is to bring body bytes into the buffer. `readable`: bytes lie in the socket now.
    pub fn intake(&self, readable: bool) -> Intake {
        let first = {
            let mut inner = lock(&self.inner);
            let room = inner.body_capacity.saturating_sub(inner.body.len());
            inner.starved = room == 0;
            if room == 0 {
                return Intake::Full;
            }
            if !(inner.direct && readable && inner.body.is_empty()) {
                return Intake::Room(room);
            }
            !std::mem::replace(&mut inner.direct_ready, true)
        };
        if first {
            self.raise(event_flags::BODY);
        }
        Intake::Direct
    }

    /// The host did not take what lay in the socket for it: the producer brings the next bytes.
    pub fn withdraw_offer(&self) {
        let mut inner = lock(&self.inner);
        inner.direct = false;
        inner.direct_ready = false;
    }

    /// The host waits for something else than bytes: it leaves them to the producer.
    pub fn decline_offer(&self) {
        let wake = {
            let mut inner = lock(&self.inner);
            inner.direct = false;
            let offered = std::mem::replace(&mut inner.direct_ready, false);
            inner.producer.clone().filter(|_| offered)
        };
        wake.into_iter().for_each(|waker| waker.wake());
    }

    /// The host read past the producer since the last such question.
    pub fn take_direct_progress(&self) -> bool {
        std::mem::take(&mut lock(&self.inner).direct_progress)
    }

    /// Body bytes came.
    pub fn push_body(&self, bytes: &[u8]) -> Result<(), NoMemory> {
        let was_empty = {
            let mut inner = lock(&self.inner);
            let was_empty = inner.body.is_empty();
            inner.body.push(bytes)?;
            inner.body_received += bytes.len() as u64;
            was_empty
        };
        if was_empty {
            self.raise(event_flags::BODY);
        }
        Ok(())
    }

    /// Trailers came.
    pub fn set_trailers(&self, block: HeadBlock) {
        {
            let mut inner = lock(&self.inner);
            let Some(head) = inner.final_head.clone() else { return };
            inner.trailers = Some(Arc::new(HeadRecord {
                status: head.status,
                version_minor: head.version_minor,
                block,
                reason: Span::default(),
                url: head.url.clone(),
            }));
        }
        self.raise(event_flags::TRAILERS);
    }

    /// The end, good or bad. Only the first call counts.
    pub fn finish(&self, result: Result<(), HttpClientError>, now: Instant) {
        let state = result.map_or_else(HttpRequestState::Error, |()| HttpRequestState::Done);
        let since = now.since(self.created);
        {
            // At once, so that whoever sees the end sees all of it.
            let mut inner = lock(&self.inner);
            if inner.state.is_terminal() {
                return;
            }
            inner.enter(state, since);
            inner.times[Milestone::Done as usize] = Some(since);
            inner.body_ended = true;
            inner.wakers.clear();
            inner.producer = None;
            inner.stream = None;
            inner.direct_ready = false;
        }
        self.raise(event_flags::DONE);
    }

    /// Adds flags to what the host has seen or will see.
    pub fn raise(&self, flags: u32) {
        lock(&self.inner).flags |= flags;
        if let Some(host) = self.host.upgrade() {
            host.raise(self.handle, flags);
        }
    }

    // --- for the host ---

    /// The handle.
    pub fn handle(&self) -> u64 {
        self.handle
    }

    /// The user data.
    pub fn user_data(&self) -> usize {
        self.user_data
    }

    /// It emits no events.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// It must stop, for this reason; the first one counts, but freed overrides.
    pub fn request_stop(&self, stop: Stop) {
        let code = match stop {
            Stop::Cancelled => 1,
            Stop::Freed => 2,
            Stop::Shutdown => 3,
        };
        if stop == Stop::Freed {
            self.stop.store(code, Ordering::SeqCst);
        } else {
            let _ = self.stop.compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
        }
        let wakers = lock(&self.inner).wakers.clone();
        for waker in wakers {
            waker.wake();
        }
    }

    /// The host is done with it.
    pub fn free(&self) {
        self.request_stop(Stop::Freed);
    }

    /// The host's view as an event.
    pub fn event(&self, flags: u32) -> Event {
        let inner = lock(&self.inner);
        Event {
            request: self.handle,
            user_data: self.user_data,
            flags,
            state: inner.state.code(),
            status: inner.status(),
            http_status: inner.http_status(),
        }
    }

    /// The host's view.
    pub fn info(&self) -> RequestInfo {
        let inner = lock(&self.inner);
        RequestInfo {
            user_data: self.user_data,
            state: inner.state.code(),
            status: inner.status(),
            http_status: inner.http_status(),
            flags: inner.flags,
            terminal: inner.state.is_terminal(),
            hops: inner.hop,
            interim_count: inner.interim.len() as u32,
            http_minor: inner.final_head.as_ref().map_or(-1, |head| i32::from(head.version_minor)),
            connection_reused: inner.connection_reused,
            tls_resumed: inner.tls_resumed,
            body_received: inner.body_received,
            body_buffered: inner.body.len() as u64,
            body_sent: inner.body_sent,
            body_total: inner.body_total,
            task_polls: self.polls.load(Ordering::Relaxed),
            times: inner.times,
        }
    }

    /// One of the [`until_flags`] holds, or the request is over.
    pub fn reached(&self, until: u32) -> bool {
        let inner = lock(&self.inner);
        inner.state.is_terminal()
            || (until & until_flags::HEAD != 0 && inner.final_head.is_some())
            || (until & until_flags::BODY != 0 && (!inner.body.is_empty() || inner.body_ended || inner.direct_ready))
    }

    /// Where it is.
    pub fn state(&self) -> HttpRequestState {
        lock(&self.inner).state.clone()
    }

    /// Where in its life it is.
    pub(super) fn phase(&self) -> Phase {
        lock(&self.inner).state.phase()
    }

    /// It is over.
    pub fn is_terminal(&self) -> bool {
        lock(&self.inner).state.is_terminal()
    }

    /// One of its heads.
    pub fn head(&self, which: HeadKind) -> Option<Arc<HeadRecord>> {
        let inner = lock(&self.inner);
        match which {
            HeadKind::Final => inner.final_head.clone(),
            HeadKind::Trailers => inner.trailers.clone(),
            HeadKind::Interim(n) => inner.interim.get(n).cloned(),
            HeadKind::Hop(n) => inner.hops.get(n).cloned(),
        }
    }

    /// What it failed with.
    pub fn error(&self) -> Option<HttpClientError> {
        lock(&self.inner).state.error().cloned()
    }

    /// Its changes of state.
    pub fn trace(&self) -> Vec<TraceEntry> {
        lock(&self.inner).trace.clone()
    }

    /// The present URL.
    pub fn url(&self) -> Arc<str> {
        lock(&self.inner).url.clone()
    }
}

impl Inner {
    fn enter(&mut self, state: HttpRequestState, since: Duration) {
        let entry = TraceEntry { at: since, state: state.code(), hop: self.hop };
        if self.trace.len() == TRACE_ENTRIES_MAX {
            self.trace.pop();
        }
        self.trace.push(entry);
        self.state = state;
    }

    fn status(&self) -> Status {
        self.state.error().map_or(Status::Ok, |error| error.status)
    }

    fn http_status(&self) -> i32 {
        self.final_head.as_ref().map_or(0, |head| i32::from(head.status))
    }
}
