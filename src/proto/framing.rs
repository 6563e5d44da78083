//! Where a response body ends and whether the connection lives on: RFC 9112 section 6.3, in one function.

use super::error::ProtocolError;
use super::head::ResponseHead;
use super::method::{list_members, parse_decimal, trim_ows, DecimalError};

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// There is no body.
    None,
    /// So many bytes (RFC 9112 section 6.2). `Length(0)` and `None` are read alike.
    Length(u64),
    /// Chunks, then trailers (RFC 9112 section 7.1).
    Chunked,
    /// All until the peer closes (RFC 9112 section 6.3, rule 8).
    UntilClose,
}

/// Why a connection serves no further request. A reason to close, not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The response says `Connection: close` (RFC 9112 section 9.6).
    ConnectionClose,
    /// The response is HTTP/1.0 and does not say `Connection: keep-alive` (RFC 9112 section 9.3).
    Http10,
    /// The body ends where the connection ends.
    UntilClose,
    /// A 204 announces a body all the same. Its end is not in doubt, but what the peer sends next is.
    ForbiddenFraming,
    /// The connection changed its protocol (101).
    Upgrade,
    /// The connection became a tunnel: a 2xx to CONNECT (RFC 9110 section 9.3.6).
    Tunnel,
    /// We said `Connection: close`.
    RequestClose,
    /// The final response came before the request was sent in full (RFC 9112 section 9.5).
    RequestUnsent,
    /// The response was given up before its end.
    BodyUnread,
    /// Bytes came after the end of the response; nothing says whose answer they are.
    ExcessBytes,
}

/// What [`response_framing`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// How the end of the body is found.
    pub body: BodyKind,
    /// Whether the connection may serve another request once the body is read to its end; if not, why.
    pub keep_alive: Result<(), CloseReason>,
}

/// Decides how the response `head` to a request with `method` is framed (RFC 9112 section 6.3).
///
/// Interim heads pass through here too; their `keep_alive` says nothing about the connection, the final one's does.
///
/// Decisions where the section leaves a choice:
/// - HEAD, 304 and a 2xx to CONNECT end with their head; their framing fields are not looked at (rules 1 and 2).
/// - `Content-Length: 0` in a 1xx or 204 is forbidden but common and changes nothing. More than 0, or
///   `Transfer-Encoding`, is an error in a 1xx, behind which the next head is awaited, and closes the connection
///   after a 204.
/// - `Transfer-Encoding` is accepted as one field that says `chunked`: no other coding was asked for. With
///   `Content-Length` beside it, or in HTTP/1.0, it is an error (rule 3 and section 6.1 permit to read on, and warn).
/// - Several equal `Content-Length` values, in a list or in fields, are one (RFC 9110 section 8.6 permits it):
///   readers that disagree about lists still agree about the length. Different ones are an error.
pub fn response_framing(method: &str, head: &ResponseHead) -> Result<Framing, ProtocolError> {
    let persistence = persistence(head);
    let bodiless = |keep_alive| Ok(Framing { body: BodyKind::None, keep_alive });
    if head.status < 200 {
        if announces_body(head) {
            return Err(ProtocolError::BodyForbidden { status: head.status });
        }
        return bodiless(if head.is_upgrade() { Err(CloseReason::Upgrade) } else { persistence });
    }
    if method == "CONNECT" && head.status < 300 {
        return bodiless(Err(CloseReason::Tunnel));
    }
    if method == "HEAD" || head.status == 304 {
        return bodiless(persistence);
    }
    if head.status == 204 {
        return bodiless(if announces_body(head) { Err(CloseReason::ForbiddenFraming) } else { persistence });
    }
    let length = content_length(head)?;
    if head.get("transfer-encoding").is_some() {
        if head.get("content-length").is_some() {
            return Err(ProtocolError::LengthAndTransferEncoding);
        }
        if head.version_minor == 0 {
            return Err(ProtocolError::TransferEncodingInHttp10);
        }
        check_chunked(head)?;
        return Ok(Framing { body: BodyKind::Chunked, keep_alive: persistence });
    }
    Ok(match length {
        Some(length) => Framing { body: BodyKind::Length(length), keep_alive: persistence },
        None => Framing { body: BodyKind::UntilClose, keep_alive: Err(CloseReason::UntilClose) },
    })
}

/// The target of a redirect (RFC 9110 section 10.2.2): `None` without a `Location`, an error if several differ.
///
/// The field takes a single value; which one a peer means by two cannot be known, and following either can be abused.
pub fn redirect_location(head: &ResponseHead) -> Result<Option<&[u8]>, ProtocolError> {
    let mut values = head.get_all("location");
    let first = values.next();
    if values.any(|other| Some(other) != first) {
        return Err(ProtocolError::LocationConflict);
    }
    Ok(first)
}

/// Whether the peer offers to keep the connection (RFC 9112 section 9.3).
fn persistence(head: &ResponseHead) -> Result<(), CloseReason> {
    let says = |option: &[u8]| {
        head.get_all("connection").any(|value| list_members(value).any(|member| member.eq_ignore_ascii_case(option)))
    };
    if says(b"close") {
        return Err(CloseReason::ConnectionClose);
    }
    if head.version_minor == 0 && !says(b"keep-alive") {
        return Err(CloseReason::Http10);
    }
    Ok(())
}

/// Whether a response that has no body claims one.
fn announces_body(head: &ResponseHead) -> bool {
    head.get("transfer-encoding").is_some() || !matches!(content_length(head), Ok(None | Some(0)))
}

/// Whether `Transfer-Encoding` is the one value we read (RFC 9112 section 6.1).
///
/// `chunked, identity`, `gzip, chunked`, `chunked, chunked`, two fields, empty members: all are refused, since
/// readers are known to disagree about them.
fn check_chunked(head: &ResponseHead) -> Result<(), ProtocolError> {
    let mut values = head.get_all("transfer-encoding");
    match (values.next(), values.next()) {
        (Some(value), None) if trim_ows(value).eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(ProtocolError::TransferEncodingUnsupported),
    }
}

/// The length all `Content-Length` values agree on; `None` if there is no such field (RFC 9110 section 8.6).
fn content_length(head: &ResponseHead) -> Result<Option<u64>, ProtocolError> {
    let mut agreed = None;
    for value in head.get_all("content-length") {
        for member in list_members(value) {
            let length = parse_decimal(member).map_err(|error| match error {
                DecimalError::NotDecimal => ProtocolError::ContentLengthInvalid,
                DecimalError::Overflow => ProtocolError::ContentLengthOverflow,
            })?;
            match agreed {
                Some(first) if first != length => {
                    return Err(ProtocolError::ContentLengthConflict { first, other: length });
                }
                _ => agreed = Some(length),
            }
        }
    }
    Ok(agreed)
}
