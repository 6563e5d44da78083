//! Where a body comes from: a connection, and the framing around the body bytes.

use super::body_buffer::Piece;
use super::connection::{Connection, Read};
use super::error::{HttpClientError, Phase};
use super::phases::READS_PER_STEP_MAX;
use super::request::{Direct, DirectBody, RequestShared};
use super::status::Status;
use super::task::Core;
use crate::net::Net;
use crate::proto::{BodyDecoder, CloseReason, ProtocolError};

/// Pieces of one read that a step takes out of their framing: a chunk of one byte costs as much as some hundred bytes.
const PIECES_PER_READ_MAX: usize = 512;

/// See the module.
pub(super) struct BodyStream<N: Net> {
    pub connection: Box<Connection<N>>,
    /// Bytes that came with the head.
    pub early: Vec<u8>,
    /// Body bytes that found the host at its buffer.
    pub late: Option<Piece>,
    /// The last step brought many bytes.
    pub flowing: bool,
    pub decoder: BodyDecoder,
    pub keep_alive: Result<(), CloseReason>,
    /// What a read of the host's ran into; the task ends with it.
    pub failed: Option<HttpClientError>,
}

/// What a look for more of a body came to.
pub(super) enum Arrived {
    /// Bytes, or framing that holds none.
    Bytes,
    /// Nothing yet, but no reason to wait.
    Again,
    /// Nothing.
    Nothing,
}

/// The host reads straight from the socket.
impl<N: Net> DirectBody for Option<BodyStream<N>> {
    fn read_direct(&mut self, into: &mut [u8]) -> Direct {
        let Some(stream) = self else { return Direct::Nothing };
        if stream.needs_task() {
            return Direct::Nothing;
        }
        let (taken, arrived) = stream.receive(into);
        match arrived {
            Ok(Arrived::Bytes | Arrived::Again) => Direct::Bytes(taken),
            Ok(Arrived::Nothing) => Direct::Nothing,
            Err(error) => {
                stream.failed = Some(error);
                match taken {
                    0 => Direct::Nothing,
                    _ => Direct::Bytes(taken),
                }
            }
        }
    }

    fn needs_task(&self) -> bool {
        self.as_ref().is_some_and(BodyStream::needs_task)
    }
}

impl<N: Net> BodyStream<N> {
    /// The body's end was seen.
    pub fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Only the task can go on.
    fn needs_task(&self) -> bool {
        self.failed.is_some() || self.is_done() || !self.early.is_empty() || self.late.is_some()
    }

    /// Gives the host what it was late for. False: it still has the lock.
    pub fn hand_over(&mut self, shared: &RequestShared) -> bool {
        if let Some(late) = self.late.take() {
            self.late = shared.push_piece(late);
        }
        self.late.is_none()
    }

    /// How long the body is, if all of it came with the head.
    pub fn whole(&self) -> Option<usize> {
        let rest = usize::try_from(self.decoder.remaining()?).ok()?;
        (rest <= self.early.len()).then_some(rest)
    }

    /// Gives the connection back after the body's end.
    pub fn leave(self, core: &Core<N>) {
        let keep_alive = match self.keep_alive {
            Ok(()) if !self.early.is_empty() => Err(CloseReason::ExcessBytes),
            other => other,
        };
        core.context.buffers.give(self.early);
        core.release(self.connection, keep_alive);
    }

    /// Decodes what came with the head, else reads once; body bytes go to `sink`.
    pub fn take(
        &mut self,
        net: &N,
        room: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), HttpClientError>,
    ) -> Result<Arrived, HttpClientError> {
        if !self.early.is_empty() {
            let part = self.early.len().min(room);
            let unframed = unframe(&mut self.decoder, &mut self.early[..part]);
            sink(&self.early[..unframed.taken])?;
            self.early.drain(..unframed.used);
            return unframed.outcome();
        }
        net.with_scratch(|scratch| {
            let limit = room.min(scratch.len());
            let (taken, arrived) = self.receive(&mut scratch[..limit]);
            sink(&scratch[..taken])?;
            arrived
        })
    }

    /// Receives straight into the body's memory: until that or `room` is used up, nothing comes, or the step has read
    /// often enough.
    pub fn fill(&mut self, piece: &mut Piece, room: usize, reads: &mut usize) -> Result<Arrived, HttpClientError> {
        while *reads < READS_PER_STEP_MAX {
            *reads += 1;
            let place = piece.room();
            let limit = place.len().min(room.saturating_sub(piece.bytes().len()));
            if limit == 0 || self.needs_task() {
                break;
            }
            let (taken, arrived) = self.receive(&mut piece.room()[..limit]);
            piece.add(taken);
            match arrived? {
                Arrived::Bytes => {}
                other => return Ok(other),
            }
        }
        Ok(Arrived::Bytes)
    }

    /// Reads once. So many body bytes lie at the front of `into` then, which may be scribbled on behind them.
    fn receive(&mut self, into: &mut [u8]) -> (usize, Result<Arrived, HttpClientError>) {
        // One byte more than the rest of the body: so a full read tells of excess, and an exact one tells the poller
        // that the socket is empty, without another call.
        let limit = match self.decoder.remaining() {
            Some(rest) if rest < into.len() as u64 => rest as usize + 1,
            _ => into.len(),
        };
        let arrived = match self.connection.read(&mut into[..limit]) {
            Ok(Read::Bytes(count)) => {
                let unframed = unframe(&mut self.decoder, &mut into[..count]);
                self.early.extend_from_slice(&into[unframed.used..count]);
                return (unframed.taken, unframed.outcome());
            }
            Ok(Read::Again) => Ok(Arrived::Again),
            Ok(Read::WouldBlock) => Ok(Arrived::Nothing),
            Ok(Read::End) => match self.decoder.finish() {
                Ok(()) => Ok(Arrived::Bytes),
                Err(error) => Err(HttpClientError::protocol(error, Phase::Body)),
            },
            Ok(Read::TruncatedEnd) => Err(truncated(&self.decoder)),
            Err(error) => Err(error.into_error(&self.connection.origin().host, Phase::Body)),
        };
        (0, arrived)
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
    fn outcome(self) -> Result<Arrived, HttpClientError> {
        match self.fault {
            Some(error) => Err(HttpClientError::protocol(error, Phase::Body)),
            None => Ok(Arrived::Bytes),
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
