//! The request goes out: its head and a small body in one write, a large body from where it lies.

use super::receiving::Filled;
use super::Outcome;
use crate::client::connection::ConnectionError;
use crate::client::error::Phase;
use crate::client::plan::Head;
use crate::client::request::Milestone;
use crate::client::task::{Core, HttpRequestState, Machine, Move, Receiving, SendingRequest, Upload};
use crate::net::{Io, Net};

/// A body up to this size travels with the head, in one system call.
const JOINED_BODY_BYTES_MAX: usize = 16 * 1024;
/// Body bytes handed over per step, lest one upload hold up the rest.
const STEP_BYTES_MAX: usize = 256 * 1024;

impl<N: Net> SendingRequest<N> {
    pub(in crate::client) fn step(mut self, core: &mut Core<N>) -> Outcome<N> {
        match self.write(core) {
            Ok(Progress::All) => {
                core.reach(Milestone::Sent);
                Ok(self.receive(core))
            }
            Ok(Progress::Some) => Ok(Move::Yield(Machine::SendingRequest(self))),
            Ok(Progress::None) if self.connection.readable_hint() => self.look_for_answer(core),
            Ok(Progress::None) => Ok(Move::Wait(Machine::SendingRequest(self))),
            Err(error) => self.broken(core, error),
        }
    }

    fn write(&mut self, core: &mut Core<N>) -> Result<Progress, ConnectionError> {
        let Some(body) = core.plan.body.clone() else { return self.write_with(core, &[]) };
        let mut outcome = Ok(Progress::None);
        // Taken back: the request is freed, and its task is about to learn so.
        body.lend(&mut |bytes| outcome = self.write_with(core, bytes));
        outcome
    }

    fn write_with(&mut self, core: &mut Core<N>, body: &[u8]) -> Result<Progress, ConnectionError> {
        let upload = &mut self.upload;
        if upload.head_sent == 0 && upload.body_sent == 0 && !body.is_empty() && body.len() <= JOINED_BODY_BYTES_MAX {
            upload.head.append(body);
            upload.body_sent = body.len();
        }
        let mut moved = 0;
        while moved < STEP_BYTES_MAX {
            let (part, of_head) = match (&upload.head[upload.head_sent..], &body[upload.body_sent..]) {
                ([], []) => {
                    core.shared.note_sent(body.len() as u64);
                    return Ok(match self.connection.flush()? {
                        true => Progress::All,
                        false => waits(core, moved),
                    });
                }
                ([], rest) => (&rest[..rest.len().min(STEP_BYTES_MAX)], false),
                (head, _) => (head, true),
            };
            let count = match self.connection.write(part)? {
                Io::WouldBlock => return Ok(waits(core, moved)),
                Io::Done(count) => count,
            };
            moved += count;
            if of_head {
                upload.head_sent += count;
            } else {
                upload.body_sent += count;
                core.shared.note_sent(upload.body_sent as u64);
            }
        }
        waits(core, moved);
        Ok(Progress::Some)
    }

    /// Something came before the request is out. An answer is read, and the rest waits; over TLS it may be a message
    /// of TLS itself, and the rest goes on.
    fn look_for_answer(self, core: &mut Core<N>) -> Outcome<N> {
        let mut state = self.into_receiving(true);
        match state.fill(core)? {
            Filled::Nothing => Ok(Move::Wait(Machine::SendingRequest(state.into_sending()))),
            Filled::Again => Ok(Move::Stall(Machine::SendingRequest(state.into_sending()))),
            Filled::Bytes => {
                core.enter(HttpRequestState::ReceivingIntro, core.plan.terms.timeouts.first_byte);
                Ok(Move::To(Machine::ReceivingIntro(state)))
            }
            Filled::End(error) => {
                core.enter(HttpRequestState::ReceivingIntro, core.plan.terms.timeouts.first_byte);
                state.ended(core, error)
            }
        }
    }

    fn receive(self, core: &mut Core<N>) -> Move<N> {
        core.enter(HttpRequestState::ReceivingIntro, core.plan.terms.timeouts.first_byte);
        Move::To(Machine::ReceivingIntro(self.into_receiving(false)))
    }

    fn into_receiving(self, unsent: bool) -> Receiving<N> {
        let unsent = unsent.then(|| Box::new(self.upload));
        Receiving {
            connection: self.connection,
            buffer: Vec::new(),
            searched: 0,
            looked: 0,
            reader: self.reader,
            unsent,
        }
    }

    /// The peer is gone. Nothing reached it, or it is safe to send again: another connection. Else it may have left
    /// an answer.
    fn broken(self, core: &mut Core<N>, error: ConnectionError) -> Outcome<N> {
        let untouched = self.upload.head_sent == 0;
        if self.connection.reused() && !core.retried && (untouched || core.plan.idempotent) {
            core.retried = true;
            return core.connect(true);
        }
        if self.upload.head_sent == self.upload.head.len() && matches!(error, ConnectionError::Net(_)) {
            core.enter(HttpRequestState::ReceivingIntro, core.plan.terms.timeouts.first_byte);
            return Ok(Move::To(Machine::ReceivingIntro(self.into_receiving(true))));
        }
        Err(error.into_error(&core.plan.target.origin().host, Phase::Send))
    }
}

impl<N: Net> Receiving<N> {
    /// The rest of the request goes out after an interim response.
    pub(super) fn send_on(self, core: &mut Core<N>) -> Move<N> {
        core.enter(HttpRequestState::SendingRequest, core.plan.terms.timeouts.send);
        Move::To(Machine::SendingRequest(self.into_sending()))
    }

    fn into_sending(self) -> SendingRequest<N> {
        // All of it went: then there is nothing to be sent, and the state finds that out.
        let upload =
            self.unsent.map_or(Upload { head: Head::Own(Vec::new()), head_sent: 0, body_sent: 0 }, |unsent| *unsent);
        SendingRequest { connection: self.connection, upload, reader: self.reader }
    }
}

/// Progress restarts the phase's clock.
fn waits<N: Net>(core: &mut Core<N>, moved: usize) -> Progress {
    if moved > 0 {
        let now = core.context.net.now();
        core.deadline = core.plan.terms.timeouts.send.map(|limit| now.after(limit));
    }
    Progress::None
}

enum Progress {
    /// All of the request is with the OS.
    All,
    /// Some of it, and more could go at once.
    Some,
    /// The OS takes no more now.
    None,
}
