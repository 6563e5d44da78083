//! Reading response bodies as they arrive, without copying them (RFC 9112 sections 6 and 7).

use super::block::HeadBlock;
use super::chunked::Chunked;
use super::error::ProtocolError;
use super::framing::BodyKind;
use super::limits::Limits;
use std::ops::Range;

/// Finds the body bytes in what a connection receives.
///
/// Call [`decode`](Self::decode) in a loop, each time with what the last call left over, until it uses nothing or is
/// done; then receive more. At the end of the stream call [`finish`](Self::finish).
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    received: u64,
    /// The first error; it is given again to whoever asks on.
    failed: Option<ProtocolError>,
}

/// What one call of [`BodyDecoder::decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyStep {
    /// How many bytes of the input were read; the next call begins after them. 0 on no input and when done.
    pub used: usize,
    /// Which of them are body. May be empty: chunk sizes and trailers are none.
    pub data: Range<usize>,
    /// Whether the body is complete. What lies behind `used` is not part of this response.
    pub done: bool,
}

#[derive(Debug)]
enum State {
    Length {
        total: u64,
        left: u64,
    },
    /// Apart, since most bodies say their length, and each has room for this.
    Chunked(Box<Chunked>),
    UntilClose {
        ended: bool,
    },
}

impl BodyDecoder {
    /// A decoder for a body of the given kind. One without a body is done from the start.
    pub fn new(kind: BodyKind, limits: &Limits) -> BodyDecoder {
        let state = match kind {
            BodyKind::None => State::Length { total: 0, left: 0 },
            BodyKind::Length(total) => State::Length { total, left: total },
            BodyKind::Chunked => State::Chunked(Box::new(Chunked::new(limits))),
            BodyKind::UntilClose => State::UntilClose { ended: false },
        };
        BodyDecoder { state, received: 0, failed: None }
    }

    /// Reads on. See [`BodyStep`] for the answer.
    ///
    /// A call that is neither done nor out of input uses at least one byte, and gives at most one run of body bytes.
    /// Short input is never an error. After an error every call answers that error.
    pub fn decode(&mut self, input: &[u8]) -> Result<BodyStep, ProtocolError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let step = match &mut self.state {
            State::Length { left, .. } => {
                // A length that a `usize` cannot hold is more than any input.
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= used as u64;
                BodyStep { used, data: 0..used, done: *left == 0 }
            }
            State::UntilClose { ended: true } => BodyStep { used: 0, data: 0..0, done: true },
            State::UntilClose { ended: false } => BodyStep { used: input.len(), data: 0..input.len(), done: false },
            State::Chunked(chunked) => chunked.decode(input, self.received).inspect_err(|error| {
                self.failed = Some(error.clone());
            })?,
        };
        debug_assert!(step.used <= input.len() && step.data.end <= step.used);
        self.received = self.received.saturating_add(step.data.len() as u64);
        Ok(step)
    }

    /// To be called at the end of the stream: an error if the body is not complete (RFC 9112 section 8).
    ///
    /// Over TLS, an end without close_notify must not get here for a body of the kind [`BodyKind::UntilClose`] unless
    /// the caller accepts that it may be cut off: this layer cannot tell (RFC 9112 section 9.8).
    pub fn finish(&mut self) -> Result<(), ProtocolError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let received = self.received;
        match &mut self.state {
            State::UntilClose { ended } => *ended = true,
            State::Length { left: 0, .. } => {}
            State::Length { total, .. } => {
                return Err(ProtocolError::BodyTruncated { received, expected: Some(*total) });
            }
            State::Chunked(chunked) if chunked.is_done() => {}
            State::Chunked(_) => return Err(ProtocolError::BodyTruncated { received, expected: None }),
        }
        Ok(())
    }

    /// The trailers of a chunked body, once it is done (RFC 9112 section 7.1.2). `None` if there were none.
    ///
    /// Fields that a trailer must not carry (RFC 9110 section 6.5.1: framing, routing, authentication, how to read
    /// the content) have been dropped. The rest is kept apart from the head, as that section asks.
    pub fn take_trailers(&mut self) -> Option<HeadBlock> {
        match &mut self.state {
            State::Chunked(chunked) => chunked.take_trailers(),
            _ => None,
        }
    }

    /// How many body bytes are still to come, as far as is known.
    pub fn remaining(&self) -> Option<u64> {
        match &self.state {
            State::Length { left, .. } => Some(*left),
            _ if self.is_done() => Some(0),
            _ => None,
        }
    }

    /// How many body bytes have come.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether the body is complete.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Length { left, .. } => *left == 0,
            State::Chunked(chunked) => self.failed.is_none() && chunked.is_done(),
            State::UntilClose { ended } => *ended,
        }
    }
}
