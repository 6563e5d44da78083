//! What faces the host: handles, slots, the list of requests that have events. Every call of the host and every task
//! meets here; a task changes flags and counts, and takes no lock.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

mod passengers;

use super::config::BODY_BUFFERS_GROWTH_BYTES_MAX;
use super::questions::Desk;
use super::request::{Raised, RequestShared};
use super::status::Status;
use crate::synca::sync::lock;
use crate::synca::{Chunks, ShardedQueue};
pub use passengers::Passengers;

/// Bits of a handle's parts: 12 of client tag, 20 of slot, 32 of generation.
const SLOT_BITS: u32 = 20;
const GENERATION_BITS: u32 = 32;
const TAG_MAX: u16 = (1 << 12) - 1;
/// Events looked up under one lock: a few hundred bytes of stack.
const EVENTS_AT_ONCE: usize = 64;

/// What an event may say; bits are coalesced until the host takes the event.
pub mod event_flags {
    /// The final head is readable.
    pub const HEAD: u32 = 1;
    /// Body bytes are readable.
    pub const BODY: u32 = 2;
    /// Terminal; exactly one per request.
    pub const DONE: u32 = 4;
    /// A question waits for the host.
    pub const SPAWN: u32 = 8;
    /// A redirect was followed.
    pub const HOP: u32 = 16;
    /// An interim response came.
    pub const INTERIM: u32 = 32;
    /// Trailers are readable.
    pub const TRAILERS: u32 = 64;
    /// All of them.
    pub const ALL: u32 = 127;
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // as in the C API
pub struct Event {
    pub request: u64,
    pub user_data: usize,
    pub flags: u32,
    pub state: i32,
    pub status: Status,
    pub http_status: i32,
}

/// A place for one request after another.
#[derive(Default)]
struct Slot {
    /// Held for a look or a change, by those who use the same slot.
    place: Mutex<Place>,
    /// It stands in the list of those with events, at most once: so that list never outgrows the slots.
    listed: AtomicBool,
}

/// Who is in a slot.
#[derive(Default)]
struct Place {
    /// Which occupant, counted from 1.
    generation: u32,
    request: Option<Arc<RequestShared>>,
}

/// Who comes and goes. Its lock is for those who make and free requests.
#[derive(Default)]
struct Register {
    /// Slots that were left.
    free: Vec<u32>,
    /// Slots that were ever used.
    used: u32,
    /// Requests that exist, ended or not.
    live: usize,
    closed: bool,
}

/// Counts that every poll asks for. Tasks and hosts change them in any order: one may be below zero for a moment.
#[derive(Default)]
struct Counts {
    /// Requests that have not ended.
    running: AtomicI64,
    /// Requests with an event.
    with_event: AtomicI64,
    created: AtomicU64,
}

/// See the module.
pub struct HostSide {
    tag: u16,
    requests_max: usize,
    slots: Chunks<Slot>,
    register: Mutex<Register>,
    /// Slots of requests with an event, oldest first.
    ready: ShardedQueue<u32>,
    counts: Counts,
    /// Questions to the host.
    pub desk: Arc<Desk>,
    /// Who waits while another thread drives.
    pub passengers: Passengers,
    /// Ends a host's wait, where others than the host drive.
    signal: Box<dyn Fn() + Send + Sync>,
    /// Something happened since the last [`flush`](Self::flush).
    news: AtomicBool,
    /// Bytes that body buffers have grown by.
    buffer_growth: AtomicUsize,
    /// Handshake steps and other work done inside a poll because a job came too late.
    pub hitches: AtomicU64,
    /// Jobs that expired.
    pub jobs_expired: AtomicU64,
    /// Connections opened, reused.
    pub connections_opened: AtomicU64,
    /// See `connections_opened`.
    pub connections_reused: AtomicU64,
}

impl HostSide {
    /// An empty table with a tag of its own; tags repeat only after 4,095 clients.
    pub fn new(requests_max: usize, signal: Box<dyn Fn() + Send + Sync>) -> Arc<Self> {
        let tag = crate::process::next_client_number() % TAG_MAX + 1;
        Arc::new(Self {
            tag,
            requests_max,
            slots: Chunks::default(),
            register: Mutex::default(),
            ready: ShardedQueue::default(),
            counts: Counts::default(),
            desk: Arc::default(),
            passengers: Passengers::default(),
            signal,
            news: AtomicBool::new(false),
            buffer_growth: AtomicUsize::new(0),
            hitches: AtomicU64::new(0),
            jobs_expired: AtomicU64::new(0),
            connections_opened: AtomicU64::new(0),
            connections_reused: AtomicU64::new(0),
        })
    }

    /// Reserves a slot and its handle, and puts in what `make` builds from the handle.
    pub fn insert(&self, make: impl FnOnce(u64) -> Arc<RequestShared>) -> Result<Arc<RequestShared>, Status> {
        // Held to the end: who closes the table afterwards finds the request in it.
        let mut register = lock(&self.register);
        if register.closed {
            return Err(Status::Shutdown);
        }
        if register.live >= self.requests_max {
            return Err(Status::TooManyRequests);
        }
        let index = match register.free.pop() {
            Some(index) => index,
            None if register.used < 1 << SLOT_BITS => {
                register.used += 1;
                register.used - 1
            }
            None => return Err(Status::TooManyRequests),
        };
        let slot = self.slots.make(index as usize).ok_or(Status::TooManyRequests)?;
        register.live += 1;
        self.counts.running.fetch_add(1, Ordering::SeqCst);
        // Changed here alone, under the register's lock.
        self.counts.created.store(self.counts.created.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let mut place = lock(&slot.place);
        place.generation += 1;
        let handle = u64::from(self.tag) << (SLOT_BITS + GENERATION_BITS)
            | u64::from(index) << GENERATION_BITS
            | u64::from(place.generation);
        let request = make(handle);
        place.request = Some(request.clone());
        Ok(request)
    }

    /// The request under a handle.
    pub fn find(&self, handle: u64) -> Result<Arc<RequestShared>, Status> {
        self.look(handle, |request| request.clone())
    }

    /// Takes the request out; its handle is stale from now on, and no event of it comes any more.
    pub fn remove(&self, handle: u64) -> Result<Arc<RequestShared>, Status> {
        let (request, spent) = {
            let request = self.look(handle, Option::take)?;
            (request, handle as u32 == u32::MAX)
        };
        self.retire(&request);
        let mut register = lock(&self.register);
        // A generation that is spent retires the slot. The slot stays listed if it was: an entry without an event is
        // passed over.
        if !spent {
            register.free.push(index_of(handle) as u32);
        }
        register.live -= 1;
        Ok(request)
    }

    /// Adds flags to a request's event: what it was before tells whether it is new. Requests of `perform` have none.
    pub(super) fn raised(&self, handle: u64, change: Raised) {
        if change.ended {
            self.counts.running.fetch_sub(1, Ordering::SeqCst);
        }
        if change.first {
            self.counts.with_event.fetch_add(1, Ordering::SeqCst);
            self.enlist(handle);
        }
        self.nudge();
    }

    /// Something happened that a waiting host is to look at.
    pub fn nudge(&self) {
        self.news.store(true, Ordering::SeqCst);
        self.passengers.wake();
    }

    /// Tells a waiting host what happened since the last time. Whoever drives an executor does this after each slice of
    /// work and before it sleeps.
    pub fn flush(&self) {
        if self.news.load(Ordering::SeqCst) && self.news.swap(false, Ordering::SeqCst) {
            (self.signal)();
        }
    }

    /// Up to `most` events, the oldest first. Each call of the result gives one, and all that it gives must be taken:
    /// until it gives none, or `most` have come.
    pub fn events(&self, most: usize) -> impl FnMut() -> Option<Event> + '_ {
        let (mut left, mut listed, mut at, mut end) = (most, [0; EVENTS_AT_ONCE], 0, 0);
        move || loop {
            if at == end {
                (at, end) = (0, 0);
                if self.events_ready() > 0 {
                    self.ready.pop_some(left.min(EVENTS_AT_ONCE), |index| {
                        listed[end] = index;
                        end += 1;
                    });
                }
                if end == 0 {
                    return None;
                }
            }
            at += 1;
            if let Some(event) = self.event_of(listed[at - 1]) {
                left -= 1;
                return Some(event);
            }
        }
    }

    /// The event of a slot that was listed, if there is one still.
    fn event_of(&self, index: u32) -> Option<Event> {
        let slot = self.slots.get(index as usize)?;
        // Before the look: what is raised from here on lists the slot again.
        slot.listed.swap(false, Ordering::SeqCst);
        let request = lock(&slot.place).request.clone()?;
        let flags = request.take_flags();
        if flags == 0 {
            return None;
        }
        self.counts.with_event.fetch_sub(1, Ordering::SeqCst);
        Some(request.event(flags))
    }

    /// The oldest event.
    #[cfg(test)]
    pub fn next_event(&self) -> Option<Event> {
        self.events(1)()
    }

    /// Requests with an event.
    pub fn events_ready(&self) -> usize {
        self.counts.with_event.load(Ordering::SeqCst).max(0) as usize
    }

    /// A body buffer may grow by so much, until that is returned.
    pub(super) fn grant_growth(&self, bytes: usize) -> bool {
        let add = |grown: usize| grown.checked_add(bytes).filter(|grown| *grown <= BODY_BUFFERS_GROWTH_BYTES_MAX);
        self.buffer_growth.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    /// A body buffer that had grown is gone.
    pub(super) fn return_growth(&self, bytes: usize) {
        self.buffer_growth.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What they have grown by.
    #[cfg(test)]
    pub(super) fn buffer_growth(&self) -> usize {
        self.buffer_growth.load(Ordering::Relaxed)
    }

    /// Requests that have not ended, and all that ever were.
    pub fn counts(&self) -> (usize, u64) {
        let running = self.counts.running.load(Ordering::SeqCst).max(0);
        (running as usize, self.counts.created.load(Ordering::SeqCst))
    }

    /// All live requests.
    pub fn requests(&self) -> Vec<Arc<RequestShared>> {
        let _register = lock(&self.register);
        self.slots.iter().filter_map(|slot| lock(&slot.place).request.clone()).collect()
    }

    /// No request can be made from now on.
    pub fn close(&self) {
        lock(&self.register).closed = true;
    }

    /// Forgets all requests; handles become stale.
    pub fn clear(&self) {
        let dropped: Vec<_> = {
            let mut register = lock(&self.register);
            register.closed = true;
            register.live = 0;
            self.slots.iter().filter_map(|slot| lock(&slot.place).request.take()).collect()
        };
        for request in dropped {
            self.retire(&request);
            request.free();
        }
    }

    /// No event of it comes any more.
    fn retire(&self, request: &RequestShared) {
        let (ran, had_event) = request.retire();
        self.counts.running.fetch_sub(i64::from(ran), Ordering::SeqCst);
        self.counts.with_event.fetch_sub(i64::from(had_event), Ordering::SeqCst);
    }

    fn enlist(&self, handle: u64) {
        let Some(slot) = self.slots.get(index_of(handle)) else { return };
        if !slot.listed.swap(true, Ordering::SeqCst) {
            self.ready.push(index_of(handle) as u32);
        }
    }

    /// Gives `act` the occupied place under a good handle.
    fn look<T>(
        &self,
        handle: u64,
        act: impl FnOnce(&mut Option<Arc<RequestShared>>) -> Option<T>,
    ) -> Result<T, Status> {
        let tag = (handle >> (SLOT_BITS + GENERATION_BITS)) as u16;
        if handle == 0 || tag == 0 {
            return Err(Status::Handle);
        }
        if tag != self.tag {
            return Err(Status::HandleForeign);
        }
        let slot: &Slot = self.slots.get(index_of(handle)).ok_or(Status::Handle)?;
        let mut place = lock(&slot.place);
        let generation = handle as u32;
        if place.generation == generation {
            if let Some(found) = act(&mut place.request) {
                return Ok(found);
            }
        }
        match generation != 0 && generation <= place.generation {
            true => Err(Status::HandleStale),
            false => Err(Status::Handle),
        }
    }
}

fn index_of(handle: u64) -> usize {
    (handle >> GENERATION_BITS) as usize & ((1 << SLOT_BITS) - 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::questions::{Decision, SpawnCallback, SpawnInfo, SpawnKind};
    use crate::synca::{Entry, TaskWaker, WakeQueue};
    use crate::valtron::time::Instant;

    fn add(host: &Arc<HostSide>) -> Arc<RequestShared> {
        let made = |handle| RequestShared::new(handle, 7, false, Instant::default(), "http://a/".into(), Some(1), host);
        host.insert(made).expect("a slot")
    }

    /// Goal: what a poll asks each time, and what a task tells, does not wait for a thread that makes or frees
    /// requests, or looks at one. Method: hold those locks, and ask and tell on another thread.
    #[test]
    fn counts_and_flags_need_no_lock() {
        let host = HostSide::new(8, Box::new(|| {}));
        let request = add(&host);
        let held = lock(&host.register);
        let place = lock(&host.slots.get(0).expect("the first slot").place);
        let (answer, asked) = std::sync::mpsc::channel();
        let (other, told) = (host.clone(), request.clone());
        std::thread::spawn(move || {
            told.raise(event_flags::BODY);
            told.raise(event_flags::DONE);
            let _ = answer.send((other.counts(), other.events_ready()));
        });
        assert_eq!(asked.recv_timeout(Duration::from_secs(20)), Ok(((0, 1), 1)));
        drop((held, place));
        let event = host.next_event().expect("an event");
        assert_eq!((event.flags, event.user_data), (event_flags::BODY | event_flags::DONE, 7));
        assert_eq!((host.next_event(), host.events_ready()), (None, 0));
    }

    /// Goal: a poll with a question waits for no thread that looks at its request or makes others. Method: hold those
    /// locks, and put one question to the callback and one in the pull queue on another thread.
    #[test]
    fn questions_need_no_lock_of_the_table() {
        let host = HostSide::new(8, Box::new(|| {}));
        let request = add(&host);
        let ask = |host: &HostSide, request: &Arc<RequestShared>| {
            let text = "a".into();
            let info = SpawnInfo {
                spawn_id: host.desk.new_id(),
                request: request.handle(),
                user_data: 7,
                kind: SpawnKind::Resolve,
                step: 0,
                http_status: 0,
                port: 80,
                text,
            };
            let waker = TaskWaker::new(Entry::new(0, 1), WakeQueue::new(Box::new(|| {})));
            host.desk.ask(info, request, None, waker)
        };
        let held = lock(&host.register);
        let place = lock(&host.slots.get(0).expect("the first slot").place);
        let (answer, asked) = std::sync::mpsc::channel();
        let (other, asks) = (host.clone(), request.clone());
        std::thread::spawn(move || {
            let callback: SpawnCallback = Box::new(|_, _| Decision::Deny);
            let (first, desk) = (ask(&other, &asks), &other.desk);
            desk.pump(Some(&callback), |_| {});
            let _second = ask(&other, &asks);
            desk.pump(None, |asker| asker.raise_spawn());
            let _ = answer.send((first.decision(), desk.unpulled(), other.events_ready()));
        });
        assert_eq!(asked.recv_timeout(Duration::from_secs(20)), Ok((Some(Decision::Deny), 1, 1)));
        drop((held, place));
        assert_eq!(host.next_event().map(|event| event.flags), Some(event_flags::SPAWN));
    }

    /// Goal: buffers of all requests together grow no further than they may. Method: ask for too much, give back.
    #[test]
    fn growth_is_bounded() {
        let host = HostSide::new(8, Box::new(|| {}));
        let half = BODY_BUFFERS_GROWTH_BYTES_MAX / 2;
        assert!(host.grant_growth(half) && !host.grant_growth(half + 1) && host.grant_growth(half));
        assert!(!host.grant_growth(1));
        host.return_growth(half);
        assert!(host.grant_growth(half) && !host.grant_growth(1));
    }

    /// Goal: a host that never pulls events costs no memory: the list holds a slot once, and an event of a request that
    /// is gone is not handed out for the next one in its slot. Method: many requests in turn, then one more.
    #[test]
    fn a_slot_is_listed_once() {
        let host = HostSide::new(8, Box::new(|| {}));
        for _ in 0..100 {
            let request = add(&host);
            request.raise(event_flags::HEAD);
            request.raise(event_flags::DONE);
            host.remove(request.handle()).expect("a request");
            assert_eq!((host.events_ready(), host.counts().0), (0, 0));
        }
        let last = add(&host);
        assert_eq!(host.next_event(), None);
        last.raise(event_flags::BODY);
        assert_eq!(
            host.next_event().map(|event| (event.request, event.flags)),
            Some((last.handle(), event_flags::BODY))
        );
        let mut listed = Vec::new();
        host.ready.drain(&mut listed);
        assert!(listed.is_empty(), "{listed:?}");
        host.clear();
        assert_eq!((host.events_ready(), host.counts().0), (0, 0));
    }
}
