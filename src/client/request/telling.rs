//! How tasks tell a host what came: never by waiting for its lock. While the host holds it, what is to be told waits,
//! in order, and the task gives way.

use std::ops::DerefMut;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use super::{DirectBody, HeadRecord, Inner, Intake, Milestone, Rare, RequestShared};
use crate::client::body_buffer::{NoMemory, Piece, LENT_BYTES_MIN};
use crate::client::error::HttpClientError;
use crate::client::host_side::event_flags;
use crate::client::task::HttpRequestState;
use crate::proto::{HeadBlock, ResponseHead, Span};
use crate::synca::sync::lock;
use crate::synca::{TaskMutex, TaskWaker};
use crate::valtron::time::Instant;

/// Something that came for the host.
pub(super) enum Note {
    Interim(Arc<HeadRecord>),
    Head {
        head: Arc<HeadRecord>,
        body_total: Option<u64>,
        producer: Option<TaskWaker>,
        stream: Option<Arc<TaskMutex<dyn DirectBody>>>,
    },
    Hop {
        head: Arc<HeadRecord>,
        url: Arc<str>,
    },
    Trailers(HeadBlock),
}

/// What a producer of body bytes knows when it asks for something to do.
#[derive(Clone, Copy, Debug)]
pub(in crate::client) struct Asks {
    /// Bytes lie in the socket now.
    pub readable: bool,
    /// Those that were left for the host lay there long enough.
    pub offer_over: bool,
    /// Bytes come in numbers for which memory of the buffer itself is worth while.
    pub flowing: bool,
    /// The turn's time.
    pub now: Instant,
}

/// What a producer of body bytes is told.
#[derive(Debug)]
pub(in crate::client) struct Demand {
    /// What to do.
    pub intake: Intake,
    /// Memory of the buffer to receive into, lent until [`push_piece`](RequestShared::push_piece).
    pub piece: Option<Piece>,
    /// The host read past the producer since it last asked.
    pub progress: bool,
}

impl Inner {
    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

impl RequestShared {
    /// The request's first task begins: it is woken by cancel.
    pub fn start(&self, waker: &TaskWaker) {
        // A second task of the same request ends with the first.
        let _ = self.waker.set(waker.clone());
        // Who stops the request stores that and then looks for the waker; the task looks for a stop from here on.
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    /// A task of this request ran one step.
    pub fn count_poll(&self) {
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    /// Enters a state; none after the end, which another task of the request may have brought.
    pub fn enter(&self, state: &HttpRequestState, now: Instant) {
        if !self.progress.is_terminal() {
            self.progress.enter(state.code(), now.since(self.created));
        }
    }

    /// A milestone is reached; of several hops the last one counts.
    pub fn reach(&self, milestone: Milestone, now: Instant) {
        self.progress.reach(milestone, now.since(self.created));
    }

    /// What connection the request got.
    pub fn note_connection(&self, reused: bool, tls_resumed: bool) {
        self.progress.connection_reused.store(reused, Ordering::Relaxed);
        self.progress.tls_resumed.store(tls_resumed, Ordering::Relaxed);
    }

    /// So many bytes of the request's body were sent.
    pub fn note_sent(&self, bytes: u64) {
        self.progress.body_sent.store(bytes, Ordering::Relaxed);
    }

    /// An interim head came.
    pub fn add_interim(&self, head: ResponseHead, url: Arc<str>) {
        self.tell(Note::Interim(Arc::new(HeadRecord::new(head, url))));
    }

    /// The final head is there. Its body follows, from the task behind `producer`, which shares where it comes from.
    pub fn set_final_head(
        &self,
        head: Arc<HeadRecord>,
        body_total: Option<u64>,
        producer: Option<TaskWaker>,
        stream: Arc<TaskMutex<dyn DirectBody>>,
    ) {
        self.tell(Note::Head { head, body_total, producer, stream: Some(stream) });
    }

    /// The final head is there, and with it the whole body. `Ok(false)`: neither was taken, as with
    /// [`told`](Self::told), or since there is no room for so much.
    pub fn set_whole(&self, head: &Arc<HeadRecord>, body: &[u8]) -> Result<bool, NoMemory> {
        if !self.told() {
            return Ok(false);
        }
        let mut flags = {
            let Some(mut inner) = self.try_inner() else { return Ok(false) };
            if body.len() > inner.capacity.bytes() {
                return Ok(false);
            }
            let body_total = Some(body.len() as u64);
            let flags =
                self.apply(&mut inner, Note::Head { head: head.clone(), body_total, producer: None, stream: None });
            inner.body.push(body)?;
            inner.body_received = body.len() as u64;
            flags
        };
        if !body.is_empty() {
            flags |= event_flags::BODY;
        }
        self.raise_later(flags);
        Ok(true)
    }

    /// A redirect is followed: its head joins the history, the URL is another.
    pub fn add_hop(&self, head: Arc<HeadRecord>, url: Arc<str>, now: Instant) {
        self.progress.hop.fetch_add(1, Ordering::SeqCst);
        self.enter(&HttpRequestState::Init, now);
        self.tell(Note::Hop { head, url });
    }

    /// Trailers came.
    pub fn set_trailers(&self, block: HeadBlock) {
        self.tell(Note::Trailers(block));
    }

    /// All that came was told. False: the host holds the lock; `wake_when_free` tells when it has left.
    pub fn told(&self) -> bool {
        if !self.has_untold.load(Ordering::Relaxed) {
            return true;
        }
        let Some(mut inner) = self.try_inner() else { return false };
        let flags = self.tell_rest(&mut inner);
        self.raise_later(flags);
        true
    }

    /// Whether the producer is to bring body bytes into the buffer. `None`: as with [`told`](Self::told).
    pub(in crate::client) fn demand(&self, asks: Asks) -> Option<Demand> {
        let (demand, first) = {
            let mut inner = self.try_inner()?;
            let progress = std::mem::take(&mut inner.direct_progress);
            if asks.offer_over && !progress {
                // The host did not take what lay in the socket for it.
                inner.direct = false;
                inner.direct_ready = false;
            }
            let room = self.room(&mut inner, asks.now);
            inner.starved = room == 0;
            let (intake, first) = if room == 0 {
                (Intake::Full, false)
            } else if inner.direct && asks.readable && inner.body.is_empty() {
                (Intake::Direct, !std::mem::replace(&mut inner.direct_ready, true))
            } else {
                (Intake::Room(room), false)
            };
            // Without memory the copy tells of it.
            let flows = asks.flowing && matches!(intake, Intake::Room(_)) && room >= LENT_BYTES_MIN;
            let piece = if flows { inner.body.lend().ok() } else { None };
            (Demand { intake, piece, progress }, first)
        };
        if first {
            self.raise_later(event_flags::BODY);
        }
        Some(demand)
    }

    /// Bytes for which there is room.
    fn room(&self, inner: &mut Inner, now: Instant) -> usize {
        let (len, capacity) = (inner.body.len(), &mut inner.capacity);
        if len < capacity.bytes() {
            capacity.note_room(now);
        } else if capacity.note_full(now, |more| self.host.upgrade().is_some_and(|host| host.grant_growth(more))) {
            inner.body.set_capacity(capacity.bytes());
        }
        capacity.bytes().saturating_sub(len)
    }

    /// Body bytes came. `Ok(false)`: none was taken, as with [`told`](Self::told).
    pub fn push_body(&self, bytes: &[u8]) -> Result<bool, NoMemory> {
        if bytes.is_empty() {
            return Ok(true);
        }
        let was_empty = {
            let Some(mut inner) = self.try_inner() else { return Ok(false) };
            let was_empty = inner.body.is_empty();
            inner.body.push(bytes)?;
            inner.body_received += bytes.len() as u64;
            was_empty
        };
        if was_empty {
            self.raise_later(event_flags::BODY);
        }
        Ok(true)
    }

    /// Body bytes came, or none, in memory that [`demand`](Self::demand) lent. Given back: as with
    /// [`told`](Self::told).
    pub(in crate::client) fn push_piece(&self, piece: Piece) -> Option<Piece> {
        let count = piece.bytes().len();
        let was_empty = {
            let Some(mut inner) = self.try_inner() else { return Some(piece) };
            let was_empty = inner.body.is_empty();
            inner.body.push_piece(piece);
            inner.body_received += count as u64;
            was_empty
        };
        if was_empty && count > 0 {
            self.raise_later(event_flags::BODY);
        }
        None
    }

    /// The end, good or bad, behind all that is still to be told. Only the first counts. `Err` gives the result back:
    /// as with [`told`](Self::told).
    pub fn finish(&self, result: Result<(), HttpClientError>, now: Instant) -> Result<(), Result<(), HttpClientError>> {
        match self.try_inner() {
            Some(inner) => {
                self.end(inner, result, now);
                Ok(())
            }
            None => Err(result),
        }
    }

    /// The same for a task that is dropped: there is no later.
    pub fn finish_now(&self, result: Result<(), HttpClientError>, now: Instant) {
        self.end(self.inner(), result, now);
    }

    fn end(&self, mut inner: impl DerefMut<Target = Inner>, result: Result<(), HttpClientError>, now: Instant) {
        if self.progress.is_terminal() {
            return;
        }
        let flags = self.tell_rest(&mut inner);
        inner.error = result.err();
        inner.body_ended = true;
        inner.producer = None;
        let stream = inner.stream.take();
        inner.direct_ready = false;
        self.progress.end(inner.error.as_ref(), now.since(self.created));
        drop(inner);
        drop(stream);
        self.raise_later(flags | event_flags::DONE);
        self.show();
    }

    /// What a step brought is one event: a small answer mostly comes whole.
    fn raise_later(&self, flags: u32) {
        // Only tasks of the request come here, one at a time.
        self.unraised.store(self.unraised.load(Ordering::Relaxed) | flags, Ordering::Relaxed);
    }

    /// The step is over: the host may learn what it brought.
    pub fn show(&self) {
        let flags = self.unraised.load(Ordering::Relaxed);
        if flags != 0 {
            self.unraised.store(0, Ordering::Relaxed);
            self.raise(flags);
        }
    }

    fn tell(&self, note: Note) {
        if !self.has_untold.load(Ordering::Relaxed) {
            if let Some(mut inner) = self.try_inner() {
                let flags = self.apply(&mut inner, note);
                return self.raise_later(flags);
            }
        }
        lock(&self.untold).push(note);
        self.has_untold.store(true, Ordering::Relaxed);
    }

    /// Returns the events of it.
    fn tell_rest(&self, inner: &mut Inner) -> u32 {
        if !self.has_untold.swap(false, Ordering::Relaxed) {
            return 0;
        }
        let notes = std::mem::take(&mut *lock(&self.untold));
        notes.into_iter().fold(0, |flags, note| flags | self.apply(inner, note))
    }

    /// Returns the event of it.
    fn apply(&self, inner: &mut Inner, note: Note) -> u32 {
        match note {
            Note::Interim(head) => {
                inner.rare().interim.push(head);
                event_flags::INTERIM
            }
            Note::Head { head, body_total, producer, stream } => {
                self.progress.set_http_status(head.status);
                inner.producer = producer;
                inner.stream = stream;
                inner.final_head = Some(head);
                inner.body_total = body_total;
                if let Some(total) = body_total {
                    inner.body.expect(total);
                }
                event_flags::HEAD
            }
            Note::Hop { head, url } => {
                inner.rare().hops.push(head);
                let old = std::mem::replace(&mut inner.url, url);
                inner.rare().old_urls.push(old);
                event_flags::HOP
            }
            Note::Trailers(block) => {
                let Some(head) = inner.final_head.clone() else { return 0 };
                inner.rare().trailers = Some(Arc::new(HeadRecord {
                    status: head.status,
                    version_minor: head.version_minor,
                    block,
                    reason: Span::default(),
                    url: head.url.clone(),
                }));
                event_flags::TRAILERS
            }
        }
    }
}
