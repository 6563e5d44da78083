//! The chunked transfer coding, byte by byte outside the data (RFC 9112 section 7.1).
//!
//! ```text
//! SizeStart --digit--> Size --CR--> SizeLf --LF, size > 0--> Data --> DataCr --> DataLf --> SizeStart
//!                      | |          ^ ^ \
//!         space or tab | | ;     CR | |  `--LF, size = 0--> TrailerStart --> Trailers --> Done
//!                      v v          | |                            \                       ^
//!               Padding -;-> Extension |                            `--CR--> EndLf --LF---'
//!                  `---------CR--------'
//! ```
//!
//! Sizes are read digit by digit with checked arithmetic: no sign, no `0x`, at most 16 digits. Lines end in CRLF and
//! nothing else, also inside extensions, where a lone LF is known to split readers. A quoted string in an extension
//! can hold neither CR nor LF, so its quotes need no attention. Behind a size stand only whitespace (BWS) and then
//! `;` or the line end: `5 6` is no size. The grammar has the whitespace before `;` alone; before the line end old
//! servers pad with it, and no reader disagrees about where the chunk begins. It counts as extension.

use super::block::{reserve, HeadBlock};
use super::body::BodyStep;
use super::error::ProtocolError;
use super::limits::Limits;
use super::method::is_value_byte;

/// The decoder of one chunked body.
#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    limits: Limits,
    /// The size being read, then what is left of the chunk.
    size: u64,
    digits: u32,
    /// Bytes of extension in this chunk, and in all.
    extension: usize,
    extensions: u64,
    /// The trailer section as far as it came, where its last line begins, and how many lines are complete.
    trailer: Vec<u8>,
    trailer_line: usize,
    trailer_count: usize,
    trailers: Option<HeadBlock>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    SizeStart,
    Size,
    Padding,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailers,
    EndLf,
    Done,
}

impl Chunked {
    pub(super) fn new(limits: &Limits) -> Chunked {
        Chunked {
            state: State::SizeStart,
            limits: *limits,
            size: 0,
            digits: 0,
            extension: 0,
            extensions: 0,
            trailer: Vec::new(),
            trailer_line: 0,
            trailer_count: 0,
            trailers: None,
        }
    }

    /// Reads until a run of data ends, the body ends or the input does. `received` is how much body came before.
    pub(super) fn decode(&mut self, input: &[u8], received: u64) -> Result<BodyStep, ProtocolError> {
        let mut used = 0;
        while used < input.len() && self.state != State::Done {
            match self.state {
                State::Data => {
                    let length = usize::try_from(self.size).unwrap_or(usize::MAX).min(input.len() - used);
                    self.size -= length as u64;
                    if self.size == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(BodyStep { used: used + length, data: used..used + length, done: false });
                }
                State::Trailers => used += self.take_trailer_bytes(&input[used..])?,
                _ => {
                    self.state = self.step(input[used], received)?;
                    // The first byte of a trailer is looked at here and kept there.
                    used += usize::from(self.state != State::Trailers);
                }
            }
        }
        Ok(BodyStep { used, data: used..used, done: self.is_done() })
    }

    pub(super) fn take_trailers(&mut self) -> Option<HeadBlock> {
        self.trailers.take()
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The state after `byte`, which is neither data nor inside a trailer.
    fn step(&mut self, byte: u8, received: u64) -> Result<State, ProtocolError> {
        match (self.state, byte) {
            (State::SizeStart | State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.take_digit(byte),
            (State::Size | State::Padding, b' ' | b'\t') => self.take_extension_byte(received, State::Padding),
            (State::Size | State::Padding, b';') => self.take_extension_byte(received, State::Extension),
            (State::Size | State::Padding | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::SizeStart | State::Size | State::Padding, _) => Err(ProtocolError::ChunkSizeInvalid { byte }),
            (State::Extension, _) if is_value_byte(byte) => self.take_extension_byte(received, State::Extension),
            (State::Extension, _) => Err(ProtocolError::ChunkExtensionInvalid { byte }),
            (State::SizeLf, b'\n') if self.size == 0 => Ok(State::TrailerStart),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => {
                (self.size, self.digits, self.extension) = (0, 0, 0);
                Ok(State::SizeStart)
            }
            // Most bodies have no trailers; they end here without an allocation.
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerStart, _) => Ok(State::Trailers),
            (State::EndLf, b'\n') => Ok(State::Done),
            _ => Err(ProtocolError::ChunkLineEnd { byte }),
        }
    }

    /// One more digit of a size. The digits are limited, too: zeros in front can go on for ever without overflow.
    fn take_digit(&mut self, byte: u8) -> Result<State, ProtocolError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        self.digits += 1;
        self.size = self
            .size
            .checked_mul(16)
            .and_then(|size| size.checked_add(u64::from(digit)))
            .filter(|_| self.digits <= SIZE_DIGITS_MAX)
            .ok_or(ProtocolError::ChunkSizeOverflow)?;
        Ok(State::Size)
    }

    /// One more byte of an extension, or of the whitespace before it; `next` is the state behind it.
    fn take_extension_byte(&mut self, received: u64, next: State) -> Result<State, ProtocolError> {
        self.extension += 1;
        self.extensions += 1;
        if self.extension > self.limits.chunk_extension_bytes_max {
            return Err(ProtocolError::ChunkExtensionTooLong { max: self.limits.chunk_extension_bytes_max });
        }
        let max = self.limits.chunk_extension_excess_max;
        if self.extensions > received.saturating_add(max) {
            return Err(ProtocolError::ChunkExtensionsTooMany { max });
        }
        Ok(next)
    }

    /// Keeps bytes up to and with the next LF. Answers how many.
    fn take_trailer_bytes(&mut self, input: &[u8]) -> Result<usize, ProtocolError> {
        let max = self.limits.trailer_bytes_max.min(u32::MAX as usize);
        let room = &input[..input.len().min(max - self.trailer.len())];
        let Some(length) = memchr::memchr(b'\n', room) else {
            if room.len() == max - self.trailer.len() {
                return Err(ProtocolError::TrailersTooLarge { max });
            }
            self.keep(room)?;
            return Ok(room.len());
        };
        self.keep(&room[..=length])?;
        let at = self.trailer.len() - 1;
        let Some(line) = self.trailer[self.trailer_line..at].strip_suffix(b"\r") else {
            return Err(ProtocolError::BareLf { at });
        };
        if line.is_empty() {
            let block = HeadBlock::parse(&self.trailer, 0, self.trailer_count, may_trail)?;
            self.trailers = Some(block).filter(|block| !block.is_empty());
            self.trailer = Vec::new();
            self.state = State::Done;
        } else {
            self.trailer_count += 1;
            self.trailer_line = at + 1;
            if self.trailer_count > self.limits.trailer_count_max {
                return Err(ProtocolError::TrailersTooMany { max: self.limits.trailer_count_max });
            }
            // A full section would leave no room for the blank line and no byte to use.
            if self.trailer.len() == max {
                return Err(ProtocolError::TrailersTooLarge { max });
            }
        }
        Ok(length + 1)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        if self.trailer.capacity() - self.trailer.len() < bytes.len() {
            // At least doubled, so that a section arriving byte by byte is copied a bounded number of times.
            let count = bytes.len().max(self.trailer.len()).max(TRAILER_BYTES_FIRST);
            reserve(&mut self.trailer, count)?;
        }
        self.trailer.extend_from_slice(bytes);
        Ok(())
    }
}

/// Whether a field may stand in a trailer section. RFC 9110 section 6.5.1 names the kinds that may not.
fn may_trail(name: &[u8]) -> bool {
    !FORBIDDEN_TRAILERS.iter().any(|forbidden| forbidden.as_bytes().eq_ignore_ascii_case(name))
}

/// 16 digits fill a `u64`.
const SIZE_DIGITS_MAX: u32 = 16;

/// The first allocation for trailers holds all of most sections.
const TRAILER_BYTES_FIRST: usize = 256;

/// Framing, routing, connection, how to read the content, authentication, cookies, and what a client acts on at the
/// head: none of these may come late. They are dropped instead of refused: the body is whole without them.
const FORBIDDEN_TRAILERS: [&str; 24] = [
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "expires",
    "host",
    "keep-alive",
    "location",
    "proxy-authenticate",
    "proxy-connection",
    "retry-after",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "warning",
    "www-authenticate",
];
