//! A request as both sides see it: tasks write, the host reads. Heads and body are under one lock per request, held for
//! moments, for which a task never waits; the rest is atomic.

use std::sync::atomic::{fence, AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Duration;

mod progress;
mod reading;
mod telling;

use super::body_buffer::BodyBuffer;
use super::body_capacity::BodyCapacity;
use super::config::Body;
use super::error::{HttpClientError, Phase};
pub use super::heads::{HeadKind, HeadRecord};
use super::host_side::{event_flags, Event, HostSide};
use super::questions::Asker;
use super::status::Status;
use super::task::HttpRequestState;
use crate::synca::{TaskMutex, TaskMutexGuard, TaskWaker};
use crate::valtron::time::Instant;
use progress::Progress;
pub use reading::{Direct, DirectBody, Intake};
pub(super) use telling::Asks;
use telling::Note;

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

impl Asker for RequestShared {
    fn is_live(&self) -> bool {
        !self.is_terminal() && self.stop().is_none() && self.event.load(Ordering::SeqCst) & GONE == 0
    }

    fn raise_spawn(&self) {
        self.raise(event_flags::SPAWN);
    }
}

impl Drop for RequestShared {
    fn drop(&mut self) {
        self.return_growth(&mut self.inner());
    }
}

/// What the lock is for: heads and body.
struct Inner {
    error: Option<HttpClientError>,
    final_head: Option<Arc<HeadRecord>>,
    url: Arc<str>,
    /// What most requests have not.
    rare: Option<Box<Rare>>,
    /// The request's own body, if it is large and a copy: to be given back when the host frees the request.
    upload: Option<Body>,
    body: BodyBuffer,
    capacity: BodyCapacity,
    body_ended: bool,
    body_total: Option<u64>,
    body_received: u64,
    /// Who fills the buffer.
    producer: Option<TaskWaker>,
    /// The producer parked because the buffer was full.
    starved: bool,
    /// Where the body comes from, while it comes.
    stream: Option<Arc<TaskMutex<dyn DirectBody>>>,
    /// The host's last read was large: it wants bytes straight from the socket.
    direct: bool,
    /// The producer parked because bytes for such a read lie in the socket.
    direct_ready: bool,
    /// Bytes were read past the producer since it last asked.
    direct_progress: bool,
}

/// What comes besides the final head, and what redirects leave behind.
#[derive(Default)]
struct Rare {
    interim: Vec<Arc<HeadRecord>>,
    hops: Vec<Arc<HeadRecord>>,
    trailers: Option<Arc<HeadRecord>>,
    /// URLs handed out live until the request is freed.
    old_urls: Vec<Arc<str>>,
}

/// Beside the event flags: the request has ended, or is gone from the table.
const ENDED: u32 = 1 << 30;
const GONE: u32 = 1 << 31;

/// What new flags changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Raised {
    /// The request has an event and had none.
    pub first: bool,
    /// It has ended and had not.
    pub ended: bool,
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
    /// Of the first task: whoever stops the request wakes it, and the others end with it.
    waker: OnceLock<TaskWaker>,
    /// All that was ever raised.
    flags: AtomicU32,
    /// The event that the host has not taken yet, `ENDED` and `GONE`.
    event: AtomicU32,
    progress: Progress,
    inner: TaskMutex<Inner>,
    /// What came while the host held the lock, in order. Only tasks of the request come here, one at a time.
    untold: Mutex<Vec<Note>>,
    has_untold: AtomicBool,
    /// Told in the present step, and not raised yet.
    unraised: AtomicU32,
    #[cfg(test)]
    busy: AtomicU32,
    #[cfg(test)]
    tried: AtomicU32,
}

impl RequestShared {
    /// A request that nothing has happened to yet. `silent`: no events.
    pub fn new(
        handle: u64,
        user_data: usize,
        silent: bool,
        created: Instant,
        url: Arc<str>,
        body_buffer_bytes: Option<usize>,
        host: &Arc<HostSide>,
    ) -> Arc<Self> {
        let capacity = BodyCapacity::new(body_buffer_bytes);
        Arc::new(Self {
            handle,
            user_data,
            silent,
            created,
            host: Arc::downgrade(host),
            stop: AtomicU32::new(0),
            polls: AtomicU64::new(0),
            waker: OnceLock::new(),
            flags: AtomicU32::new(0),
            event: AtomicU32::new(0),
            progress: Progress::default(),
            inner: TaskMutex::new(Inner {
                error: None,
                final_head: None,
                url,
                rare: None,
                upload: None,
                body: BodyBuffer::new(capacity.bytes()),
                capacity,
                body_ended: false,
                body_total: None,
                body_received: 0,
                producer: None,
                starved: false,
                stream: None,
                direct: false,
                direct_ready: false,
                direct_progress: false,
            }),
            untold: Mutex::default(),
            has_untold: AtomicBool::new(false),
            unraised: AtomicU32::new(0),
            #[cfg(test)]
            busy: AtomicU32::new(0),
            #[cfg(test)]
            tried: AtomicU32::new(0),
        })
    }

    // --- for both sides ---

    /// It must stop.
    pub fn stop(&self) -> Option<Stop> {
        match self.stop.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Stop::Cancelled),
            2 => Some(Stop::Freed),
            _ => Some(Stop::Shutdown),
        }
    }

    /// Adds flags to what the host has seen or will see. Takes no lock.
    pub fn raise(&self, flags: u32) {
        self.flags.fetch_or(flags, Ordering::SeqCst);
        let Some(host) = self.host.upgrade() else { return };
        let ends = if flags & event_flags::DONE != 0 { ENDED } else { 0 };
        let shown = if self.silent { 0 } else { flags };
        let before = self.event.fetch_or(shown | ends, Ordering::SeqCst);
        let there = before & GONE == 0;
        host.raised(
            self.handle,
            Raised {
                first: there && shown != 0 && before & event_flags::ALL == 0,
                ended: there && ends != 0 && before & ENDED == 0,
            },
        );
    }

    /// The event's flags, for whoever hands them to the host; none from here on until more come.
    pub(super) fn take_flags(&self) -> u32 {
        let before = self.event.fetch_and(ENDED | GONE, Ordering::SeqCst);
        // Of one that is gone they were taken when it went.
        if before & GONE == 0 {
            before & event_flags::ALL
        } else {
            0
        }
    }

    /// It is gone from the table: whether it ran, and whether it had an event.
    pub(super) fn retire(&self) -> (bool, bool) {
        let before = self.event.fetch_or(GONE, Ordering::SeqCst);
        (before & ENDED == 0, before & event_flags::ALL != 0)
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
            self.stop.store(code, Ordering::Release);
        } else {
            let _ = self.stop.compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
        }
        // The task sets its waker and then looks for a stop: one sees the other.
        fence(Ordering::SeqCst);
        // After the end there is nothing to be stopped.
        if let Some(waker) = self.waker.get().filter(|_| !self.progress.is_terminal()) {
            waker.wake();
        }
    }

    /// Keeps what takes its time to give back until the host is done with the request.
    pub fn keep_upload(&self, body: &Body) {
        if body.is_heavy() {
            self.inner().upload = Some(body.clone());
        }
    }

    /// The host is done with it.
    pub fn free(&self) {
        self.request_stop(Stop::Freed);
        // Here and not where its task ends: many bytes take their time, and a poll has a budget.
        let (body, upload) = {
            let inner = &mut *self.inner();
            (std::mem::take(&mut inner.body), inner.upload.take())
        };
        drop(body);
        if let Some(upload) = upload {
            upload.discard();
        }
    }

    /// The host waits for something else than bytes: it leaves them to the producer.
    pub fn decline_offer(&self) {
        let wake = {
            let mut inner = self.inner();
            inner.direct = false;
            let offered = std::mem::replace(&mut inner.direct_ready, false);
            inner.producer.clone().filter(|_| offered)
        };
        wake.into_iter().for_each(|waker| waker.wake());
    }

    /// The host's view as an event. Takes no lock.
    pub fn event(&self, flags: u32) -> Event {
        Event {
            request: self.handle,
            user_data: self.user_data,
            flags,
            state: self.progress.state(),
            status: self.progress.status(),
            http_status: self.progress.http_status(),
        }
    }

    /// The host's view.
    pub fn info(&self) -> RequestInfo {
        let inner = self.inner();
        let progress = &self.progress;
        // First: what is told of a request that is over is all there is.
        let state = progress.state();
        RequestInfo {
            user_data: self.user_data,
            state,
            status: progress.status(),
            http_status: progress.http_status(),
            flags: self.flags.load(Ordering::SeqCst),
            terminal: state >= HttpRequestState::DONE,
            hops: inner.rare.as_ref().map_or(0, |rare| rare.hops.len()) as u32,
            interim_count: inner.rare.as_ref().map_or(0, |rare| rare.interim.len()) as u32,
            http_minor: inner.final_head.as_ref().map_or(-1, |head| i32::from(head.version_minor)),
            connection_reused: progress.connection_reused.load(Ordering::Relaxed),
            tls_resumed: progress.tls_resumed.load(Ordering::Relaxed),
            body_received: inner.body_received,
            body_buffered: inner.body.len() as u64,
            body_sent: progress.body_sent.load(Ordering::Relaxed),
            body_total: inner.body_total,
            task_polls: self.polls.load(Ordering::Relaxed),
            times: progress.times(),
        }
    }

    /// One of the [`until_flags`] holds, or the request is over.
    pub fn reached(&self, until: u32) -> bool {
        if self.is_terminal() {
            return true;
        }
        let inner = self.inner();
        self.is_terminal()
            || (until & until_flags::HEAD != 0 && inner.final_head.is_some())
            || (until & until_flags::BODY != 0 && (!inner.body.is_empty() || inner.body_ended || inner.direct_ready))
    }

    /// Where in its life it is.
    pub(super) fn phase(&self) -> Phase {
        self.progress.phase()
    }

    /// It is over.
    pub fn is_terminal(&self) -> bool {
        self.progress.is_terminal()
    }

    /// One of its heads.
    pub fn head(&self, which: HeadKind) -> Option<Arc<HeadRecord>> {
        let inner = self.inner();
        let rare = inner.rare.as_ref();
        match which {
            HeadKind::Final => inner.final_head.clone(),
            HeadKind::Trailers => rare?.trailers.clone(),
            HeadKind::Interim(n) => rare?.interim.get(n).cloned(),
            HeadKind::Hop(n) => rare?.hops.get(n).cloned(),
        }
    }

    /// What it failed with.
    pub fn error(&self) -> Option<HttpClientError> {
        self.inner().error.clone()
    }

    /// Its changes of state.
    pub fn trace(&self) -> Vec<TraceEntry> {
        self.progress.trace()
    }

    /// The present URL.
    pub fn url(&self) -> Arc<str> {
        self.inner().url.clone()
    }

    /// A task found the host at the lock. True: it is woken when the host is done; false: it may look again.
    pub(super) fn wake_when_free(&self, waker: &TaskWaker) -> bool {
        self.inner.wake_when_free(waker)
    }

    /// Its buffer has grown no more.
    fn return_growth(&self, inner: &mut Inner) {
        let growth = inner.capacity.shrink();
        if growth > 0 {
            if let Some(host) = self.host.upgrade() {
                host.return_growth(growth);
            }
        }
    }

    fn inner(&self) -> TaskMutexGuard<'_, Inner> {
        self.inner.lock()
    }

    /// The lock, for a task: it never waits.
    fn try_inner(&self) -> Option<MutexGuard<'_, Inner>> {
        #[cfg(test)]
        if self.busy.load(Ordering::SeqCst) > 0 {
            let tried = self.tried.fetch_add(1, Ordering::SeqCst);
            if tried % 3 < self.busy.load(Ordering::SeqCst) {
                return None;
            }
        }
        self.inner.try_lock()
    }

    /// What a host does that looks at the request on another thread, for as long as the result lives.
    #[cfg(test)]
    pub(super) fn hold(&self) -> impl Sized + '_ {
        self.inner()
    }

    /// Steps of its tasks so far, without the lock.
    #[cfg(test)]
    pub(super) fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// From now on tasks find the lock held so many times of three.
    #[cfg(test)]
    pub(super) fn set_busy(&self, of_three: u32) {
        self.busy.store(of_three, Ordering::SeqCst);
    }
}
