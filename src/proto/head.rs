//! Reading response heads as they arrive (RFC 9112 sections 2 to 5).
//!
//! A search for the closing blank line looks at each byte once; only a complete head is parsed. A head that arrives
//! byte by byte therefore costs time in proportion to its length.
//!
//! Lines end in CRLF and nothing else, no space stands before a colon, no empty line before the status line (RFC 9112
//! section 2.2 allows that tolerance to servers only), no control character in a value. RFC 9112 would let a recipient
//! be more lenient in most of this, but readers that disagree about where a line or a head ends are what response
//! splitting lives on. Kept are leniencies about which readers cannot disagree:
//!
//! - A missing space after the status code when the reason is missing too (section 4), common and harmless.
//! - A higher minor version, read as HTTP/1.1 (RFC 9110 section 2.5).
//! - A folded value, read as one line (section 5.2 demands it), but in none of the fields that frame the message:
//!   `block.rs`.

use super::block::{HeadBlock, Span};
use super::error::ProtocolError;
use super::limits::Limits;
use super::method::is_value_byte;

/// Reads the heads of one exchange: any interim responses (RFC 9110 section 15.2), then the final one.
#[derive(Debug, Default)]
pub struct HeadReader {
    /// All before this offset has been searched for line ends.
    scanned: usize,
    /// Where the line under way begins.
    line_start: usize,
    /// How many lines are complete, the status line included.
    lines: usize,
    /// How many interim heads came since the last final one.
    interims: u32,
}

/// What [`HeadReader::parse`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum HeadStep {
    /// The head is not complete. Call again with a longer buffer.
    NeedMore,
    /// A head. The next one, or the body, begins after it.
    Complete {
        /// How many bytes of the buffer are the head.
        used: usize,
        /// The head itself, which borrows nothing from the buffer.
        head: ResponseHead,
    },
}

/// A response head: the status line and the fields (RFC 9112 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code, 100 to 999 (RFC 9110 section 15).
    pub status: u16,
    /// The minor version as received: 0 for HTTP/1.0, 1 for HTTP/1.1. A higher one is read as 1, the highest there is
    /// (RFC 9110 section 2.5).
    pub version_minor: u8,
    /// Where the reason phrase lies in the block; empty if there is none.
    pub reason: Span,
    /// The fields and the text.
    pub block: HeadBlock,
}

impl HeadReader {
    /// A reader for a new exchange.
    pub fn new() -> HeadReader {
        HeadReader::default()
    }

    /// Looks for a head at the beginning of `buf`.
    ///
    /// `buf` holds everything received since the last head; between calls it may only grow, and after
    /// [`HeadStep::Complete`] its first `used` bytes must be gone. Short input gives
    /// [`HeadStep::NeedMore`], never an error.
    /// After an error the connection is of no use and the reader must not be asked again.
    pub fn parse(&mut self, buf: &[u8], limits: &Limits) -> Result<HeadStep, ProtocolError> {
        debug_assert!(self.scanned <= buf.len(), "the buffer shrank between two calls");
        let max = limits.head_bytes_max.min(u32::MAX as usize);
        let window = &buf[..buf.len().min(max)];
        if self.lines > 0 || opening_is_http(window)? {
            while let Some(length) = memchr::memchr(b'\n', window.get(self.scanned..).unwrap_or_default()) {
                let at = self.scanned + length;
                self.scanned = at + 1;
                if self.take_line(window, at, limits)? {
                    return self.complete(&window[..=at], limits);
                }
            }
            self.scanned = window.len();
        }
        if window.len() == max {
            return Err(ProtocolError::HeadTooLarge { max });
        }
        Ok(HeadStep::NeedMore)
    }

    /// To be asked at the end of the stream: an error if it came inside a head (RFC 9112 section 8).
    ///
    /// No byte at all is no error of this layer: an idle connection may close at any time.
    pub fn finish(&self, buf: &[u8]) -> Result<(), ProtocolError> {
        if buf.is_empty() {
            return Ok(());
        }
        Err(ProtocolError::HeadTruncated { received: buf.len() })
    }

    /// How many interim heads came since the last final one.
    pub fn interims(&self) -> u32 {
        self.interims
    }

    /// Takes note of the line whose LF is at `at`; true if it is the blank line at the end of the head.
    fn take_line(&mut self, window: &[u8], at: usize, limits: &Limits) -> Result<bool, ProtocolError> {
        let Some(line) = window[self.line_start..at].strip_suffix(b"\r") else {
            return Err(ProtocolError::BareLf { at });
        };
        if line.is_empty() {
            return Ok(true);
        }
        if self.lines == 0 {
            // As soon as it is there: a wrong status line is no reason to read 64 KiB more.
            parse_status_line(line)?;
        }
        // The status line is a line, too, but counts for none of the fields.
        if self.lines > limits.header_count_max {
            return Err(ProtocolError::HeadersTooMany { max: limits.header_count_max });
        }
        self.lines += 1;
        self.line_start = at + 1;
        Ok(false)
    }

    /// Parses a complete head and makes the reader ready for the next one.
    fn complete(&mut self, bytes: &[u8], limits: &Limits) -> Result<HeadStep, ProtocolError> {
        // The opening was seen to be `HTTP/1.`, so the first line was not the blank one.
        let line_end = memchr::memchr(b'\r', bytes).unwrap_or_default();
        let (version_minor, status) = parse_status_line(&bytes[..line_end])?;
        let block = HeadBlock::parse(bytes, line_end + 2, self.lines.saturating_sub(1), |_| true)?;
        let start = line_end.min(REASON_AT);
        let reason = Span { start: start as u32, len: (line_end - start) as u32 };
        let head = ResponseHead { status, version_minor, reason, block };
        let interims = if head.is_interim() { self.interims + 1 } else { 0 };
        if interims > limits.interim_count_max {
            return Err(ProtocolError::InterimTooMany { max: limits.interim_count_max });
        }
        *self = HeadReader { interims, ..HeadReader::default() };
        Ok(HeadStep::Complete { used: bytes.len(), head })
    }
}

impl ResponseHead {
    /// The value of the first field called `name`, upper and lower case alike.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.block.get(name)
    }

    /// The values of all fields called `name`, in order.
    pub fn get_all<'b, 'n>(&'b self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
        self.block.get_all(name)
    }

    /// All fields as name and value, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.block.iter()
    }

    /// The reason phrase. It means nothing (RFC 9112 section 4) and may hold any byte that is no control character.
    pub fn reason_phrase(&self) -> &[u8] {
        self.block.slice(self.reason)
    }

    /// Whether another head follows on this exchange: any 1xx but 101 (RFC 9110 section 15.2).
    pub fn is_interim(&self) -> bool {
        self.status < 200 && !self.is_upgrade()
    }

    /// Whether the connection changes its protocol behind this head (101, RFC 9110 section 15.2.2). The bytes after
    /// the head are no HTTP/1.1.
    pub fn is_upgrade(&self) -> bool {
        self.status == 101
    }
}

/// Whether the first bytes are those of a status line we read; false while they could still be something else that is
/// worth a name of its own.
fn opening_is_http(bytes: &[u8]) -> Result<bool, ProtocolError> {
    let known = bytes.len().min(HTTP_1.len());
    let Some(at) = (0..known).find(|&at| bytes[at] != HTTP_1[at]) else {
        return Ok(true);
    };
    if matches!(bytes[0], b'\r' | b'\n') {
        return Err(ProtocolError::LeadingEmptyLine);
    }
    for (opening, error) in FOREIGN_OPENINGS {
        let mut pairs = bytes.iter().zip(opening.iter());
        if pairs.all(|(byte, expected)| expected.is_none_or(|expected| expected == *byte)) {
            return if bytes.len() < opening.len() { Ok(false) } else { Err(error.clone()) };
        }
    }
    // `HTTP/` came, and after it something other than `1.`.
    if at >= 5 {
        return Err(ProtocolError::VersionUnsupported);
    }
    Err(ProtocolError::NotHttp { at })
}

/// The minor version and the status of a status line without its line end (RFC 9112 section 4).
fn parse_status_line(line: &[u8]) -> Result<(u8, u16), ProtocolError> {
    // `opening_is_http` has seen to the first seven bytes, if there are that many.
    let Some(rest) = line.strip_prefix(HTTP_1) else {
        return Err(ProtocolError::StatusLine { at: line.len().min(HTTP_1.len()) });
    };
    let version_minor = match rest.first() {
        Some(digit @ b'0'..=b'9') => digit - b'0',
        _ => return Err(ProtocolError::StatusLine { at: 7 }),
    };
    if rest.get(1) != Some(&b' ') {
        return Err(ProtocolError::StatusLine { at: 8 });
    }
    let mut status = 0;
    for at in 9..12 {
        match line.get(at) {
            Some(digit @ b'0'..=b'9') => status = status * 10 + u16::from(digit - b'0'),
            _ => return Err(ProtocolError::StatusLine { at }),
        }
    }
    if line.get(12).is_some_and(|&byte| byte != b' ') {
        return Err(ProtocolError::StatusLine { at: 12 });
    }
    let reason = line.get(REASON_AT..).unwrap_or_default();
    match reason.iter().position(|&byte| !is_value_byte(byte)) {
        Some(offset) if reason[offset] == b'\r' => return Err(ProtocolError::BareCr { at: REASON_AT + offset }),
        Some(offset) => return Err(ProtocolError::StatusLine { at: REASON_AT + offset }),
        None => {}
    }
    if status < 100 {
        return Err(ProtocolError::StatusOutOfRange { status });
    }
    Ok((version_minor, status))
}

/// What a response of any version we read opens with.
const HTTP_1: &[u8] = b"HTTP/1.";

/// Where the reason phrase begins, after `HTTP/1.1 200 `.
const REASON_AT: usize = 13;

/// Openings of other protocols, worth an error that says so. `None` is any byte.
///
/// A TLS alert or handshake record (RFC 8446 section 5.1); the connection preface of an HTTP/2 client, should one
/// answer us, and of a server: an empty-stream SETTINGS frame (RFC 9113 sections 3.4 and 6.5).
const FOREIGN_OPENINGS: [(&[Option<u8>], ProtocolError); 4] = [
    (&[Some(0x15), Some(0x03)], ProtocolError::PeerSpeaksTls),
    (&[Some(0x16), Some(0x03)], ProtocolError::PeerSpeaksTls),
    (
        &[Some(b'P'), Some(b'R'), Some(b'I'), Some(b' '), Some(b'*'), Some(b' '), Some(b'H')],
        ProtocolError::PeerSpeaksHttp2,
    ),
    (&[Some(0), Some(0), None, Some(4), Some(0), Some(0), Some(0), Some(0), Some(0)], ProtocolError::PeerSpeaksHttp2),
];
