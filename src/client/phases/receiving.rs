//! The answer comes in: status line, header lines, body.

use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use super::Outcome;
use crate::client::connection::{lost, Connection, Read};
use crate::client::error::{HttpClientError, Phase};
use crate::client::redirects;
use crate::client::request::{Direct, DirectBody, HeadRecord, Intake, Milestone, RequestShared};
use crate::client::status::Status;
use crate::client::task::{BodyStream, Core, HttpRequestState, Machine, Move, Receiving, ReceivingBody};
use crate::net::Net;
use crate::proto::{
    redirect_location, response_framing, BodyDecoder, BodyKind, CloseReason, Framing, HeadStep, ProtocolError,
    ResponseHead,
};
use crate::valtron::{DoNext, Wait};

/// Reads per step, lest one download hold up the rest. A read is one receive buffer, or one TLS record.
const READS_PER_STEP_MAX: usize = 4;
/// Bytes after which a step reads no more: one full read, or four TLS records.
const STEP_BYTES_ENOUGH: usize = 64 * 1024;
/// A head that may be no longer is parsed without a search for its end: it mostly comes whole, and parsing is as cheap.
const SMALL_HEAD_BYTES: usize = 4 * 1024;
/// How long bytes are left in the socket for a host that reads from it: within its frame. After that they are taken
/// into the buffer, so that the end, an error, and what else lies behind them is not left for a read that may never
/// come.
const DIRECT_OFFER: Duration = Duration::from_millis(10);
/// Pieces of one read that a step takes out of their framing: a chunk of one byte costs as much as some hundred bytes.
const PIECES_PER_READ_MAX: usize = 512;

/// What a look for a head found.
enum Look {
    /// All that came so far is in the buffer, and it is no whole head.
    Short,
    Head(usize, ResponseHead),
}

impl<N: Net> Receiving<N> {
    /// Waits for a whole status line.
    pub(in crate::client) fn step_intro(mut self, core: &mut Core<N>) -> Outcome<N> {
        for _ in 0..READS_PER_STEP_MAX {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                // The first line alone, so that its faults are found in this state however the bytes came.
                let line = self.searched + end + 1;
                self.look(core, line)?;
                self.searched = 0;
                core.shared.enter(&HttpRequestState::ReceivingHeaders, core.context.net.now());
                return Ok(Move::To(Machine::ReceivingHeaders(self)));
            }
            self.searched = self.buffer.len();
            self.look_at_too_much(core)?;
            match self.fill(core)? {
                Filled::Bytes => {}
                Filled::Again => return Ok(Move::Stall(Machine::ReceivingIntro(self))),
                Filled::Nothing => {
                    // A peer that does not speak HTTP is told before its first line ends.
                    self.look_once(core)?;
                    return Ok(Move::Wait(Machine::ReceivingIntro(self)));
                }
                Filled::End(error) => {
                    // What came before it may tell more.
                    self.look_once(core)?;
                    return self.ended(core, error);
                }
            }
        }
        Ok(Move::Stall(Machine::ReceivingIntro(self)))
    }

    /// Waits for the blank line.
    pub(in crate::client) fn step_headers(mut self, core: &mut Core<N>) -> Outcome<N> {
        for _ in 0..READS_PER_STEP_MAX {
            if self.buffer.len() <= SMALL_HEAD_BYTES || self.finds_blank_line() {
                if let Look::Head(used, head) = self.look(core, self.buffer.len())? {
                    self.buffer.drain(..used);
                    self.searched = 0;
                    self.looked = 0;
                    return self.headed(core, head);
                }
                self.looked = self.buffer.len();
            }
            self.look_at_too_much(core)?;
            match self.fill(core)? {
                Filled::Bytes => {}
                Filled::Again => return Ok(Move::Stall(Machine::ReceivingHeaders(self))),
                Filled::Nothing => {
                    // A line that is wrong is told before the last one is there.
                    self.look_once(core)?;
                    return Ok(Move::Wait(Machine::ReceivingHeaders(self)));
                }
                Filled::End(error) => {
                    // What came before it may tell more.
                    self.look_once(core)?;
                    return self.ended(core, error);
                }
            }
        }
        Ok(Move::Stall(Machine::ReceivingHeaders(self)))
    }

    /// An empty line lies in what came since the last search; each byte is searched about once, however many reads
    /// bring the head.
    fn finds_blank_line(&mut self) -> bool {
        // The line end before it may be known already.
        let from = self.searched.saturating_sub(2);
        self.searched = self.buffer.len();
        let fresh = &self.buffer[from..];
        memchr::memchr_iter(b'\n', fresh).any(|end| matches!(fresh[end + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
    }

    /// Over a limit, no blank line is waited for.
    fn look_at_too_much(&mut self, core: &Core<N>) -> Result<(), HttpClientError> {
        match self.buffer.len() > core.plan.limits.head_bytes_max {
            true => self.look_once(core),
            false => Ok(()),
        }
    }

    /// Looks at a head that is not whole, for what is wrong already; once for the same bytes.
    fn look_once(&mut self, core: &Core<N>) -> Result<(), HttpClientError> {
        if self.looked == self.buffer.len() {
            return Ok(());
        }
        self.looked = self.buffer.len();
        self.look(core, self.buffer.len()).map(|_| ())
    }

    fn look(&mut self, core: &Core<N>, bytes: usize) -> Result<Look, HttpClientError> {
        match self.reader.parse(&self.buffer[..bytes], &core.plan.limits) {
            Ok(HeadStep::NeedMore) => Ok(Look::Short),
            Ok(HeadStep::Complete { used, head }) => Ok(Look::Head(used, head)),
            Err(error) => Err(HttpClientError::protocol(error, Phase::FirstByte)),
        }
    }

    /// Reads once.
    pub(super) fn fill(&mut self, core: &mut Core<N>) -> Result<Filled, HttpClientError> {
        let (connection, buffer) = (&mut self.connection, &mut self.buffer);
        let was_empty = buffer.is_empty();
        let outcome = core.context.net.with_scratch(|scratch| {
            let outcome = connection.read(scratch);
            if let Ok(Read::Bytes(count)) = outcome {
                if buffer.capacity() == 0 {
                    *buffer = core.context.buffers.take();
                }
                if buffer.try_reserve(count).is_err() {
                    return Err(HttpClientError::plain(Status::NoMemory, Phase::FirstByte));
                }
                buffer.extend_from_slice(&scratch[..count]);
            }
            Ok(outcome)
        })?;
        match outcome {
            Ok(Read::Bytes(_)) => {
                if was_empty {
                    core.reach(Milestone::FirstByte);
                }
                Ok(Filled::Bytes)
            }
            Ok(Read::WouldBlock) => Ok(Filled::Nothing),
            Ok(Read::Again) => Ok(Filled::Again),
            Ok(Read::End | Read::TruncatedEnd) => {
                let error = match self.reader.finish(&self.buffer) {
                    Err(error) => HttpClientError::protocol(error, Phase::FirstByte),
                    Ok(()) => lost(Phase::FirstByte, "the peer closed the connection without an answer"),
                };
                Ok(Filled::End(error))
            }
            Err(error) => Ok(Filled::End(error.into_error(&core.plan.target.origin().host, Phase::FirstByte))),
        }
    }

    /// The stream ended inside a head. If not a byte came over a reused connection, it was dead before: ask again, if
    /// that is safe.
    pub(super) fn ended(mut self, core: &mut Core<N>, error: HttpClientError) -> Outcome<N> {
        // What came with the end was not looked at while it was short: it may be no HTTP at all.
        self.look_once(core)?;
        let silent = self.buffer.is_empty() && self.reader.interims() == 0;
        let untouched = self.unsent.as_ref().is_some_and(|upload| upload.head_sent == 0);
        if silent && self.connection.reused() && !core.retried && (untouched || core.plan.idempotent) {
            core.retried = true;
            drop(self);
            return core.connect(true);
        }
        Err(error)
    }

    fn headed(mut self, core: &mut Core<N>, head: ResponseHead) -> Outcome<N> {
        if head.is_upgrade() {
            return Err(HttpClientError::protocol(ProtocolError::UpgradeUnasked, Phase::FirstByte));
        }
        let method = core.plan.method.clone();
        let framing =
            response_framing(&method, &head).map_err(|error| HttpClientError::protocol(error, Phase::FirstByte))?;
        if head.is_interim() {
            core.shared.add_interim(head, core.plan.target.display());
            if self.buffer.is_empty() && self.unsent.is_some() {
                return Ok(self.send_on(core));
            }
            core.shared.enter(&HttpRequestState::ReceivingIntro, core.context.net.now());
            // The phase's clock runs on: endless interim responses do not buy time.
            return Ok(Move::To(Machine::ReceivingIntro(self)));
        }
        core.reach(Milestone::Head);
        let next = self.next_hop(core, &head)?;
        let record = Arc::new(HeadRecord::new(head, core.plan.target.display()));
        let early = std::mem::take(&mut self.buffer);
        let body = self.stream(core, framing, early);
        match next {
            Some(plan) => core.redirect(body, record, plan),
            None => core.receive_body(body, record, total(&framing)),
        }
    }

    /// The request that follows, if this response redirects and redirects are wanted.
    fn next_hop(
        &self,
        core: &Core<N>,
        head: &ResponseHead,
    ) -> Result<Option<crate::client::task::Plan>, HttpClientError> {
        let Some(left) = core.plan.redirects_left else { return Ok(None) };
        if !redirects::redirects(head.status) {
            return Ok(None);
        }
        let location = redirect_location(head).map_err(|error| HttpClientError::protocol(error, Phase::Redirect))?;
        let Some(location) = location else { return Ok(None) };
        if left == 0 {
            return Err(HttpClientError::plain(Status::TooManyRedirects, Phase::Redirect));
        }
        redirects::follow(&core.plan, head.status, location).map(Some)
    }

    fn stream(self, core: &Core<N>, framing: Framing, early: Vec<u8>) -> BodyStream<N> {
        let keep_alive = match framing.keep_alive {
            Ok(()) if self.unsent.is_some() => Err(CloseReason::RequestUnsent),
            Ok(()) if core.plan.asks_close() => Err(CloseReason::RequestClose),
            other => other,
        };
        let decoder = BodyDecoder::new(framing.body, &core.plan.limits);
        BodyStream { connection: self.connection, early, decoded: Vec::new(), decoder, keep_alive, failed: None }
    }
}

fn total(framing: &Framing) -> Option<u64> {
    match framing.body {
        BodyKind::None => Some(0),
        BodyKind::Length(total) => Some(total),
        BodyKind::Chunked | BodyKind::UntilClose => None,
    }
}

pub(super) enum Filled {
    Bytes,
    /// Nothing yet, but no reason to wait.
    Again,
    Nothing,
    End(HttpClientError),
}

impl<N: Net> Core<N> {
    /// The head is final: the host sees it, the body follows.
    pub(in crate::client) fn receive_body(
        &mut self,
        stream: BodyStream<N>,
        head: Arc<HeadRecord>,
        total: Option<u64>,
    ) -> Outcome<N> {
        self.enter(HttpRequestState::ReceivingBody, self.plan.timeouts.idle);
        let stream = Arc::new(Mutex::new(Some(stream)));
        self.shared.set_final_head(head, total, self.waker.clone(), stream.clone());
        Ok(Move::To(Machine::ReceivingBody(ReceivingBody { stream, wait: Wait::EXTERNAL })))
    }

    /// The peer made progress, or was not waited for.
    fn restart_idle_clock(&mut self) {
        let now = self.context.net.now();
        self.deadline = self.plan.timeouts.idle.map(|limit| now.after(limit));
    }

    /// A connection that has done its work serves again, if nothing speaks against it.
    pub(in crate::client) fn release(&self, connection: Connection<N>, keep_alive: Result<(), CloseReason>) {
        if keep_alive.is_err() {
            return;
        }
        if let Some(task) = self.context.pool.put(&self.context.net, connection, self.context.net.now()) {
            (self.context.spawn)(DoNext::boxed(task, |()| {}));
        }
    }
}

/// What one piece of a body came to.
pub(in crate::client) enum Piece {
    /// So many bytes of body were taken.
    Taken(usize),
    /// Nothing yet, but no reason to wait.
    Again,
    /// Nothing came.
    Nothing,
}

impl<N: Net> ReceivingBody<N> {
    pub(in crate::client) fn step(mut self, core: &mut Core<N>) -> Outcome<N> {
        let shared_stream = self.stream.clone();
        let mut place = match shared_stream.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // The host reads from the socket on another thread, right now and not for long.
            Err(TryLockError::WouldBlock) => return Ok(Move::Yield(Machine::ReceivingBody(self))),
        };
        let Some(stream) = place.as_mut() else { return Err(HttpClientError::plain(Status::Internal, Phase::Body)) };
        // The head before the body, and the body in order. The host has the lock, and not for long.
        if !core.shared.told() || !stream.hand_over(&core.shared)? {
            return Ok(Move::Yield(Machine::ReceivingBody(self)));
        }
        if let Some(error) = stream.failed.take() {
            return Err(error);
        }
        let before = std::mem::replace(&mut self.wait, stream.connection.wait_read());
        let was_parked = before == Wait::EXTERNAL;
        let now = core.context.net.now();
        // The only wait here with a deadline of its own is an offer.
        let mut offer_over = before.deadline.is_some_and(|until| now >= until);
        // What the host reads past this task is progress, too.
        let mut moved = false;
        let (mut pieces, mut bytes) = (0, 0);
        while !stream.is_done() && pieces < READS_PER_STEP_MAX && bytes < STEP_BYTES_ENOUGH {
            pieces += 1;
            // What came with the head is the task's to decode; only what lies behind it can be read past it.
            let direct = stream.early.is_empty() && stream.connection.readable_hint();
            let Some(demand) = core.shared.demand(direct, std::mem::take(&mut offer_over)) else {
                if moved {
                    core.restart_idle_clock();
                }
                self.wait = before;
                return Ok(Move::Yield(Machine::ReceivingBody(self)));
            };
            moved |= demand.progress;
            let room = match demand.intake {
                Intake::Room(room) => room,
                Intake::Full => {
                    self.wait = Wait::EXTERNAL;
                    // The host's slowness is not the peer's.
                    core.deadline = None;
                    return Ok(Move::Wait(Machine::ReceivingBody(self)));
                }
                Intake::Direct => {
                    if moved || was_parked {
                        core.restart_idle_clock();
                    }
                    self.wait = Wait::EXTERNAL.no_later_than(Some(now.after(DIRECT_OFFER)));
                    return Ok(Move::Wait(Machine::ReceivingBody(self)));
                }
            };
            let (shared, host) = (&core.shared, &core.plan.target.origin().host);
            let mut late = Vec::new();
            let piece = stream.piece(&core.context.net, host, room, &mut |bytes| {
                let no_memory = || HttpClientError::plain(Status::NoMemory, Phase::Body);
                if !shared.push_body(bytes).map_err(|_| no_memory())? {
                    late.try_reserve_exact(bytes.len()).map_err(|_| no_memory())?;
                    late.extend_from_slice(bytes);
                }
                Ok(())
            });
            stream.decoded = late;
            let piece = match piece {
                Err(error) if !stream.decoded.is_empty() => {
                    stream.failed = Some(error);
                    break;
                }
                piece => piece?,
            };
            match piece {
                Piece::Taken(count) => {
                    moved = true;
                    bytes += count;
                    if !stream.early.is_empty() || !stream.decoded.is_empty() {
                        // More pieces than a step may take, or bytes behind the body; or the host has the lock.
                        break;
                    }
                }
                Piece::Again => {
                    if moved || was_parked {
                        core.restart_idle_clock();
                    }
                    return Ok(Move::Stall(Machine::ReceivingBody(self)));
                }
                Piece::Nothing => {
                    if moved || was_parked {
                        core.restart_idle_clock();
                    }
                    self.wait = stream.connection.wait_read();
                    return Ok(Move::Wait(Machine::ReceivingBody(self)));
                }
            }
        }
        if !stream.is_done() || !stream.decoded.is_empty() {
            core.restart_idle_clock();
            return Ok(Move::Yield(Machine::ReceivingBody(self)));
        }
        if let Some(trailers) = stream.decoder.take_trailers() {
            core.shared.set_trailers(trailers);
        }
        if let Some(stream) = place.take() {
            stream.leave(core);
        }
        Ok(Move::Finish)
    }
}

/// The host reads straight from the socket.
impl<N: Net> DirectBody for Option<BodyStream<N>> {
    fn read_direct(&mut self, into: &mut [u8]) -> Direct {
        let Some(stream) = self else { return Direct::Nothing };
        if stream.needs_task() {
            return Direct::Nothing;
        }
        let limit = match stream.decoder.remaining() {
            Some(rest) if rest < into.len() as u64 => rest as usize + 1,
            _ => into.len(),
        };
        let count = match stream.connection.read(&mut into[..limit]) {
            Ok(Read::Bytes(count)) => count,
            Ok(Read::Again) => return Direct::Bytes(0),
            Ok(Read::WouldBlock) => return Direct::Nothing,
            // Ends and errors are the task's: it reads again, and finds the same.
            Ok(Read::End) => {
                stream.failed =
                    stream.decoder.finish().err().map(|error| HttpClientError::protocol(error, Phase::Body));
                return Direct::Nothing;
            }
            Ok(Read::TruncatedEnd) => {
                stream.failed = Some(truncated(&stream.decoder));
                return Direct::Nothing;
            }
            Err(error) => {
                let host = stream.connection.origin().host.clone();
                stream.failed = Some(error.into_error(&host, Phase::Body));
                return Direct::Nothing;
            }
        };
        let unframed = unframe(&mut stream.decoder, &mut into[..count]);
        match unframed.fault {
            Some(error) => stream.failed = Some(HttpClientError::protocol(error, Phase::Body)),
            None => stream.early.extend_from_slice(&into[unframed.used..count]),
        }
        Direct::Bytes(unframed.taken)
    }

    fn needs_task(&self) -> bool {
        self.as_ref().is_some_and(BodyStream::needs_task)
    }
}

impl<N: Net> BodyStream<N> {
    fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Only the task can go on.
    fn needs_task(&self) -> bool {
        self.failed.is_some() || self.is_done() || !self.early.is_empty() || !self.decoded.is_empty()
    }

    /// Gives the host what it was late for. False: it still has the lock.
    fn hand_over(&mut self, shared: &RequestShared) -> Result<bool, HttpClientError> {
        if !self.decoded.is_empty() {
            let pushed = shared.push_body(&self.decoded);
            if !pushed.map_err(|_| HttpClientError::plain(Status::NoMemory, Phase::Body))? {
                return Ok(false);
            }
            self.decoded = Vec::new();
        }
        Ok(true)
    }

    /// Gives the connection back after the body's end.
    pub(in crate::client) fn leave(self, core: &Core<N>) {
        let keep_alive = match self.keep_alive {
            Ok(()) if !self.early.is_empty() => Err(CloseReason::ExcessBytes),
            other => other,
        };
        core.context.buffers.give(self.early);
        core.release(self.connection, keep_alive);
    }

    /// Decodes what came with the head, else reads once; body bytes go to `sink`.
    pub(in crate::client) fn piece(
        &mut self,
        net: &N,
        host: &str,
        room: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), HttpClientError>,
    ) -> Result<Piece, HttpClientError> {
        if !self.early.is_empty() {
            let part = self.early.len().min(room);
            let unframed = unframe(&mut self.decoder, &mut self.early[..part]);
            sink(&self.early[..unframed.taken])?;
            self.early.drain(..unframed.used);
            return unframed.outcome();
        }
        let (connection, decoder, excess) = (&mut self.connection, &mut self.decoder, &mut self.early);
        // One byte more than the rest of the body: so a full read tells of excess, and an exact one tells the poller
        // that the socket is empty, without another call.
        let limit = match decoder.remaining() {
            Some(rest) if rest < room as u64 => rest as usize + 1,
            _ => room,
        };
        net.with_scratch(|scratch| {
            let limit = limit.min(scratch.len());
            match connection.read(&mut scratch[..limit]) {
                Ok(Read::Bytes(count)) => {
                    let unframed = unframe(decoder, &mut scratch[..count]);
                    sink(&scratch[..unframed.taken])?;
                    excess.extend_from_slice(&scratch[unframed.used..count]);
                    unframed.outcome()
                }
                Ok(Read::Again) => Ok(Piece::Again),
                Ok(Read::WouldBlock) => Ok(Piece::Nothing),
                Ok(Read::End) => {
                    decoder.finish().map_err(|error| HttpClientError::protocol(error, Phase::Body))?;
                    Ok(Piece::Taken(0))
                }
                Ok(Read::TruncatedEnd) => Err(truncated(decoder)),
                Err(error) => Err(error.into_error(host, Phase::Body)),
            }
        })
    }
}

/// An end without close_notify: by accident or by attack, bytes may be missing (RFC 9112 section 9.8).
fn truncated(decoder: &BodyDecoder) -> HttpClientError {
    let text = "the TLS connection was closed without close_notify: the body may be cut off";
    let mut error = HttpClientError::new(Status::BodyTruncated, Phase::Body, text);
    error.received = Some(decoder.received());
    error.expected = decoder.remaining().map(|rest| decoder.received().saturating_add(rest));
    error
}

/// What [`unframe`] did.
struct Unframed {
    /// So much of the input was used.
    used: usize,
    /// So much of it was body, and lies at its front now.
    taken: usize,
    fault: Option<ProtocolError>,
}

impl Unframed {
    fn outcome(self) -> Result<Piece, HttpClientError> {
        match self.fault {
            Some(error) => Err(HttpClientError::protocol(error, Phase::Body)),
            None => Ok(Piece::Taken(self.taken)),
        }
    }
}

/// Feeds the decoder and moves the body bytes to the front, over the framing between them: there is never more body
/// than input. Stops after so many pieces, whatever is left.
fn unframe(decoder: &mut BodyDecoder, input: &mut [u8]) -> Unframed {
    let mut done = Unframed { used: 0, taken: 0, fault: None };
    for _ in 0..PIECES_PER_READ_MAX {
        if done.used == input.len() || decoder.is_done() {
            break;
        }
        let step = match decoder.decode(&input[done.used..]) {
            Ok(step) => step,
            Err(error) => {
                done.fault = Some(error);
                break;
            }
        };
        let data = done.used + step.data.start..done.used + step.data.end;
        let length = data.len();
        if data.start != done.taken {
            input.copy_within(data, done.taken);
        }
        done.taken += length;
        done.used += step.used;
        if step.used == 0 {
            break;
        }
    }
    done
}
