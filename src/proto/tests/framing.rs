//! RFC 9112 section 6.3, row by row.

use super::*;
use ProtocolError::*;

fn framing(method: &str, text: &str) -> Result<Framing, ProtocolError> {
    response_framing(method, &head(format!("HTTP/{}\r\n\r\n", text.replace('\n', "\r\n")).as_bytes()))
}

const KEEP: Result<(), CloseReason> = Ok(());

/// Goal: every rule of the section gives its body and its persistence. Method: a table with one row a case.
#[test]
fn accepted() {
    use BodyKind::*;
    let table = [
        // Rule 1: HEAD, 1xx, 204, 304.
        ("HEAD", "1.1 200 OK\nContent-Length: 5", None, KEEP),
        ("HEAD", "1.1 200 OK\nTransfer-Encoding: chunked", None, KEEP),
        ("HEAD", "1.1 200 OK", None, KEEP),
        ("GET", "1.1 100 Continue", None, KEEP),
        ("GET", "1.1 103 Hints\nContent-Length: 0", None, KEEP),
        ("GET", "1.1 204 No Content", None, KEEP),
        ("GET", "1.1 204 No Content\nContent-Length: 0", None, KEEP),
        ("GET", "1.1 204 No Content\nContent-Length: 5", None, Err(CloseReason::ForbiddenFraming)),
        ("GET", "1.1 204 No Content\nContent-Length: x", None, Err(CloseReason::ForbiddenFraming)),
        ("GET", "1.1 204 No Content\nTransfer-Encoding: chunked", None, Err(CloseReason::ForbiddenFraming)),
        ("GET", "1.1 304 Not Modified\nContent-Length: 5", None, KEEP),
        ("GET", "1.1 304 Not Modified\nTransfer-Encoding: chunked", None, KEEP),
        ("HEAD", "1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 5", None, KEEP),
        ("HEAD", "1.0 200 OK\nTransfer-Encoding: chunked\nConnection: keep-alive", None, KEEP),
        ("GET", "1.1 101 Switching\nUpgrade: websocket\nConnection: upgrade", None, Err(CloseReason::Upgrade)),
        // Rule 2: CONNECT.
        ("CONNECT", "1.1 200 OK\nContent-Length: 5", None, Err(CloseReason::Tunnel)),
        ("CONNECT", "1.0 200 Connection established", None, Err(CloseReason::Tunnel)),
        ("CONNECT", "1.1 407 Auth\nContent-Length: 5", Length(5), KEEP),
        // Rule 4: chunked.
        ("GET", "1.1 200 OK\nTransfer-Encoding: chunked", Chunked, KEEP),
        ("GET", "1.1 200 OK\ntransfer-encoding: CHUNKED", Chunked, KEEP),
        (
            "GET",
            "1.1 200 OK\nTransfer-Encoding: chunked\nConnection: close",
            Chunked,
            Err(CloseReason::ConnectionClose),
        ),
        // Rules 5 and 6: Content-Length.
        ("GET", "1.1 200 OK\nContent-Length: 5", Length(5), KEEP),
        ("GET", "1.1 200 OK\nContent-Length: 0", Length(0), KEEP),
        ("GET", "1.1 200 OK\nContent-Length: 007", Length(7), KEEP),
        ("GET", "1.1 200 OK\nContent-Length: 18446744073709551615", Length(u64::MAX), KEEP),
        ("GET", "1.1 200 OK\nContent-Length: 5, 5", Length(5), KEEP),
        ("GET", "1.1 200 OK\nContent-Length: 5\nContent-Length: 5", Length(5), KEEP),
        ("GET", "1.1 999 Odd\nContent-Length: 5", Length(5), KEEP),
        // 205 has no content by its meaning, but no rule of its own for where it ends (RFC 9110 section 15.3.6).
        ("GET", "1.1 205 Reset\nContent-Length: 0", Length(0), KEEP),
        ("GET", "1.1 205 Reset\nContent-Length: 5", Length(5), KEEP),
        ("GET", "1.1 205 Reset\nTransfer-Encoding: chunked", Chunked, KEEP),
        // A minor version above 1 has the framing of 1 (RFC 9110 section 2.5).
        ("GET", "1.2 200 OK\nTransfer-Encoding: chunked", Chunked, KEEP),
        ("GET", "1.9 200 OK\nContent-Length: 5", Length(5), KEEP),
        // Rule 8: until close.
        ("GET", "1.1 205 Reset", UntilClose, Err(CloseReason::UntilClose)),
        ("GET", "1.1 200 OK", UntilClose, Err(CloseReason::UntilClose)),
        ("POST", "1.0 200 OK\nConnection: keep-alive", UntilClose, Err(CloseReason::UntilClose)),
        // Section 9.3: persistence.
        ("GET", "1.1 200 OK\nContent-Length: 5\nConnection: foo, CLOSE", Length(5), Err(CloseReason::ConnectionClose)),
        ("GET", "1.1 200 OK\nContent-Length: 5\nConnection: a\nConnection: close", Length(5), {
            Err(CloseReason::ConnectionClose)
        }),
        ("GET", "1.0 200 OK\nContent-Length: 5", Length(5), Err(CloseReason::Http10)),
        ("GET", "1.0 200 OK\nContent-Length: 5\nConnection: Keep-Alive", Length(5), KEEP),
        ("GET", "1.0 200 OK\nContent-Length: 5\nConnection: keep-alive, close", Length(5), {
            Err(CloseReason::ConnectionClose)
        }),
    ];
    for (method, text, body, keep_alive) in table {
        assert_eq!(framing(method, text), Ok(Framing { body, keep_alive }), "{method} {text:?}");
    }
}

/// Goal: contradictions are errors, not preferences. Method: a table with one row a contradiction.
#[test]
fn refused() {
    let table = [
        // Rule 3.
        ("1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 5", LengthAndTransferEncoding),
        ("1.1 200 OK\nContent-Length: 0\nTransfer-Encoding: chunked", LengthAndTransferEncoding),
        ("1.0 200 OK\nTransfer-Encoding: chunked", TransferEncodingInHttp10),
        // Rule 4.
        ("1.1 200 OK\nTransfer-Encoding: chunked, identity", TransferEncodingUnsupported),
        ("1.1 200 OK\nTransfer-Encoding: identity", TransferEncodingUnsupported),
        ("1.1 200 OK\nTransfer-Encoding: gzip, chunked", TransferEncodingUnsupported),
        ("1.1 200 OK\nTransfer-Encoding: chunked, chunked", TransferEncodingUnsupported),
        ("1.1 200 OK\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked", TransferEncodingUnsupported),
        ("1.1 200 OK\nTransfer-Encoding: xchunked", TransferEncodingUnsupported),
        ("1.1 200 OK\nTransfer-Encoding: chunked;a=b", TransferEncodingUnsupported),
        ("1.1 200 OK\nTransfer-Encoding: chunked,", TransferEncodingUnsupported),
        ("1.1 200 OK\nTransfer-Encoding: \"chunked\"", TransferEncodingUnsupported),
        ("1.1 200 OK\nTransfer-Encoding:", TransferEncodingUnsupported),
        // Rule 5.
        ("1.1 200 OK\nContent-Length: 5\nContent-Length: 6", ContentLengthConflict { first: 5, other: 6 }),
        ("1.1 200 OK\nContent-Length: 5, 6", ContentLengthConflict { first: 5, other: 6 }),
        ("1.1 200 OK\nContent-Length: +5", ContentLengthInvalid),
        ("1.1 200 OK\nContent-Length: -1", ContentLengthInvalid),
        ("1.1 200 OK\nContent-Length: 5 5", ContentLengthInvalid),
        ("1.1 200 OK\nContent-Length: 0x5", ContentLengthInvalid),
        ("1.1 200 OK\nContent-Length: 5,", ContentLengthInvalid),
        ("1.1 200 OK\nContent-Length: 5;a", ContentLengthInvalid),
        ("1.1 200 OK\nContent-Length: 5\nContent-Length:", ContentLengthInvalid),
        ("1.1 200 OK\nContent-Length: \u{661}", ContentLengthInvalid),
        ("1.1 200 OK\nContent-Length:", ContentLengthInvalid),
        ("1.1 200 OK\nContent-Length: 18446744073709551616", ContentLengthOverflow),
        // Rule 1: behind an interim head the next head is awaited.
        ("1.1 100 Continue\nContent-Length: 5", BodyForbidden { status: 100 }),
        ("1.1 103 Hints\nTransfer-Encoding: chunked", BodyForbidden { status: 103 }),
        ("1.1 101 Switching\nTransfer-Encoding: chunked", BodyForbidden { status: 101 }),
    ];
    for (text, error) in table {
        assert_eq!(framing("GET", text), Err(error), "{text:?}");
    }
}

/// Goal: a redirect has one target or none. Method: none, one, two alike, two that differ.
#[test]
fn locations() {
    let location = |text: &str| {
        let head = head(format!("HTTP/1.1 302 F\r\n{text}\r\n").as_bytes());
        redirect_location(&head).map(|value| value.map(<[u8]>::to_vec))
    };
    assert_eq!(location(""), Ok(None));
    assert_eq!(location("Location: /a\r\n"), Ok(Some(b"/a".to_vec())));
    assert_eq!(location("Location: /a\r\nlocation: /a\r\n"), Ok(Some(b"/a".to_vec())));
    assert_eq!(location("Location: /a\r\nLocation: /b\r\n"), Err(LocationConflict));
}
