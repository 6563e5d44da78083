//! Writing request heads (RFC 9112 section 3) and chunks (section 7.1).
//!
//! Everything is checked before the first byte is written, so an error leaves the output as it was. What a caller
//! says about framing must agree with the body that will be sent; a contradiction is an error that names the field.

use super::method::{expects_body, is_token, is_token_byte, is_value_byte, list_members, parse_decimal, trim_ows};
use std::fmt;
use std::io::Write;

/// What body follows the request head (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// None. `Content-Length: 0` is sent if the method gives content a meaning: [`expects_body`].
    None,
    /// So many bytes.
    Length(u64),
    /// Chunks: [`encode_chunk_head`].
    Chunked,
}

/// A request head to be written (RFC 9112 section 3).
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method, a token; upper and lower case matter (RFC 9110 section 9.1).
    pub method: &'a str,
    /// The request target (RFC 9112 section 3.2): a path with its query, an absolute URI to a proxy, an authority for
    /// CONNECT, or `*` for OPTIONS. Already percent-encoded, without fragment.
    pub target: &'a str,
    /// The value of `Host`, unless `headers` has one.
    pub host: &'a str,
    /// The caller's fields, in the order they are sent. Whitespace around a value is not part of it (RFC 9110
    /// section 5.5) and is not sent.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// Fields of ours behind them, which are not checked; one without a name is none.
    pub own: &'a [(&'a [u8], &'a [u8])],
    /// What follows.
    pub body: RequestBody,
}

/// Why a request head cannot be written. Always the caller's fault, but for `NoMemory`.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestHeadError {
    /// The method is no token (RFC 9110 section 9.1).
    MethodNotToken,
    /// The target has none of the four forms, or holds a space, a control character, `#` or a byte above 0x7E.
    TargetInvalid {
        /// The first byte that does not fit.
        at: usize,
    },
    /// The host holds a byte that no authority has.
    HostInvalid {
        /// Which byte.
        at: usize,
    },
    /// A field name that is empty or no token (RFC 9110 section 5.1).
    HeaderName {
        /// Which of the caller's fields.
        index: usize,
        /// Which byte of the name.
        at: usize,
    },
    /// A field value with CR, LF, NUL or another control character (RFC 9110 section 5.5).
    HeaderValue {
        /// Which of the caller's fields.
        index: usize,
        /// Which byte of the value, counted as given.
        at: usize,
    },
    /// A field that contradicts the body or the connection, or that this library must write itself.
    HeaderForbidden {
        /// Which of the caller's fields.
        index: usize,
        /// The field's name.
        name: &'static str,
    },
    /// A field that is for the next hop alone, without `Connection` naming it (RFC 9110 section 7.6.1).
    ConnectionOptionMissing {
        /// Which of the caller's fields.
        index: usize,
        /// The field's name, which is the option, too.
        name: &'static str,
    },
    /// A field with a secret in a TRACE, whose answer gives it to whoever reads it (RFC 9110 section 9.3.8).
    HeaderSecret {
        /// Which of the caller's fields.
        index: usize,
        /// The field's name.
        name: &'static str,
    },
    /// A TRACE with content (RFC 9110 section 9.3.8).
    TraceContent,
    /// No memory for the head.
    NoMemory,
}

/// What [`validate_header`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// The name is empty or no token.
    Name {
        /// Which byte of the name.
        at: usize,
    },
    /// The value holds a control character other than tab.
    Value {
        /// Which byte of the value.
        at: usize,
    },
}

/// Whether a field may be sent (RFC 9110 sections 5.1 and 5.5): the name a token, the value free of control
/// characters.
///
/// Bytes from 0x80 (obs-text) pass. So does whitespace around the value: it is not part of it and is trimmed when
/// sent.
pub fn validate_header(name: &[u8], value: &[u8]) -> Result<(), HeaderFault> {
    if !is_token(name) {
        let at = name.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(0);
        return Err(HeaderFault::Name { at });
    }
    match value.iter().position(|&byte| !is_value_byte(byte)) {
        Some(at) => Err(HeaderFault::Value { at }),
        None => Ok(()),
    }
}

impl RequestHead<'_> {
    /// Appends the head to `out`: request line, `Host` (first, RFC 9110 section 7.2), the caller's fields, framing.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), RequestHeadError> {
        let host = self.check()?;
        let fields = self.headers.iter().chain(self.own);
        let caller_bytes: usize = fields.map(|(name, value)| name.len() + value.len() + 4).sum();
        let total = self.method.len() + self.target.len() + host.len() + caller_bytes + OWN_BYTES_MAX;
        out.try_reserve(total).map_err(|_| RequestHeadError::NoMemory)?;
        for part in [self.method.as_bytes(), b" ", self.target.as_bytes(), b" HTTP/1.1\r\n"] {
            out.extend_from_slice(part);
        }
        write_field(out, b"Host", host);
        let mut zero_length_asked = false;
        for (name, value) in self.headers {
            if name.eq_ignore_ascii_case(b"content-length") {
                zero_length_asked = true;
            } else if !name.eq_ignore_ascii_case(b"host") {
                write_field(out, name, trim_ows(value));
            }
        }
        for (name, value) in self.own.iter().filter(|(name, _)| !name.is_empty()) {
            write_field(out, name, value);
        }
        match self.body {
            RequestBody::Length(length) => write_length(out, length),
            RequestBody::Chunked => write_field(out, b"Transfer-Encoding", b"chunked"),
            RequestBody::None if zero_length_asked || expects_body(self.method) => write_length(out, 0),
            RequestBody::None => {}
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Checks everything; answers the `Host` value to send.
    fn check(&self) -> Result<&[u8], RequestHeadError> {
        if !is_token(self.method.as_bytes()) {
            return Err(RequestHeadError::MethodNotToken);
        }
        check_target(self.method, self.target)?;
        if self.method == "TRACE" && !matches!(self.body, RequestBody::None | RequestBody::Length(0)) {
            return Err(RequestHeadError::TraceContent);
        }
        let mut host = None;
        for (index, (name, value)) in self.headers.iter().enumerate() {
            validate_header(name, value).map_err(|fault| match fault {
                HeaderFault::Name { at } => RequestHeadError::HeaderName { index, at },
                HeaderFault::Value { at } => RequestHeadError::HeaderValue { index, at },
            })?;
            if name.eq_ignore_ascii_case(b"host") {
                // Two are a smuggling vector (RFC 9112 section 3.2), equal or not.
                if host.is_some() {
                    return Err(RequestHeadError::HeaderForbidden { index, name: "Host" });
                }
                let value = trim_ows(value);
                if let Some(at) = host_fault(value) {
                    return Err(RequestHeadError::HeaderValue { index, at });
                }
                host = Some(value);
            } else {
                self.check_meaning(index, name, trim_ows(value))?;
            }
        }
        match (host, host_fault(self.host.as_bytes())) {
            (Some(host), _) => Ok(host),
            (None, Some(at)) => Err(RequestHeadError::HostInvalid { at }),
            (None, None) => Ok(self.host.as_bytes()),
        }
    }

    /// Whether a field may be sent as it is.
    ///
    /// - `Content-Length`: only the length of the body, which is then written once.
    /// - `Transfer-Encoding`, `Trailer`: never; chunks are written here and carry no trailers.
    /// - `Connection`: only `close`, `keep-alive`, `upgrade` and `te`. Any other option names a field that the next
    ///   proxy then removes, a way to strip fields from a request (RFC 9110 section 7.6.1).
    /// - `Upgrade`: only with `Connection: upgrade` (RFC 9110 section 7.8).
    /// - `TE`: only `trailers`, no transfer coding but chunked is read here; and only with `Connection: TE` (RFC 9110
    ///   section 10.1.4).
    /// - `Expect`: only `100-continue`, and only with a body (RFC 9110 section 10.1.1).
    /// - Credentials and cookies: not in a TRACE (RFC 9110 section 9.3.8).
    fn check_meaning(&self, index: usize, name: &[u8], value: &[u8]) -> Result<(), RequestHeadError> {
        let is = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
        let says = |other: &str| value.eq_ignore_ascii_case(other.as_bytes());
        if let Some(&name) = SECRET_FIELDS.iter().find(|field| self.method == "TRACE" && is(field)) {
            return Err(RequestHeadError::HeaderSecret { index, name });
        }
        let Some(&name) = JUDGED_FIELDS.iter().find(|field| is(field)) else {
            return Ok(());
        };
        let fits = match name {
            "Content-Length" => parse_decimal(value).ok().is_some_and(|length| match self.body {
                RequestBody::None => length == 0,
                RequestBody::Length(due) => length == due,
                RequestBody::Chunked => false,
            }),
            "Connection" => list_members(value)
                .all(|member| CONNECTION_OPTIONS.iter().any(|option| option.as_bytes().eq_ignore_ascii_case(member))),
            "TE" => says("trailers"),
            "Expect" => says("100-continue") && !matches!(self.body, RequestBody::None | RequestBody::Length(0)),
            "Upgrade" => true,
            // `Transfer-Encoding` and `Trailer`.
            _ => false,
        };
        if !fits {
            return Err(RequestHeadError::HeaderForbidden { index, name });
        }
        if matches!(name, "TE" | "Upgrade") && !self.has_connection_option(name.as_bytes()) {
            return Err(RequestHeadError::ConnectionOptionMissing { index, name });
        }
        Ok(())
    }

    /// Whether the caller's `Connection` fields name `option`.
    fn has_connection_option(&self, option: &[u8]) -> bool {
        self.headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"))
            .any(|(_, value)| list_members(value).any(|member| member.eq_ignore_ascii_case(option)))
    }
}

/// Appends what precedes the `length` bytes of a chunk; [`CHUNK_END`] follows them (RFC 9112 section 7.1).
///
/// A length of 0 writes nothing, since an empty chunk would end the body: that is what [`LAST_CHUNK`] is for.
pub fn encode_chunk_head(length: u64, out: &mut Vec<u8>) {
    if length > 0 {
        write_number(out, format_args!("{length:x}\r\n"));
    }
}

/// Whether the target has one of the four forms of RFC 9112 section 3.2 and only bytes that a request line can carry.
fn check_target(method: &str, target: &str) -> Result<(), RequestHeadError> {
    if let Some(at) = target.bytes().position(|byte| !byte.is_ascii_graphic() || byte == b'#') {
        return Err(RequestHeadError::TargetInvalid { at });
    }
    let fits = match method {
        "CONNECT" => !target.is_empty() && !target.contains('/'),
        "OPTIONS" if target == "*" => true,
        _ => target.starts_with('/') || target.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)),
    };
    if fits {
        Ok(())
    } else {
        Err(RequestHeadError::TargetInvalid { at: 0 })
    }
}

/// Whether `text` is the scheme of an absolute URI (RFC 3986 section 3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// The first byte that cannot be part of `uri-host [":" port]` (RFC 9110 section 7.2). An empty value is legal.
fn host_fault(host: &[u8]) -> Option<usize> {
    host.iter().position(|byte| !HOST_BYTES[usize::from(*byte)])
}

/// What a host and port may hold, in a table since every request's is looked at.
const HOST_BYTES: [bool; 256] = {
    let (mut table, mut at) = ([false; 256], 0);
    while at < 256 {
        let byte = at as u8;
        let foreign = matches!(byte, b'/' | b'?' | b'#' | b'@' | b'\\' | b',' | b'"' | b'<' | b'>' | b'^' | b'`')
            || matches!(byte, b'{' | b'|' | b'}');
        table[at] = byte.is_ascii_graphic() && !foreign;
        at += 1;
    }
    table
};

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn write_length(out: &mut Vec<u8>, length: u64) {
    write_number(out, format_args!("Content-Length: {length}\r\n"));
}

fn write_number(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to a `Vec` has no error.
    let _ = out.write_fmt(text);
}

impl fmt::Display for RequestHeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestHeadError::MethodNotToken => write!(f, "the method is not a token"),
            RequestHeadError::TargetInvalid { at } => write!(f, "the request target is invalid at byte {at}"),
            RequestHeadError::HostInvalid { at } => write!(f, "the host is invalid at byte {at}"),
            RequestHeadError::HeaderName { index, at } => {
                write!(f, "the name of header {index} is not a token at byte {at}")
            }
            RequestHeadError::HeaderValue { index, at } => {
                write!(f, "the value of header {index} is invalid at byte {at}")
            }
            RequestHeadError::HeaderForbidden { index, name } => {
                write!(f, "header {index}, {name}, contradicts the body or the connection")
            }
            RequestHeadError::ConnectionOptionMissing { index, name } => {
                write!(f, "header {index}, {name}, needs the header `Connection: {name}` beside it")
            }
            RequestHeadError::HeaderSecret { index, name } => {
                write!(f, "header {index}, {name}, must not go out with TRACE, whose answer repeats it")
            }
            RequestHeadError::TraceContent => write!(f, "TRACE has no body (RFC 9110 section 9.3.8)"),
            RequestHeadError::NoMemory => write!(f, "no memory for the request head"),
        }
    }
}

impl std::error::Error for RequestHeadError {}

/// What follows the bytes of a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// What follows the last chunk's end: the last chunk, without trailers (RFC 9112 section 7.1).
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Connection options a caller may name.
const CONNECTION_OPTIONS: [&str; 4] = ["close", "keep-alive", "upgrade", "te"];

/// Fields that mean something for framing or for the connection, so that not every value of them may be sent.
const JUDGED_FIELDS: [&str; 7] =
    ["Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Upgrade", "TE", "Expect"];

/// Fields with secrets, the same as stay behind when a redirect leads to another origin.
const SECRET_FIELDS: [&str; 3] = ["Authorization", "Cookie", "Proxy-Authorization"];

/// More than all this file adds to what the caller gave: version, `Host`, the longest framing field, line ends.
const OWN_BYTES_MAX: usize = 96;
