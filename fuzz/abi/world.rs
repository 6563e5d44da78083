//! What the host of one run knows: its clients, requests, questions, jobs and lent bodies, and what must hold of them.
//!
//! Callbacks change it in the middle of a driving call, so no borrow of a cell is held across one.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{c_void, CStr};
use std::ptr::null_mut;

use valtron_http::ffi::*;

use super::place::Place;
use super::server::Server;
use super::specs::{ClientSpec, Lent, RequestSpec};

pub const CLIENTS_MAX: usize = 3;
const REQUESTS_MAX: usize = 12;

pub struct World {
    pub server: &'static Server,
    pub clients: RefCell<Vec<Box<Slot>>>,
    pub jobs: RefCell<Vec<Taken>>,
    lent: RefCell<Vec<Box<Lent>>>,
    /// What callbacks answer, in turn.
    pub answers: RefCell<VecDeque<u8>>,
    last_user_data: Cell<usize>,
    /// Driving calls on the stack.
    depth: Cell<u32>,
}

/// A client, live or freed.
pub struct Slot {
    world: *const World,
    pub pointer: Cell<*mut valtron_client>,
    pub requests: RefCell<HashMap<valtron_request, Record>>,
    pub freed: RefCell<HashSet<valtron_request>>,
    pub asked: RefCell<Vec<Asked>>,
    pub created: Cell<u64>,
    pub shut: Cell<bool>,
}

/// A request that is not freed.
pub struct Record {
    /// By `perform`: has no events.
    pub silent: bool,
    user_data: usize,
    pub done: bool,
    /// It was read to its end.
    pub read_out: bool,
    /// Memory of the library that must not change until the request is freed.
    kept: Vec<(*const u8, Vec<u8>)>,
}

/// A question that waits for an answer.
pub struct Asked {
    pub id: u64,
    request: valtron_request,
    text: (*const u8, Vec<u8>),
    local: bool,
}

pub struct Taken {
    pub job: *mut valtron_job,
    /// Its work asks no name service.
    pub local: bool,
}

/// Name and message are known, and the call may answer so.
pub fn expect(status: valtron_status, allowed: &[valtron_status], call: &str) {
    // SAFETY: static texts with a NUL.
    let (name, message) =
        unsafe { (CStr::from_ptr(valtron_status_name(status)), CStr::from_ptr(valtron_status_message(status))) };
    assert!(name != c"VALTRON_E_UNKNOWN" && !message.is_empty(), "{call} answered {status}, which has no name");
    assert!(status == VALTRON_OK || allowed.contains(&status), "{call} answered {name:?}");
}

/// # Safety
/// The library says that so many bytes lie there.
pub unsafe fn seen(start: *const u8, len: usize) -> Vec<u8> {
    // SAFETY: as promised; an empty range may lie anywhere.
    if len == 0 {
        Vec::new()
    } else {
        unsafe { std::slice::from_raw_parts(start, len) }.to_vec()
    }
}

unsafe extern "C" fn answer(
    user: *mut c_void,
    spawn: *const valtron_spawn,
    job: *mut *mut valtron_job,
) -> valtron_decision {
    // SAFETY: the slot and its world outlive the client; the rest is as the header says.
    let (slot, spawn, job) = unsafe { (&*user.cast::<Slot>(), *spawn, *job) };
    assert!(!job.is_null() && spawn.struct_size == size_of::<valtron_spawn>());
    // SAFETY: as above.
    let world = unsafe { &*slot.world };
    let next = world.answers.borrow_mut().pop_front().unwrap_or(0);
    let asked = Asked::new(&spawn);
    match next % 16 {
        1 | 2 => VALTRON_DECISION_DENY,
        3 | 4 => {
            world.jobs.borrow_mut().push(Taken { job, local: asked.local });
            VALTRON_DECISION_TAKE
        }
        5 | 6 => {
            if asked.local {
                // SAFETY: taken, so it is ours already.
                let status = unsafe { valtron_job_run(job) };
                expect(status, &[], "job_run in a callback");
            }
            // SAFETY: as above.
            unsafe { valtron_job_free(job) };
            VALTRON_DECISION_TAKE
        }
        7 => {
            slot.asked.borrow_mut().push(Asked { text: (std::ptr::null(), Vec::new()), ..asked });
            VALTRON_DECISION_LATER
        }
        8 => {
            slot.free_request(spawn.request);
            VALTRON_DECISION_RUN
        }
        9 if next >= 128 => {
            slot.free_client();
            VALTRON_DECISION_RUN
        }
        10 => {
            // SAFETY: the client is not freed.
            let status = unsafe { valtron_client_poll(slot.pointer.get(), 50, null_mut()) };
            // A callback of that poll may have freed the client.
            let freed = slot.pointer.get().is_null();
            expect(status, if freed { &[VALTRON_E_SHUTDOWN] } else { &[VALTRON_E_BUSY] }, "poll in a callback");
            VALTRON_DECISION_RUN
        }
        11 => {
            slot.take_events(1);
            VALTRON_DECISION_RUN
        }
        12 => 77,
        _ => VALTRON_DECISION_RUN,
    }
}

impl Asked {
    /// The text is good now.
    pub fn new(spawn: &valtron_spawn) -> Self {
        let start = spawn.text.cast::<u8>();
        // SAFETY: the library says so.
        let text = unsafe { seen(start, spawn.text_len) };
        assert!(std::str::from_utf8(&text).is_ok());
        let kind = u32::try_from(spawn.kind).expect("a kind");
        assert!([VALTRON_SPAWN_REDIRECT, VALTRON_SPAWN_TLS_UPGRADE, VALTRON_SPAWN_RESOLVE].contains(&kind));
        let local = kind != VALTRON_SPAWN_RESOLVE || text == b"localhost";
        Self { id: spawn.spawn_id, request: spawn.request, text: (start, text), local }
    }

    /// What `job` a decision gave.
    pub fn taken(&self, job: *mut valtron_job) -> Taken {
        Taken { job, local: self.local }
    }

    pub fn check_text(&self) {
        let (start, text) = &self.text;
        // SAFETY: it is not decided, and its request and client not freed.
        assert_eq!(unsafe { seen(*start, text.len()) }, *text, "the text of a question changed");
    }
}

impl World {
    pub fn new(server: &'static Server, answers: &[u8]) -> Self {
        Self {
            server,
            clients: RefCell::default(),
            jobs: RefCell::default(),
            lent: RefCell::default(),
            answers: RefCell::new(answers.iter().copied().collect()),
            last_user_data: Cell::new(0),
            depth: Cell::new(0),
        }
    }

    /// A live client by number. It stays where it is until the run ends.
    pub fn slot(&self, which: u8) -> Option<&Slot> {
        let clients = self.clients.borrow();
        let live: Vec<_> = clients.iter().filter(|slot| !slot.pointer.get().is_null()).collect();
        let chosen: *const Slot = match live.len() {
            0 => return None,
            count => &raw const **live[usize::from(which) % count],
        };
        // SAFETY: it is boxed, and boxes are only added until the world goes.
        Some(unsafe { &*chosen })
    }

    pub fn create_client(&self, spec: &ClientSpec) {
        if self.clients.borrow().iter().filter(|slot| !slot.pointer.get().is_null()).count() == CLIENTS_MAX {
            return;
        }
        let (mut config, good) = spec.config();
        let slot = Box::new(Slot {
            world: self,
            pointer: Cell::new(null_mut()),
            requests: RefCell::default(),
            freed: RefCell::default(),
            asked: RefCell::default(),
            created: Cell::new(0),
            shut: Cell::new(false),
        });
        if spec.callback {
            config.spawn_callback = Some(answer);
            config.spawn_user = (&raw const *slot).cast_mut().cast();
        }
        let mut place = Place::<*mut valtron_client>::plain();
        // SAFETY: good pointers.
        let status = unsafe { valtron_client_create(&config, place.pointer()) };
        let refusals = [
            VALTRON_E_STRUCT_SIZE,
            VALTRON_E_LIMIT_RANGE,
            VALTRON_E_ENUM_RANGE,
            VALTRON_E_NULL_BUFFER,
            VALTRON_E_HEADER_VALUE,
            VALTRON_E_CA_PEM,
        ];
        expect(status, if good { &[] } else { &refusals }, "client_create");
        // A value that is wrong may be found first, or another.
        assert_eq!(good, status == VALTRON_OK);
        if let Some(pointer) = place.after(status) {
            slot.pointer.set(pointer);
            self.clients.borrow_mut().push(slot);
        }
    }

    /// A request of `slot`; by `perform` if `until` says so.
    pub fn create(&self, slot: &Slot, spec: &RequestSpec, perform: Option<u8>) {
        if slot.requests.borrow().len() >= REQUESTS_MAX {
            return;
        }
        let parts = spec.parts(self);
        if parts.wild && perform.is_some() {
            return;
        }
        let user_data = self.last_user_data.get() + 1;
        self.last_user_data.set(user_data);
        let mut lent = None;
        let mut config = spec.config(&parts, &mut lent, user_data);
        let mut detail = Place::<valtron_error_detail>::sized(spec.detail_size.of::<valtron_error_detail>());
        if spec.detail {
            config.error = detail.pointer();
        }
        let borrowed = config.body_release.is_some() && !config.body.is_null();
        let lent = lent.map(|lent| {
            let pointer = &raw const *lent;
            self.lent.borrow_mut().push(lent);
            // SAFETY: it is boxed, and boxes are only added until the world goes.
            unsafe { &*pointer }
        });
        let mut handle = Place::<valtron_request>::plain();
        let mut info = Place::<valtron_request_info>::sized(size_of::<valtron_request_info>());
        let status = match perform {
            None => {
                // SAFETY: good pointers.
                unsafe { valtron_request_create(slot.pointer.get(), &config, handle.pointer()) }
            }
            Some(until) => self.driving(|| {
                // SAFETY: good pointers.
                unsafe {
                    let (client, until) = (slot.pointer.get(), u32::from(until % 8));
                    valtron_client_perform(client, &config, until, 0, handle.pointer(), info.pointer())
                }
            }),
        };
        let made = status == VALTRON_OK || perform.is_some() && status == VALTRON_E_WAIT_TIMEOUT;
        let detail_bad = spec.detail && !spec.detail_size.fits::<valtron_error_detail>();
        if slot.pointer.get().is_null() {
            // A callback freed the client, so there was a request.
            if let (true, Some(lent)) = (borrowed, lent) {
                lent.owed.set(true);
            }
            return;
        }
        if perform.is_some() && status == VALTRON_E_HANDLE_STALE {
            // A callback freed the request.
            assert!(handle.untouched() && info.untouched() && detail.untouched());
            slot.created.set(slot.created.get() + 1);
            if let (true, Some(lent)) = (borrowed, lent) {
                lent.owed.set(true);
            }
            return;
        }
        if !made {
            assert!(handle.untouched() && info.untouched(), "an output was written by a call that answered {status}");
            let right = parts.broken || parts.wild || detail_bad || slot.shut.get();
            assert!(is_refusal(status));
            let full = slot.requests.borrow().len() >= 2;
            expect(status, &[if right { status } else { VALTRON_E_TOO_MANY_REQUESTS }], "request_create");
            assert!(right || full, "a good request was refused: {status}");
            self.check_detail(&detail, spec.detail && !detail_bad && status != VALTRON_E_STRUCT_SIZE, status);
            return;
        }
        assert!(!parts.broken && !detail_bad && !slot.shut.get(), "a bad configuration was taken");
        assert!(detail.untouched());
        let handle = handle.value();
        assert!(handle != 0 && !slot.requests.borrow().contains_key(&handle));
        slot.created.set(slot.created.get() + 1);
        if let (true, Some(lent)) = (borrowed, lent) {
            lent.owed.set(true);
        }
        if perform.is_some() && !slot.freed.borrow().contains(&handle) {
            check_info(&info.value(), user_data);
        }
        if !slot.freed.borrow().contains(&handle) {
            let record =
                Record { silent: perform.is_some(), user_data, done: false, read_out: false, kept: Vec::new() };
            slot.requests.borrow_mut().insert(handle, record);
        }
        if parts.wild {
            slot.free_request(handle);
        }
    }

    fn check_detail(&self, detail: &Place<valtron_error_detail>, wanted: bool, status: valtron_status) {
        if !wanted {
            assert!(detail.untouched());
            return;
        }
        let detail = detail.value();
        assert_eq!(detail.status, status);
        check_detail_text(&detail);
    }

    /// A call in which callbacks may run.
    pub fn driving<T>(&self, call: impl FnOnce() -> T) -> T {
        self.depth.set(self.depth.get() + 1);
        let answer = call();
        self.depth.set(self.depth.get() - 1);
        answer
    }

    /// All clients are gone.
    pub fn check_lent(&self) {
        for lent in self.lent.borrow().iter() {
            assert_eq!(lent.released.get(), u32::from(lent.owed.get()), "a borrowed body's release");
        }
    }
}

/// What the header says of `valtron_request_create`.
fn is_refusal(status: valtron_status) -> bool {
    let others = [
        VALTRON_E_STRUCT_SIZE,
        VALTRON_E_ENUM_RANGE,
        VALTRON_E_LIMIT_RANGE,
        VALTRON_E_NULL_BUFFER,
        VALTRON_E_STRIDE,
        VALTRON_E_UNSUPPORTED,
        VALTRON_E_TOO_MANY_REQUESTS,
        VALTRON_E_SHUTDOWN,
    ];
    (VALTRON_E_HEADER_TOO_MANY..=VALTRON_E_URL_EMPTY).contains(&status) || others.contains(&status)
}

pub fn check_detail_text(detail: &valtron_error_detail) {
    // SAFETY: it promises a NUL.
    let text = unsafe { CStr::from_ptr(detail.text.as_ptr()) };
    assert_eq!(text.to_bytes().len(), detail.text_len);
    assert!(text.to_str().is_ok());
    assert_eq!(text.is_empty(), detail.status == VALTRON_OK);
    expect(detail.status, &[detail.status], "an error detail");
    assert!(!matches!(detail.status, VALTRON_E_INTERNAL | VALTRON_E_POISONED), "{text:?}");
}

pub fn check_info(info: &valtron_request_info, user_data: usize) {
    assert_eq!(info.user_data as usize, user_data);
    assert_eq!(info.terminal != 0, info.state >= VALTRON_STATE_DONE);
    assert_eq!(info.state == VALTRON_STATE_ERROR, info.status != VALTRON_OK);
    assert!((VALTRON_STATE_INIT..=VALTRON_STATE_ERROR).contains(&info.state));
    assert!(!matches!(info.status, VALTRON_E_INTERNAL | VALTRON_E_POISONED));
    assert!(info.body_total < 0 || info.body_received <= info.body_total as u64);
    assert!(info.body_buffered <= info.body_received);
    expect(info.status, &[info.status], "an info");
}

impl Slot {
    pub fn user_data(&self, request: valtron_request) -> Option<usize> {
        self.requests.borrow().get(&request).map(|record| record.user_data)
    }

    /// The library promised that these bytes stay until the request is freed.
    pub fn keep(&self, request: valtron_request, start: *const u8, bytes: Vec<u8>) {
        if let Some(record) = self.requests.borrow_mut().get_mut(&request) {
            record.kept.push((start, bytes));
        }
    }

    /// `request` is or was one of this client's.
    pub fn free_request(&self, request: valtron_request) {
        if let Some(record) = self.requests.borrow_mut().remove(&request) {
            for (start, bytes) in record.kept {
                // SAFETY: the library promised so.
                assert_eq!(unsafe { seen(start, bytes.len()) }, bytes, "a head or URL changed");
            }
        }
        self.freed.borrow_mut().insert(request);
        self.asked.borrow_mut().retain(|asked| asked.request != request);
        // SAFETY: the client is not freed.
        unsafe { valtron_request_free(self.pointer.get(), request) };
    }

    pub fn free_client(&self) {
        let pointer = self.pointer.replace(null_mut());
        self.asked.borrow_mut().clear();
        // SAFETY: it is not freed yet, and not used any more.
        unsafe { valtron_client_free(pointer) };
    }

    /// Fetches up to `cap` events and checks each; how many there were.
    pub fn take_events(&self, cap: usize) -> usize {
        self.events(size_of::<valtron_event>(), cap)
    }

    pub fn events(&self, stride: usize, cap: usize) -> usize {
        let mut events = Place::<valtron_event>::array(stride, cap);
        let mut count = Place::<usize>::plain();
        let (client, first) = (self.pointer.get(), events.pointer());
        // SAFETY: good pointers, or a stride that is refused.
        let status = unsafe { valtron_client_next_events(client, first, stride, cap, count.pointer()) };
        expect(status, &[VALTRON_E_STRIDE], "next_events");
        let Some(count) = count.after(status) else {
            assert!(events.untouched() && !(size_of::<valtron_event>()..=64 * 1024).contains(&stride));
            return 0;
        };
        assert!(count <= cap);
        for event in events.values(count) {
            let mut requests = self.requests.borrow_mut();
            let record = requests.get_mut(&event.request).expect("an event of no request");
            assert!(!record.silent && !record.done, "an event too many: {:#x}", event.flags);
            assert_eq!(event.user_data as usize, record.user_data);
            assert_eq!(event.struct_size, stride.min(size_of::<valtron_event>()));
            assert!(event.flags != 0 && event.flags & !0x7f == 0);
            record.done = event.flags & VALTRON_EVENT_DONE != 0;
            let ended = event.state >= VALTRON_STATE_DONE;
            assert!(!record.done || ended && (event.state == VALTRON_STATE_DONE) == (event.status == VALTRON_OK));
            expect(event.status, &[event.status], "an event");
            assert!(!matches!(event.status, VALTRON_E_INTERNAL | VALTRON_E_POISONED));
        }
        count
    }

    /// Drives until all requests are over, which something made sure of; each has told its end once.
    pub fn check_ended(&self, world: &World) {
        for _ in 0..TURNS_MAX {
            let mut info = Place::<valtron_poll_info>::sized(size_of::<valtron_poll_info>());
            let client = self.pointer.get();
            // SAFETY: good pointers.
            let status = world.driving(|| unsafe { valtron_client_poll(client, 0, info.pointer()) });
            if self.pointer.get().is_null() {
                return;
            }
            expect(status, &[], "poll");
            while self.take_events(4) == 4 {}
            self.drive_performed(world);
            if self.pointer.get().is_null() {
                return;
            }
            if info.value().requests_live == 0 {
                let requests = self.requests.borrow();
                assert!(requests.values().all(|record| record.done || record.silent), "an end was not told");
                return;
            }
        }
        panic!("the requests do not end");
    }

    /// They are in nobody else's care.
    fn drive_performed(&self, world: &World) {
        let requests = self.requests.borrow();
        let silent: Vec<_> = requests.iter().filter(|one| one.1.silent).map(|one| *one.0).collect();
        drop(requests);
        for handle in silent {
            let mut info = Place::<valtron_request_info>::sized(size_of::<valtron_request_info>());
            let client = self.pointer.get();
            // SAFETY: good pointers.
            let status = world.driving(|| unsafe { valtron_request_poll(client, handle, 1, info.pointer()) });
            if self.pointer.get().is_null() {
                return;
            }
            expect(status, &[VALTRON_E_HANDLE_STALE], "request_poll");
        }
    }

    pub fn check_stats(&self) {
        let mut stats = Place::<valtron_stats>::sized(size_of::<valtron_stats>());
        // SAFETY: good pointers.
        let status = unsafe { valtron_client_stats(self.pointer.get(), stats.pointer()) };
        expect(status, &[], "stats");
        let stats = stats.value();
        assert_eq!((stats.empty_waits, stats.events_lost), (0, 0));
        assert_eq!(stats.requests_created, self.created.get());
        assert!(stats.requests_live <= self.requests.borrow().len() as u64);
    }
}

const TURNS_MAX: usize = 100;
