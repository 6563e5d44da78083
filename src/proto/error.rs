//! What can be wrong with the bytes of a peer, grouped by whose fault it is.

use std::fmt;

/// Whose fault a [`ProtocolError`] is, and of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes are not HTTP/1.1.
    Malformed,
    /// The bytes are well formed; what they say contradicts itself or breaks the protocol.
    Misbehaved,
    /// The bytes may be legal but exceed a limit of [`Limits`](super::Limits).
    LimitExceeded,
    /// The peer did nothing wrong: this process has no memory for what it sent.
    NoMemory,
}

/// An answer of a peer that this layer does not accept.
///
/// `at` counts bytes from the first byte of the head (or of the trailer section) the error is about.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    // Malformed: the opening and the status line.
    /// The answer opens like a TLS record: an `https` server on a port we speak plain HTTP to.
    PeerSpeaksTls,
    /// The answer opens like HTTP/2 (RFC 9113 section 3.4).
    PeerSpeaksHttp2,
    /// The answer does not open with `HTTP/`. HTTP/0.9, which had no status line, ends here too.
    NotHttp {
        /// The first byte that differs.
        at: usize,
    },
    /// An empty line before the status line.
    LeadingEmptyLine,
    /// A major version other than 1.
    VersionUnsupported,
    /// The status line is not `HTTP-version SP status-code [SP reason]` (RFC 9112 section 4).
    StatusLine {
        /// The first byte that does not fit.
        at: usize,
    },
    /// A status code below 100 (RFC 9110 section 15).
    StatusOutOfRange {
        /// The code received.
        status: u16,
    },

    // Malformed: field lines.
    /// A line that ends in LF without CR.
    BareLf {
        /// Where the LF is.
        at: usize,
    },
    /// A CR that no LF follows (RFC 9112 section 2.2).
    BareCr {
        /// Where the CR is.
        at: usize,
    },
    /// A line that begins with whitespace where none may be: before the first field, as the continuation of a field
    /// that says where the body ends, or holding nothing else (RFC 9112 sections 2.2 and 5.2).
    ObsFold {
        /// Where the line begins.
        at: usize,
    },
    /// Whitespace between a field name and its colon (RFC 9112 section 5.1).
    SpaceBeforeColon {
        /// Where the whitespace is.
        at: usize,
    },
    /// A field name that is empty, has no colon after it or is no token (RFC 9110 section 5.1).
    HeaderName {
        /// The first byte that does not fit.
        at: usize,
    },
    /// A NUL or another control character in a field value (RFC 9110 section 5.5).
    HeaderValue {
        /// Where it is.
        at: usize,
    },

    // Malformed: framing.
    /// A `Content-Length` that is not a decimal number (RFC 9110 section 8.6).
    ContentLengthInvalid,
    /// A `Content-Length` of more than 64 bits.
    ContentLengthOverflow,
    /// A byte in a chunk size line, before any extension, that has no place there (RFC 9112 section 7.1.1).
    ChunkSizeInvalid {
        /// The byte received.
        byte: u8,
    },
    /// A chunk size of more than 16 digits, leading zeros included.
    ChunkSizeOverflow,
    /// A control character in a chunk extension.
    ChunkExtensionInvalid {
        /// The byte received.
        byte: u8,
    },
    /// Something other than CRLF where the line end of a chunk must be.
    ChunkLineEnd {
        /// The byte received.
        byte: u8,
    },

    // Misbehaved.
    /// Several `Content-Length` values that differ (RFC 9112 section 6.3, rule 5).
    ContentLengthConflict {
        /// The first value.
        first: u64,
        /// The value that differs from it.
        other: u64,
    },
    /// `Transfer-Encoding` and `Content-Length` in one response (RFC 9112 section 6.3, rule 3).
    LengthAndTransferEncoding,
    /// `Transfer-Encoding` in an HTTP/1.0 response (RFC 9112 section 6.1).
    TransferEncodingInHttp10,
    /// A `Transfer-Encoding` other than `chunked`, once. No other coding was asked for (RFC 9112 section 7.4).
    TransferEncodingUnsupported,
    /// An interim response that announces a body (RFC 9112 section 6.1, RFC 9110 section 8.6).
    BodyForbidden {
        /// The status code of the response.
        status: u16,
    },
    /// Several `Location` values that differ: the redirect has no single target.
    LocationConflict,
    /// A 101 to a request that asked for no upgrade (RFC 9110 section 15.2.2).
    UpgradeUnasked,
    /// The stream ended inside a head.
    HeadTruncated {
        /// How many bytes of the head had come.
        received: usize,
    },
    /// The stream ended inside a body (RFC 9112 section 8).
    BodyTruncated {
        /// How many bytes of body had come.
        received: u64,
        /// How many were announced; `None` for a chunked body.
        expected: Option<u64>,
    },

    // Limits.
    /// A head longer than `head_bytes_max`.
    HeadTooLarge {
        /// The limit.
        max: usize,
    },
    /// More field lines than `header_count_max`.
    HeadersTooMany {
        /// The limit.
        max: usize,
    },
    /// More interim responses than `interim_count_max`.
    InterimTooMany {
        /// The limit.
        max: u32,
    },
    /// A chunk extension longer than `chunk_extension_bytes_max`.
    ChunkExtensionTooLong {
        /// The limit.
        max: usize,
    },
    /// Extensions that exceed the body by more than `chunk_extension_excess_max`.
    ChunkExtensionsTooMany {
        /// The limit.
        max: u64,
    },
    /// A trailer section longer than `trailer_bytes_max`.
    TrailersTooLarge {
        /// The limit.
        max: usize,
    },
    /// More trailer lines than `trailer_count_max`.
    TrailersTooMany {
        /// The limit.
        max: usize,
    },

    // Ours.
    /// No memory for a head or a trailer section.
    NoMemory {
        /// How many bytes were asked for.
        bytes: usize,
    },
}

impl ProtocolError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        use ProtocolError::*;
        match self {
            PeerSpeaksTls | PeerSpeaksHttp2 | NotHttp { .. } | LeadingEmptyLine | VersionUnsupported => {
                Fault::Malformed
            }
            StatusLine { .. } | StatusOutOfRange { .. } => Fault::Malformed,
            BareLf { .. } | BareCr { .. } | ObsFold { .. } | SpaceBeforeColon { .. } => Fault::Malformed,
            HeaderName { .. } | HeaderValue { .. } => Fault::Malformed,
            ContentLengthInvalid | ContentLengthOverflow => Fault::Malformed,
            ChunkSizeInvalid { .. } | ChunkSizeOverflow => Fault::Malformed,
            ChunkExtensionInvalid { .. } | ChunkLineEnd { .. } => Fault::Malformed,
            ContentLengthConflict { .. } | LengthAndTransferEncoding => Fault::Misbehaved,
            TransferEncodingInHttp10 | TransferEncodingUnsupported => Fault::Misbehaved,
            BodyForbidden { .. } | LocationConflict | UpgradeUnasked => Fault::Misbehaved,
            HeadTruncated { .. } | BodyTruncated { .. } => Fault::Misbehaved,
            HeadTooLarge { .. } | HeadersTooMany { .. } | InterimTooMany { .. } => Fault::LimitExceeded,
            ChunkExtensionTooLong { .. } | ChunkExtensionsTooMany { .. } => Fault::LimitExceeded,
            TrailersTooLarge { .. } | TrailersTooMany { .. } => Fault::LimitExceeded,
            NoMemory { .. } => Fault::NoMemory,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ProtocolError::*;
        match self {
            PeerSpeaksTls => write!(f, "the peer speaks TLS on a plain-HTTP port"),
            PeerSpeaksHttp2 => write!(f, "the peer speaks HTTP/2 where HTTP/1.1 was expected"),
            NotHttp { at } => write!(f, "the answer is not HTTP/1.x: byte {at} does not fit `HTTP/`"),
            LeadingEmptyLine => write!(f, "an empty line stands before the status line"),
            VersionUnsupported => write!(f, "the status line names a version other than HTTP/1.x"),
            StatusLine { at } => write!(f, "the status line is malformed at byte {at}"),
            StatusOutOfRange { status } => write!(f, "the status code {status:03} is below 100"),
            BareLf { at } => write!(f, "a line ends in LF without CR at byte {at}"),
            BareCr { at } => write!(f, "a CR without LF at byte {at}"),
            ObsFold { at } => write!(f, "a line of the header begins with whitespace at byte {at}"),
            SpaceBeforeColon { at } => write!(f, "whitespace between a field name and its colon at byte {at}"),
            HeaderName { at } => write!(f, "a malformed field name at byte {at}"),
            HeaderValue { at } => write!(f, "a control character in a field value at byte {at}"),
            ContentLengthInvalid => write!(f, "Content-Length is not a decimal number"),
            ContentLengthOverflow => write!(f, "Content-Length does not fit 64 bits"),
            ChunkSizeInvalid { byte } => write!(f, "byte 0x{byte:02x} in a chunk size line"),
            ChunkSizeOverflow => write!(f, "a chunk size has more than 16 digits"),
            ChunkExtensionInvalid { byte } => write!(f, "control character 0x{byte:02x} in a chunk extension"),
            ChunkLineEnd { byte } => write!(f, "byte 0x{byte:02x} where a chunk needs CRLF"),
            ContentLengthConflict { first, other } => write!(f, "Content-Length says both {first} and {other}"),
            LengthAndTransferEncoding => write!(f, "both Transfer-Encoding and Content-Length are present"),
            TransferEncodingInHttp10 => write!(f, "Transfer-Encoding in an HTTP/1.0 response"),
            TransferEncodingUnsupported => write!(f, "Transfer-Encoding is not exactly one `chunked`"),
            BodyForbidden { status } => write!(f, "a response with status {status} announces a body"),
            LocationConflict => write!(f, "several Location fields differ"),
            UpgradeUnasked => write!(f, "the peer switched protocols (101) without being asked"),
            HeadTruncated { received } => write!(f, "the stream ended after {received} bytes of a response head"),
            BodyTruncated { received, expected: Some(expected) } => {
                write!(f, "the stream ended after {received} of {expected} body bytes")
            }
            BodyTruncated { received, expected: None } => {
                write!(f, "the stream ended after {received} body bytes, before the last chunk")
            }
            HeadTooLarge { max } => write!(f, "the response head exceeds {max} bytes"),
            HeadersTooMany { max } => write!(f, "the response head has more than {max} field lines"),
            InterimTooMany { max } => write!(f, "more than {max} interim responses"),
            ChunkExtensionTooLong { max } => write!(f, "a chunk extension exceeds {max} bytes"),
            ChunkExtensionsTooMany { max } => {
                write!(f, "the chunk extensions exceed the body by more than {max} bytes")
            }
            TrailersTooLarge { max } => write!(f, "the trailer section exceeds {max} bytes"),
            TrailersTooMany { max } => write!(f, "the trailer section has more than {max} lines"),
            NoMemory { bytes } => write!(f, "no memory for {bytes} bytes of head or trailers"),
        }
    }
}

impl std::error::Error for ProtocolError {}
