//! The answer comes in: status line, header lines, body.

use std::sync::Arc;

use super::{Outcome, READS_PER_STEP_MAX};
use crate::client::body_stream::BodyStream;
use crate::client::connection::{lost, Read};
use crate::client::error::{HttpClientError, Phase};
use crate::client::last_answer::Answer;
use crate::client::redirects;
use crate::client::request::{HeadRecord, Milestone};
use crate::client::status::Status;
use crate::client::task::{Core, HttpRequestState, Machine, Move, Plan, Receiving};
use crate::net::Net;
use crate::proto::{
    redirect_location, response_framing, BodyDecoder, BodyKind, CloseReason, Framing, HeadStep, ProtocolError,
    ResponseHead,
};

/// A head that may be no longer is parsed without a search for its end: it mostly comes whole, and parsing is as cheap.
const SMALL_HEAD_BYTES: usize = 4 * 1024;
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
            if let Some(answer) = self.known(core) {
                core.shared.enter(&HttpRequestState::ReceivingHeaders, core.context.net.now());
                core.reach(Milestone::Head);
                self.buffer.drain(..answer.record.block.bytes().len());
                return self.answered(core, answer.record, answer.framing, None);
            }
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

    /// The whole head is there, and is the one with which the URL answered last.
    fn known(&self, core: &Core<N>) -> Option<Answer> {
        if self.buffer.is_empty() {
            return None;
        }
        core.plan.last_answer()?.find(&self.buffer, &core.plan.terms.limits)
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
        match self.buffer.len() > core.plan.terms.limits.head_bytes_max {
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
        match self.reader.parse(&self.buffer[..bytes], &core.plan.terms.limits) {
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

    fn headed(self, core: &mut Core<N>, head: ResponseHead) -> Outcome<N> {
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
        if let Some(last) = core.plan.last_answer() {
            last.keep(&Answer { record: record.clone(), framing, limits: core.plan.terms.limits });
        }
        self.answered(core, record, framing, next)
    }

    fn answered(
        mut self,
        core: &mut Core<N>,
        record: Arc<HeadRecord>,
        framing: Framing,
        next: Option<Plan>,
    ) -> Outcome<N> {
        let early = std::mem::take(&mut self.buffer);
        let body = self.stream(core, framing, early);
        match next {
            Some(plan) => core.redirect(body, record, plan),
            None => core.receive_body(body, record, total(&framing)),
        }
    }

    /// The request that follows, if this response redirects and redirects are wanted.
    fn next_hop(&self, core: &Core<N>, head: &ResponseHead) -> Result<Option<Plan>, HttpClientError> {
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
        let decoder = BodyDecoder::new(framing.body, &core.plan.terms.limits);
        BodyStream { connection: self.connection, early, late: None, flowing: false, decoder, keep_alive, failed: None }
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
