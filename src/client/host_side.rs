//! What faces the host: handles, slots, the list of requests that have events. Every call of the host and every task
//! meets here, under one short lock that is never held while anything else happens.

use std::collections::VecDeque;
use std::sync::atomic::{fence, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};

use super::questions::Desk;
use super::request::RequestShared;
use super::status::Status;
use crate::synca::sync::lock;
use crate::valtron::poller::Poller;

/// Bits of a handle's parts: 12 of client tag, 20 of slot, 32 of generation.
const SLOT_BITS: u32 = 20;
const GENERATION_BITS: u32 = 32;
const TAG_MAX: u16 = (1 << 12) - 1;

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

struct Slot {
    generation: u32,
    request: Option<Arc<RequestShared>>,
    flags: u32,
    listed: bool,
    /// Its request has not ended.
    running: bool,
}

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Requests that exist, ended or not.
    live: usize,
    /// Slots with flags, oldest first: each at most once, so it never outgrows the slots.
    ready: VecDeque<u32>,
    closed: bool,
}

/// Counts of the table: changed under its lock, read without it. Every poll asks for them, and must not wait for a
/// thread that reads or creates meanwhile.
#[derive(Default)]
struct Counts {
    /// Requests that have not ended.
    running: AtomicUsize,
    /// Slots with flags.
    with_flags: AtomicUsize,
    created: AtomicU64,
}

/// Calls that wait while another thread drives: each sleeps at a poller of its own.
#[derive(Default)]
pub struct Passengers {
    count: AtomicUsize,
    pollers: Mutex<Vec<Arc<dyn Poller>>>,
}

impl Passengers {
    /// From now on `poller` is notified of everything, until [`leave`](Self::leave).
    pub fn board(&self, poller: Arc<dyn Poller>) {
        lock(&self.pollers).push(poller);
        self.count.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// The end of [`board`](Self::board).
    pub fn leave(&self, poller: &Arc<dyn Poller>) {
        let mut pollers = lock(&self.pollers);
        if let Some(index) = pollers.iter().position(|other| Arc::ptr_eq(other, poller)) {
            pollers.swap_remove(index);
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Something happened to a request, or a driver let go.
    pub fn wake(&self) {
        // A passenger boards and then tries to drive; a driver lets go and then looks here: one sees the other.
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) > 0 {
            lock(&self.pollers).iter().for_each(|poller| poller.notify());
        }
    }
}

/// See the module.
pub struct HostSide {
    tag: u16,
    requests_max: usize,
    table: Mutex<Table>,
    counts: Counts,
    /// Questions to the host.
    pub desk: Arc<Desk>,
    /// Who waits while another thread drives.
    pub passengers: Passengers,
    /// Ends a host's wait, where others than the host drive.
    signal: Box<dyn Fn() + Send + Sync>,
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
        Arc::new_cyclic(|host: &Weak<Self>| {
            let host = host.clone();
            let live = move |request| host.upgrade().is_some_and(|host| host.is_live(request));
            Self {
                tag,
                requests_max,
                table: Mutex::new(Table::default()),
                counts: Counts::default(),
                desk: Arc::new(Desk::new(live)),
                passengers: Passengers::default(),
                signal,
                hitches: AtomicU64::new(0),
                jobs_expired: AtomicU64::new(0),
                connections_opened: AtomicU64::new(0),
                connections_reused: AtomicU64::new(0),
            }
        })
    }

    /// Reserves a slot and its handle, and puts in what `make` builds from the handle.
    pub fn insert(&self, make: impl FnOnce(u64) -> Arc<RequestShared>) -> Result<Arc<RequestShared>, Status> {
        let mut table = lock(&self.table);
        if table.closed {
            return Err(Status::Shutdown);
        }
        if table.live >= self.requests_max {
            return Err(Status::TooManyRequests);
        }
        let index = match table.free.pop() {
            Some(index) => index,
            None if table.slots.len() < 1 << SLOT_BITS => {
                table.slots.push(Slot { generation: 0, request: None, flags: 0, listed: false, running: false });
                (table.slots.len() - 1) as u32
            }
            None => return Err(Status::TooManyRequests),
        };
        table.live += 1;
        self.counts.running.fetch_add(1, Ordering::SeqCst);
        self.counts.created.fetch_add(1, Ordering::SeqCst);
        let slot = &mut table.slots[index as usize];
        slot.running = true;
        slot.generation += 1;
        let handle = u64::from(self.tag) << (SLOT_BITS + GENERATION_BITS)
            | u64::from(index) << GENERATION_BITS
            | u64::from(slot.generation);
        let request = make(handle);
        slot.request = Some(request.clone());
        Ok(request)
    }

    /// The request exists, has not ended and is not about to.
    pub fn is_live(&self, handle: u64) -> bool {
        self.find(handle).is_ok_and(|request| !request.is_terminal() && request.stop().is_none())
    }

    /// The request under a handle.
    pub fn find(&self, handle: u64) -> Result<Arc<RequestShared>, Status> {
        let table = lock(&self.table);
        let index = self.index_of(&table, handle)?;
        table.slots[index].request.clone().ok_or(Status::HandleStale)
    }

    /// Takes the request out; its handle is stale from now on, and no event of it comes any more.
    pub fn remove(&self, handle: u64) -> Result<Arc<RequestShared>, Status> {
        let mut table = lock(&self.table);
        let index = self.index_of(&table, handle)?;
        let slot = &mut table.slots[index];
        let request = slot.request.take().ok_or(Status::HandleStale)?;
        let had_flags = std::mem::take(&mut slot.flags) != 0;
        let ran = std::mem::take(&mut slot.running);
        // A generation that is spent retires the slot. The slot stays listed if it was: an entry without flags is
        // passed over.
        if slot.generation < u32::MAX {
            table.free.push(index as u32);
        }
        table.live -= 1;
        self.counts.running.fetch_sub(usize::from(ran), Ordering::SeqCst);
        self.counts.with_flags.fetch_sub(usize::from(had_flags), Ordering::SeqCst);
        Ok(request)
    }

    /// Adds flags to a request's event. Requests of `perform` have none.
    pub fn raise(&self, handle: u64, flags: u32) {
        {
            let mut table = lock(&self.table);
            let Ok(index) = self.index_of(&table, handle) else { return };
            if flags & event_flags::DONE != 0 && std::mem::take(&mut table.slots[index].running) {
                self.counts.running.fetch_sub(1, Ordering::SeqCst);
            }
            let slot = &mut table.slots[index];
            if slot.request.as_ref().is_none_or(|request| request.is_silent()) {
                drop(table);
                self.nudge();
                return;
            }
            let first = slot.flags == 0 && flags != 0;
            slot.flags |= flags;
            let listed = std::mem::replace(&mut slot.listed, true);
            self.counts.with_flags.fetch_add(usize::from(first), Ordering::SeqCst);
            if !listed {
                table.ready.push_back(index as u32);
            }
        }
        self.nudge();
    }

    /// Tells a waiting host to look again.
    pub fn nudge(&self) {
        (self.signal)();
        self.passengers.wake();
    }

    /// The oldest event.
    pub fn next_event(&self) -> Option<Event> {
        if self.events_ready() == 0 {
            return None;
        }
        let (request, flags) = {
            let mut table = lock(&self.table);
            loop {
                let index = table.ready.pop_front()?;
                let slot = &mut table.slots[index as usize];
                slot.listed = false;
                let flags = std::mem::take(&mut slot.flags);
                if flags == 0 {
                    continue;
                }
                let request = slot.request.clone();
                self.counts.with_flags.fetch_sub(1, Ordering::SeqCst);
                if let Some(request) = request {
                    break (request, flags);
                }
            }
        };
        Some(request.event(flags))
    }

    /// Requests with an event.
    pub fn events_ready(&self) -> usize {
        self.counts.with_flags.load(Ordering::SeqCst)
    }

    /// Requests that have not ended, and all that ever were.
    pub fn counts(&self) -> (usize, u64) {
        (self.counts.running.load(Ordering::SeqCst), self.counts.created.load(Ordering::SeqCst))
    }

    /// All live requests.
    pub fn requests(&self) -> Vec<Arc<RequestShared>> {
        lock(&self.table).slots.iter().filter_map(|slot| slot.request.clone()).collect()
    }

    /// No request can be made from now on.
    pub fn close(&self) {
        lock(&self.table).closed = true;
    }

    /// Forgets all requests; handles become stale.
    pub fn clear(&self) {
        let dropped: Vec<_> = {
            let mut table = lock(&self.table);
            table.closed = true;
            table.live = 0;
            self.counts.running.store(0, Ordering::SeqCst);
            self.counts.with_flags.store(0, Ordering::SeqCst);
            table.ready.clear();
            for slot in &mut table.slots {
                slot.running = false;
                slot.flags = 0;
                slot.listed = false;
            }
            table.slots.iter_mut().filter_map(|slot| slot.request.take()).collect()
        };
        for request in dropped {
            request.free();
        }
    }

    fn index_of(&self, table: &Table, handle: u64) -> Result<usize, Status> {
        let tag = (handle >> (SLOT_BITS + GENERATION_BITS)) as u16;
        if handle == 0 || tag == 0 {
            return Err(Status::Handle);
        }
        if tag != self.tag {
            return Err(Status::HandleForeign);
        }
        let index = (handle >> GENERATION_BITS) as usize & ((1 << SLOT_BITS) - 1);
        let generation = handle as u32;
        match table.slots.get(index) {
            Some(slot) if slot.generation == generation && slot.request.is_some() => Ok(index),
            Some(slot) if generation != 0 && generation <= slot.generation => Err(Status::HandleStale),
            _ => Err(Status::Handle),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Goal: what a poll asks each time does not wait for a thread that has the table. Method: have it, and ask on
    /// another thread.
    #[test]
    fn counts_need_no_lock() {
        let host = HostSide::new(8, Box::new(|| {}));
        let held = lock(&host.table);
        let (answer, asked) = std::sync::mpsc::channel();
        let other = host.clone();
        std::thread::spawn(move || {
            let _ = answer.send((other.counts(), other.events_ready(), other.next_event()));
        });
        assert_eq!(asked.recv_timeout(Duration::from_secs(20)), Ok(((0, 0), 0, None)));
        drop(held);
    }
}
