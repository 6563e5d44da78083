//! The answer's body comes in: into the buffer, or past it to a host that reads from the socket.

use std::sync::Arc;
use std::time::Duration;

use super::Outcome;
use crate::client::body_buffer::{NoMemory, Piece};
use crate::client::body_stream::{Arrived, BodyStream};
use crate::client::connection::Connection;
use crate::client::error::{HttpClientError, Phase};
use crate::client::phases::READS_PER_STEP_MAX;
use crate::client::request::{Asks, HeadRecord, Intake};
use crate::client::status::Status;
use crate::client::task::{Core, HttpRequestState, Machine, Move, ReceivingBody, Shut};
use crate::net::Net;
use crate::proto::CloseReason;
use crate::synca::TaskMutex;
use crate::valtron::{DoNext, Wait};

/// Bytes after which a step reads no more: two full reads. Of TLS records it is the number that counts.
const STEP_BYTES_ENOUGH: usize = 128 * 1024;
/// How long bytes are left in the socket for a host that reads from it: within its frame. After that they are taken
/// into the buffer, so that the end, an error, and what else lies behind them is not left for a read that may never
/// come.
const DIRECT_OFFER: Duration = Duration::from_millis(10);
/// A step that brought so much shows a flow: from then on bytes are received into the body's own memory. Few bytes are
/// cheaper to copy than such a piece of memory is to keep.
const FLOW_BYTES_MIN: usize = 32 * 1024;

fn no_memory(_: NoMemory) -> HttpClientError {
    HttpClientError::plain(Status::NoMemory, Phase::Body)
}

impl<N: Net> Core<N> {
    /// The head is final: the host sees it, the body follows.
    pub(in crate::client) fn receive_body(
        &mut self,
        mut stream: BodyStream<N>,
        head: Arc<HeadRecord>,
        total: Option<u64>,
    ) -> Outcome<N> {
        self.enter(HttpRequestState::ReceivingBody, self.plan.terms.timeouts.idle);
        // Most answers come whole: nobody need share where they come from.
        if let Some(len) = stream.whole() {
            if self.shared.set_whole(&head, &stream.early[..len]).map_err(no_memory)? {
                stream.early.drain(..len);
                stream.leave(self);
                return Ok(Move::Finish);
            }
        }
        let stream = Arc::new(TaskMutex::new(Some(stream)));
        self.shared.set_final_head(head, total, self.waker.clone(), stream.clone());
        Ok(Move::To(Machine::ReceivingBody(ReceivingBody { stream, wait: Wait::EXTERNAL })))
    }

    /// The peer made progress, or was not waited for.
    fn restart_idle_clock(&mut self) {
        let now = self.context.net.now();
        self.deadline = self.plan.terms.timeouts.idle.map(|limit| now.after(limit));
    }

    /// A connection that has done its work serves again, if nothing speaks against it.
    pub(in crate::client) fn release(&self, connection: Box<Connection<N>>, keep_alive: Result<(), CloseReason>) {
        if keep_alive.is_err() {
            return;
        }
        if let Some(task) = self.context.pool.put(&self.context.net, connection, self.context.net.now()) {
            (self.context.spawn)(DoNext::boxed(task, |()| {}));
        }
    }
}

impl<N: Net> ReceivingBody<N> {
    pub(in crate::client) fn step(mut self, core: &mut Core<N>) -> Outcome<N> {
        let shared_stream = self.stream.clone();
        let Some(mut place) = shared_stream.try_lock() else {
            // The host reads from the socket on another thread, right now.
            return Ok(Move::Shut(Machine::ReceivingBody(self), Shut::Stream));
        };
        let Some(stream) = place.as_mut() else { return Err(HttpClientError::plain(Status::Internal, Phase::Body)) };
        // The head before the body, and the body in order.
        if !core.shared.told() || !stream.hand_over(&core.shared) {
            return Ok(Move::Shut(Machine::ReceivingBody(self), Shut::Request));
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
        let (mut reads, mut bytes) = (0, 0);
        while !stream.is_done() && reads < READS_PER_STEP_MAX && bytes < STEP_BYTES_ENOUGH {
            let asks = Asks {
                // What came with the head is the task's to decode; only what lies behind it can be read past it.
                readable: stream.early.is_empty() && stream.connection.readable_hint(),
                offer_over: std::mem::take(&mut offer_over),
                flowing: stream.flowing && stream.early.is_empty(),
                now,
            };
            let Some(demand) = core.shared.demand(asks) else {
                if moved {
                    core.restart_idle_clock();
                }
                self.wait = before;
                return Ok(Move::Shut(Machine::ReceivingBody(self), Shut::Request));
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
            let (taken, arrived) = match demand.piece {
                Some(mut piece) => {
                    let arrived = stream.fill(&mut piece, room, &mut reads);
                    let taken = piece.bytes().len();
                    stream.late = core.shared.push_piece(piece).filter(|_| taken > 0);
                    (taken, arrived)
                }
                None => {
                    reads += 1;
                    let (shared, mut late, mut taken) = (&core.shared, None, 0);
                    let arrived = stream.take(&core.context.net, room, &mut |bytes| {
                        taken = bytes.len();
                        if !shared.push_body(bytes).map_err(no_memory)? {
                            late = Some(Piece::of(bytes).map_err(no_memory)?);
                        }
                        Ok(())
                    });
                    stream.late = late;
                    (taken, arrived)
                }
            };
            moved |= taken > 0;
            bytes += taken;
            stream.flowing = bytes >= FLOW_BYTES_MIN;
            if stream.late.is_some() {
                stream.failed = arrived.err();
                break;
            }
            match arrived? {
                // Else more pieces than a step may take, or bytes behind the body.
                Arrived::Bytes if stream.early.is_empty() => {}
                Arrived::Bytes => break,
                Arrived::Again => {
                    if moved || was_parked {
                        core.restart_idle_clock();
                    }
                    return Ok(Move::Stall(Machine::ReceivingBody(self)));
                }
                Arrived::Nothing => {
                    if moved || was_parked {
                        core.restart_idle_clock();
                    }
                    self.wait = stream.connection.wait_read();
                    return Ok(Move::Wait(Machine::ReceivingBody(self)));
                }
            }
        }
        if !stream.is_done() || stream.late.is_some() {
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
