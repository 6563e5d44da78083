//! The operations of a run, and what each call may answer.

use std::mem::size_of;
use std::ptr::null_mut;

use arbitrary::Arbitrary;
use valtron_http::ffi::*;

use super::place::Place;
use super::specs::{ClientSpec, RequestSpec, Size, Stride};
use super::world::{check_detail_text, check_info, expect, seen, Asked, Slot, World};

/// A `u8` first is the client.
#[derive(Arbitrary, Clone, Debug)]
pub enum Operation {
    CreateClient(ClientSpec),
    FreeClient(u8),
    Create(u8, RequestSpec),
    Perform(u8, RequestSpec, u8),
    Free(u8, Pick),
    Cancel(u8, Pick),
    Poll(u8, u8, Size),
    RequestPoll(u8, Pick, u8, Size),
    RequestWait(u8, Pick, u8, Size),
    Wait(u8, Size),
    Wakeup(u8),
    WaitHandle(u8),
    Events(u8, Stride, u8),
    Spawns(u8, Stride, u8),
    Decide(u8, u8, u8),
    RunJob(u8),
    FreeJob(u8),
    Head(u8, Pick, u8, Size),
    Read(u8, Pick, u16),
    Peek(u8, Pick),
    Consume(u8, Pick, u16),
    Error(u8, Pick, Size),
    Trace(u8, Pick, Stride, u8),
    Url(u8, Pick),
    Stats(u8, Size),
    Shutdown(u8),
    Names(i32),
    /// The server accepts, reads, and answers one connection with a part; the client is polled on both sides of it.
    Round(u8, u8, u8),
    Serve,
    Part(u8, u8),
    Raw(u8, Vec<u8>),
    Many(u8, u8),
    End(u8),
    Reset(u8),
}

/// Which handle.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Pick(u8);

/// What it is to the client it is used with.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Live,
    Freed,
    Foreign,
    Zero,
    Odd,
}

const HANDLES: [valtron_status; 3] = [VALTRON_E_HANDLE, VALTRON_E_HANDLE_STALE, VALTRON_E_HANDLE_FOREIGN];

impl Pick {
    fn of(self, world: &World, slot: &Slot) -> (valtron_request, Kind) {
        let nth = |mut handles: Vec<valtron_request>| {
            handles.sort_unstable();
            if handles.is_empty() {
                0
            } else {
                handles[usize::from(self.0) % handles.len()]
            }
        };
        let live = nth(slot.requests.borrow().keys().copied().collect());
        let chosen = match self.0 {
            0..=209 => live,
            210..=229 => nth(slot.freed.borrow().iter().copied().collect()),
            230..=243 => {
                let other = world.slot(self.0).map(|other| other.requests.borrow().keys().copied().collect());
                nth(other.unwrap_or_default())
            }
            244..=246 => 0,
            _ => live ^ 1 << (self.0.wrapping_mul(37) % 64),
        };
        (chosen, kind(world, slot, chosen))
    }
}

fn kind(world: &World, slot: &Slot, handle: valtron_request) -> Kind {
    if handle == 0 {
        return Kind::Zero;
    }
    if slot.requests.borrow().contains_key(&handle) {
        return Kind::Live;
    }
    if slot.freed.borrow().contains(&handle) {
        return Kind::Freed;
    }
    let clients = world.clients.borrow();
    if clients.iter().any(|other| other.requests.borrow().contains_key(&handle)) {
        Kind::Foreign
    } else {
        Kind::Odd
    }
}

impl Kind {
    /// The handle is live: the call may answer `others`. Otherwise it says what is wrong with it.
    fn expect(self, status: valtron_status, others: &[valtron_status], call: &str) {
        match self {
            Kind::Live => expect(status, others, call),
            Kind::Freed => assert_eq!(status, VALTRON_E_HANDLE_STALE, "{call} of a freed request"),
            Kind::Foreign => assert_eq!(status, VALTRON_E_HANDLE_FOREIGN, "{call} of another client's request"),
            Kind::Zero => assert_eq!(status, VALTRON_E_HANDLE, "{call} of request 0"),
            Kind::Odd => assert!(HANDLES.contains(&status), "{call} of a request that never was answered {status}"),
        }
    }
}

impl World {
    pub fn apply(&self, operation: &Operation) {
        use Operation as O;
        match operation {
            O::CreateClient(spec) => return self.create_client(spec),
            O::RunJob(which) => return self.run_job(*which),
            O::FreeJob(which) => return self.free_job(*which),
            O::Names(number) => return names(*number),
            O::Serve => {
                self.server.accept();
                return self.server.read();
            }
            O::Part(which, part) => return self.server.part(*which, *part),
            O::Raw(which, bytes) => return self.server.raw(*which, bytes),
            O::Many(which, count) => return self.server.write(*which, &vec![b'm'; usize::from(*count) * 300]),
            O::End(which) => return self.server.end(*which),
            O::Reset(which) => return self.server.reset(*which),
            _ => {}
        }
        let (O::FreeClient(which)
        | O::Create(which, ..)
        | O::Perform(which, ..)
        | O::Free(which, ..)
        | O::Cancel(which, ..)
        | O::Poll(which, ..)
        | O::RequestPoll(which, ..)
        | O::RequestWait(which, ..)
        | O::Wait(which, ..)
        | O::Wakeup(which)
        | O::WaitHandle(which)
        | O::Events(which, ..)
        | O::Spawns(which, ..)
        | O::Decide(which, ..)
        | O::Head(which, ..)
        | O::Read(which, ..)
        | O::Peek(which, ..)
        | O::Consume(which, ..)
        | O::Error(which, ..)
        | O::Trace(which, ..)
        | O::Url(which, ..)
        | O::Stats(which, ..)
        | O::Shutdown(which)
        | O::Round(which, ..)) = operation
        else {
            unreachable!("all others are done")
        };
        if let Some(slot) = self.slot(*which) {
            self.with_client(slot, operation);
        }
    }

    fn with_client(&self, slot: &Slot, operation: &Operation) {
        use Operation as O;
        let c = slot.pointer.get();
        match operation {
            O::FreeClient(_) => slot.free_client(),
            O::Create(_, spec) => self.create(slot, spec, None),
            O::Perform(_, spec, until) => self.create(slot, spec, Some(*until)),
            O::Free(_, pick) => match pick.of(self, slot) {
                (request, Kind::Live) => slot.free_request(request),
                // SAFETY: as all handles, it is only a number.
                (request, _) => unsafe { valtron_request_free(c, request) },
            },
            O::Cancel(_, pick) => {
                let (request, kind) = pick.of(self, slot);
                // SAFETY: the client is not freed, here and below; all pointers are good.
                kind.expect(unsafe { valtron_request_cancel(c, request) }, &[], "cancel");
            }
            O::Poll(_, budget, size) => self.poll(slot, u64::from(*budget), Some(*size), false),
            O::Wait(_, size) => self.poll(slot, 0, Some(*size), true),
            O::RequestPoll(_, pick, budget, size) => self.look(slot, *pick, *budget, *size, false),
            O::RequestWait(_, pick, until, size) => self.look(slot, *pick, *until, *size, true),
            O::Wakeup(_) => {
                // SAFETY: as above.
                expect(unsafe { valtron_client_wakeup(c) }, &[], "wakeup");
            }
            O::WaitHandle(_) => {
                let mut place = Place::<isize>::plain();
                // SAFETY: as above.
                let status = unsafe { valtron_client_wait_handle(c, place.pointer()) };
                expect(status, &[], "wait_handle");
                assert!(place.value() >= 0);
            }
            O::Events(_, stride, cap) => {
                slot.events(stride.of::<valtron_event>(), usize::from(cap % 8));
            }
            O::Spawns(_, stride, cap) => spawns(slot, *stride, usize::from(cap % 4)),
            O::Decide(_, which, decision) => self.decide(slot, *which, *decision),
            O::Stats(_, size) if size.fits::<valtron_stats>() => slot.check_stats(),
            O::Stats(_, size) => {
                let mut place = Place::<valtron_stats>::sized(size.of::<valtron_stats>());
                // SAFETY: as above.
                let status = unsafe { valtron_client_stats(c, place.pointer()) };
                assert_eq!(status, VALTRON_E_STRUCT_SIZE);
                assert!(place.untouched());
            }
            O::Shutdown(_) => {
                // SAFETY: as above.
                let status = self.driving(|| unsafe { valtron_client_shutdown(c, 0) });
                expect(status, &[VALTRON_E_WAIT_TIMEOUT], "shutdown");
                slot.shut.set(true);
            }
            O::Round(_, which, part) => {
                self.poll(slot, 20, None, false);
                self.server.accept();
                self.server.read();
                self.server.part(*which, *part);
                if !slot.pointer.get().is_null() {
                    self.poll(slot, 20, None, false);
                }
            }
            other => self.with_request(slot, other),
        }
    }

    fn with_request(&self, slot: &Slot, operation: &Operation) {
        match operation {
            Operation::Head(_, pick, which, size) => self.head(slot, *pick, *which, *size),
            Operation::Read(_, pick, cap) => self.read(slot, *pick, usize::from(cap % 2048)),
            Operation::Peek(_, pick) => {
                self.peek(slot, *pick);
            }
            Operation::Consume(_, pick, len) => {
                let there = self.peek(slot, *pick);
                let (request, kind) = pick.of(self, slot);
                // SAFETY: the client is not freed.
                let status = unsafe { valtron_request_consume(slot.pointer.get(), request, usize::from(*len)) };
                kind.expect(status, &[VALTRON_E_NOT_CONSUMED], "consume");
                // What peek shows need not be all that can be consumed, but is as much at least.
                assert!(kind != Kind::Live || status == VALTRON_OK || there < usize::from(*len));
            }
            Operation::Error(_, pick, size) => {
                let (request, kind) = pick.of(self, slot);
                let mut place = Place::<valtron_error_detail>::sized(size.of::<valtron_error_detail>());
                // SAFETY: as above; a size that is refused is not used.
                let status = unsafe { valtron_request_error(slot.pointer.get(), request, place.pointer()) };
                if size.fits::<valtron_error_detail>() {
                    kind.expect(status, &[], "error");
                } else {
                    assert_eq!(status, VALTRON_E_STRUCT_SIZE);
                }
                if let Some(detail) = place.after(status) {
                    check_detail_text(&detail);
                }
            }
            Operation::Trace(_, pick, stride, cap) => self.trace(slot, *pick, *stride, usize::from(cap % 32)),
            Operation::Url(_, pick) => {
                let (request, kind) = pick.of(self, slot);
                let (mut text, mut len) = (Place::<*const std::ffi::c_char>::plain(), Place::<usize>::plain());
                // SAFETY: as above.
                let status = unsafe { valtron_request_url(slot.pointer.get(), request, text.pointer(), len.pointer()) };
                kind.expect(status, &[], "url");
                if let (Some(text), Some(len)) = (text.after(status), len.after(status)) {
                    // SAFETY: the library says so.
                    let bytes = unsafe { seen(text.cast(), len) };
                    assert!(std::str::from_utf8(&bytes).is_ok_and(|url| url.starts_with("http")));
                    slot.keep(request, text.cast(), bytes);
                }
            }
            _ => unreachable!("all others are done"),
        }
    }

    fn poll(&self, slot: &Slot, budget: u64, size: Option<Size>, wait: bool) {
        let fits = size.is_none_or(Size::fits::<valtron_poll_info>);
        let bytes = size.map_or(size_of::<valtron_poll_info>(), Size::of::<valtron_poll_info>);
        let mut place = Place::<valtron_poll_info>::sized(bytes);
        let (client, info) = (slot.pointer.get(), if size.is_some() { place.pointer() } else { null_mut() });
        // SAFETY: good pointers; a size that is refused is not used.
        let status = self.driving(|| unsafe {
            if wait {
                valtron_client_wait(client, 0, info)
            } else {
                valtron_client_poll(client, budget, info)
            }
        });
        if slot.pointer.get().is_null() {
            return;
        }
        if !fits {
            assert_eq!(status, VALTRON_E_STRUCT_SIZE);
            assert!(place.untouched());
            return;
        }
        expect(status, &[], "poll");
        if size.is_some() {
            let info = place.value();
            let requests = slot.requests.borrow();
            let told = requests.values().filter(|record| record.done).count();
            assert!(info.requests_live as usize + told <= requests.len(), "more live requests than there are");
            assert!(info.next_deadline_us >= -1 && matches!(info.work_left, 0 | 1));
            assert!(info.events_ready as usize <= requests.len());
        }
    }

    fn look(&self, slot: &Slot, pick: Pick, number: u8, size: Size, wait: bool) {
        let (request, kind) = pick.of(self, slot);
        let user_data = slot.user_data(request);
        let mut place = Place::<valtron_request_info>::sized(size.of::<valtron_request_info>());
        let (client, info) = (slot.pointer.get(), place.pointer());
        let until = u32::from(number) % 9;
        // SAFETY: as above.
        let status = self.driving(|| unsafe {
            if wait {
                valtron_request_wait(client, request, until, 0, info)
            } else {
                valtron_request_poll(client, request, u64::from(number), info)
            }
        });
        if slot.pointer.get().is_null() {
            return;
        }
        // A callback may have freed it meanwhile.
        let still = kind != Kind::Live || slot.requests.borrow().contains_key(&request);
        if !size.fits::<valtron_request_info>() {
            assert_eq!(status, VALTRON_E_STRUCT_SIZE);
        } else if wait && until == 8 {
            assert_eq!(status, VALTRON_E_ENUM_RANGE);
        } else if still {
            kind.expect(status, if wait { &[VALTRON_E_WAIT_TIMEOUT] } else { &[] }, "request_poll");
        } else {
            expect(status, &[VALTRON_E_WAIT_TIMEOUT, VALTRON_E_HANDLE_STALE], "request_poll");
        }
        let info = place.after(status);
        if let (Some(info), Some(user_data), true) = (info, user_data, still) {
            check_info(&info, user_data);
        }
    }

    fn decide(&self, slot: &Slot, which: u8, decision: u8) {
        let count = slot.asked.borrow().len();
        let asked = (count > 0).then(|| slot.asked.borrow_mut().swap_remove(usize::from(which) % count));
        let id = asked.as_ref().map_or(u64::from(which), |asked| asked.id);
        let decision = [0, 0, 1, 2, 2, 2, 3, 4, -1][usize::from(decision % 9)];
        let mut place = Place::<*mut valtron_job>::plain();
        if let Some(asked) = &asked {
            asked.check_text();
        }
        // SAFETY: as above.
        let status = unsafe { valtron_action_decide(slot.pointer.get(), id, decision, place.pointer()) };
        match decision {
            0..=2 => expect(status, &[VALTRON_E_NO_SPAWN], "decide"),
            3 => assert!(matches!(status, VALTRON_E_DECISION | VALTRON_E_NO_SPAWN), "{status}"),
            _ => assert_eq!(status, VALTRON_E_ENUM_RANGE),
        }
        if decision == VALTRON_DECISION_TAKE && status == VALTRON_OK {
            // One that was made up may have hit a question that nobody pulled: its work may ask a name service.
            let job = place.value();
            let taken = asked.map_or(super::world::Taken { job, local: false }, |asked| asked.taken(job));
            self.jobs.borrow_mut().push(taken);
        } else {
            assert!(place.untouched());
        }
    }

    fn run_job(&self, which: u8) {
        let jobs = self.jobs.borrow();
        let local: Vec<_> = jobs.iter().filter(|taken| taken.local).collect();
        if local.is_empty() {
            return;
        }
        let over = [VALTRON_E_JOB_ALREADY_RUN, VALTRON_E_JOB_EXPIRED, VALTRON_E_JOB_CANCELLED];
        // SAFETY: it is not freed.
        let status = unsafe { valtron_job_run(local[usize::from(which) % local.len()].job) };
        expect(status, &over, "job_run");
    }

    fn free_job(&self, which: u8) {
        let mut jobs = self.jobs.borrow_mut();
        if !jobs.is_empty() {
            let at = usize::from(which) % jobs.len();
            // SAFETY: it is not freed, and forgotten here.
            unsafe { valtron_job_free(jobs.swap_remove(at).job) };
        }
    }

    fn head(&self, slot: &Slot, pick: Pick, which: u8, size: Size) {
        let (request, kind) = pick.of(self, slot);
        let which = match which {
            0..=119 => VALTRON_HEAD_FINAL,
            120..=149 => VALTRON_HEAD_TRAILERS,
            150..=189 => 0x10000 + i32::from(which % 4),
            190..=239 => 0x20000 + i32::from(which % 4),
            240..=247 => 2,
            _ => i32::MIN,
        };
        let known = (0..=1).contains(&which) || which >= 0x10000;
        let mut place = Place::<valtron_head>::sized(size.of::<valtron_head>());
        // SAFETY: as above.
        let status = unsafe { valtron_request_head(slot.pointer.get(), request, which, place.pointer()) };
        match (size.fits::<valtron_head>(), known) {
            (false, _) => assert_eq!(status, VALTRON_E_STRUCT_SIZE),
            (_, false) => assert_eq!(status, VALTRON_E_ENUM_RANGE),
            _ => kind.expect(status, &[VALTRON_E_NO_HEAD], "head"),
        }
        let Some(head) = place.after(status) else { return };
        // SAFETY: the library says so, here and below.
        let (bytes, url) = unsafe { (seen(head.bytes, head.bytes_len), seen(head.url.cast(), head.url_len)) };
        assert!(std::str::from_utf8(&url).is_ok_and(|url| url.starts_with("http")));
        assert!((100..=999).contains(&head.http_status));
        let within = |offset: u32, len: u32| assert!(offset as usize + len as usize <= bytes.len());
        within(head.reason_offset, head.reason_len);
        for index in 0..head.fields_count {
            let at = head.fields.cast::<u8>().wrapping_add(index * head.field_stride).cast::<valtron_field>();
            // SAFETY: as above.
            let field = unsafe { at.read() };
            within(field.name_offset, field.name_len);
            within(field.value_offset, field.value_len);
        }
        slot.keep(request, head.bytes, bytes);
        slot.keep(request, head.url.cast(), url);
    }

    fn read(&self, slot: &Slot, pick: Pick, cap: usize) {
        let (request, kind) = pick.of(self, slot);
        let mut buffer = vec![0xa5; cap + 16];
        let mut count = Place::<usize>::plain();
        // SAFETY: as above.
        let status =
            unsafe { valtron_request_read(slot.pointer.get(), request, buffer.as_mut_ptr(), cap, count.pointer()) };
        // A request that failed answers its own error.
        kind.expect(status, &[own_error(slot, request, status)], "read");
        let read = count.after(status).unwrap_or(0);
        assert!(read <= cap && buffer[read..].iter().all(|byte| *byte == 0xa5));
        if let Some(record) = slot.requests.borrow_mut().get_mut(&request).filter(|_| cap > 0) {
            assert!(!record.read_out || status == VALTRON_OK && read == 0, "something comes after the end");
            record.read_out = status == VALTRON_OK && read == 0;
        }
    }

    /// How many bytes lie there.
    fn peek(&self, slot: &Slot, pick: Pick) -> usize {
        let (request, kind) = pick.of(self, slot);
        let (mut bytes, mut len) = (Place::<*const u8>::plain(), Place::<usize>::plain());
        // SAFETY: as above.
        let status = unsafe { valtron_request_peek(slot.pointer.get(), request, bytes.pointer(), len.pointer()) };
        kind.expect(status, &[own_error(slot, request, status)], "peek");
        match (bytes.after(status), len.after(status)) {
            // SAFETY: the library says so.
            (Some(bytes), Some(len)) => unsafe { seen(bytes, len) }.len(),
            _ => 0,
        }
    }

    fn trace(&self, slot: &Slot, pick: Pick, stride: Stride, cap: usize) {
        let (request, kind) = pick.of(self, slot);
        let bytes = stride.of::<valtron_trace_entry>();
        let (mut entries, mut count) = (Place::<valtron_trace_entry>::array(bytes, cap), Place::<usize>::plain());
        let (client, first) = (slot.pointer.get(), entries.pointer());
        // SAFETY: as above.
        let status = unsafe { valtron_request_trace(client, request, first, bytes, cap, count.pointer()) };
        if stride.fits::<valtron_trace_entry>() {
            kind.expect(status, &[], "trace");
        } else {
            assert_eq!(status, VALTRON_E_STRIDE);
        }
        let Some(count) = count.after(status) else { return assert!(entries.untouched()) };
        let entries = entries.values(count);
        assert!(entries.windows(2).all(|pair| pair[0].at_us <= pair[1].at_us && pair[0].hop <= pair[1].hop));
        let ends = entries.iter().filter(|entry| entry.state >= VALTRON_STATE_DONE).count();
        assert!(ends == 0 || ends == 1 && entries.last().is_some_and(|entry| entry.state >= VALTRON_STATE_DONE));
    }
}

/// What a read of this request may answer beside success: nothing yet, or what the request failed with.
fn own_error(slot: &Slot, request: valtron_request, status: valtron_status) -> valtron_status {
    if status == VALTRON_E_WOULD_BLOCK {
        return status;
    }
    let mut detail = Place::<valtron_error_detail>::sized(size_of::<valtron_error_detail>());
    // SAFETY: as above.
    let answer = unsafe { valtron_request_error(slot.pointer.get(), request, detail.pointer()) };
    detail.after(answer).map_or(VALTRON_OK, |detail| detail.status)
}

fn spawns(slot: &Slot, stride: Stride, cap: usize) {
    let bytes = stride.of::<valtron_spawn>();
    let (mut spawns, mut count) = (Place::<valtron_spawn>::array(bytes, cap), Place::<usize>::plain());
    let (client, first) = (slot.pointer.get(), spawns.pointer());
    // SAFETY: as above.
    let status = unsafe { valtron_client_next_spawns(client, first, bytes, cap, count.pointer()) };
    expect(status, if stride.fits::<valtron_spawn>() { &[] } else { &[VALTRON_E_STRIDE] }, "next_spawns");
    let Some(count) = count.after(status) else { return assert!(spawns.untouched()) };
    assert!(count <= cap);
    for spawn in spawns.values(count) {
        assert_eq!(spawn.struct_size, bytes.min(size_of::<valtron_spawn>()));
        let user_data = slot.user_data(spawn.request).expect("a question of no request");
        assert_eq!(spawn.user_data as usize, user_data);
        let mut asked = slot.asked.borrow_mut();
        // The next step of a handshake has the id of the one before, which nobody can answer any more.
        asked.retain(|one| one.id != spawn.spawn_id);
        asked.push(Asked::new(&spawn));
    }
}

fn names(number: i32) {
    // SAFETY: static texts with a NUL.
    unsafe {
        let texts = [valtron_status_name(number), valtron_status_message(number), valtron_state_name(number)];
        assert!(texts.iter().all(|text| !std::ffi::CStr::from_ptr(*text).is_empty()));
    }
}
