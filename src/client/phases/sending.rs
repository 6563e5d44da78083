//! The request goes out: its head and a small body in one write, a large body from where it lies.

use super::Outcome;
use crate::client::connection::ConnectionError;
use crate::client::error::Phase;
use crate::client::request::Milestone;
use crate::client::task::{Core, HttpRequestState, Machine, Move, Receiving, SendingRequest};
use crate::net::{Io, Net};
use crate::proto::HeadReader;

/// A body up to this size travels with the head, in one system call.
const JOINED_BODY_BYTES_MAX: usize = 16 * 1024;
/// Body bytes handed over per step, lest one upload hold up the rest.
const STEP_BYTES_MAX: usize = 256 * 1024;

impl<N: Net> SendingRequest<N> {
    pub(in crate::client) fn step(mut self, core: &mut Core<N>) -> Outcome<N> {
        match self.write(core) {
            Ok(Progress::All) => {
                core.reach(Milestone::Sent);
                self.receive(core, false)
            }
            Ok(Progress::Some) => Ok(Move::Yield(Machine::SendingRequest(self))),
            // An answer that comes before the request is out: an error, most likely. Read it; the rest is not sent.
            Ok(Progress::None) if self.connection.readable_hint() && self.head_sent == self.head.len() => {
                self.receive(core, true)
            }
            Ok(Progress::None) => Ok(Move::Wait(Machine::SendingRequest(self))),
            Err(error) => self.broken(core, error),
        }
    }

    fn write(&mut self, core: &mut Core<N>) -> Result<Progress, ConnectionError> {
        let body = core.plan.body.clone();
        let body: &[u8] = body.as_ref().map_or(&[], |body| (**body).as_ref());
        if self.head_sent == 0 && self.body_sent == 0 && !body.is_empty() && body.len() <= JOINED_BODY_BYTES_MAX {
            self.head.extend_from_slice(body);
            self.body_sent = body.len();
        }
        let mut moved = 0;
        while moved < STEP_BYTES_MAX {
            let (part, of_head) = match (&self.head[self.head_sent..], &body[self.body_sent..]) {
                ([], []) => {
                    core.shared.note_sent(body.len() as u64);
                    return Ok(match self.connection.flush()? {
                        true => Progress::All,
                        false => self.waits(core, moved),
                    });
                }
                ([], rest) => (&rest[..rest.len().min(STEP_BYTES_MAX)], false),
                (head, _) => (head, true),
            };
            let count = match self.connection.write(part)? {
                Io::WouldBlock => return Ok(self.waits(core, moved)),
                Io::Done(count) => count,
            };
            moved += count;
            if of_head {
                self.head_sent += count;
            } else {
                self.body_sent += count;
                core.shared.note_sent(self.body_sent as u64);
            }
        }
        self.waits(core, moved);
        Ok(Progress::Some)
    }

    /// Progress restarts the phase's clock.
    fn waits(&self, core: &mut Core<N>, moved: usize) -> Progress {
        if moved > 0 {
            let now = core.context.net.now();
            core.deadline = core.plan.timeouts.send.map(|limit| now.after(limit));
        }
        Progress::None
    }

    fn receive(self, core: &mut Core<N>, unsent: bool) -> Outcome<N> {
        core.enter(HttpRequestState::ReceivingIntro, core.plan.timeouts.first_byte);
        let state = Receiving { connection: self.connection, buffer: Vec::new(), reader: HeadReader::new(), unsent };
        Ok(Move::To(Machine::ReceivingIntro(state)))
    }

    /// The peer is gone. Nothing reached it, or it is safe to send again: another connection. Else it may have left
    /// an answer.
    fn broken(self, core: &mut Core<N>, error: ConnectionError) -> Outcome<N> {
        let untouched = self.head_sent == 0;
        if self.connection.reused() && !core.retried && (untouched || core.plan.idempotent) {
            core.retried = true;
            return core.connect(true);
        }
        if self.head_sent == self.head.len() && matches!(error, ConnectionError::Net(_)) {
            return self.receive(core, true);
        }
        Err(error.into_error(&core.plan.target.origin().host, Phase::Send))
    }
}

enum Progress {
    /// All of the request is with the OS.
    All,
    /// Some of it, and more could go at once.
    Some,
    /// The OS takes no more now.
    None,
}
