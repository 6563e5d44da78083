//! Request heads.

use super::*;
use RequestHeadError::*;

type Fields = &'static [(&'static [u8], &'static [u8])];

fn encode(method: &str, target: &str, headers: Fields, body: RequestBody) -> Result<String, RequestHeadError> {
    let mut out = b"kept".to_vec();
    let result = RequestHead { method, target, host: "h:8", headers, own: &[], body }.encode(&mut out);
    if result.is_err() {
        assert_eq!(out, b"kept", "an error writes nothing");
    }
    result.map(|()| String::from_utf8(out).unwrap()["kept".len()..].to_string())
}

/// Goal: what goes on the wire, byte by byte. Method: a table of heads.
#[test]
fn accepted() {
    use RequestBody::{Chunked, Length, None};
    let table: [(&str, &str, Fields, RequestBody, &str); 18] = [
        ("GET", "/", &[], None, "GET / HTTP/1.1\r\nHost: h:8\r\n\r\n"),
        ("POST", "/", &[], None, "POST / HTTP/1.1\r\nHost: h:8\r\nContent-Length: 0\r\n\r\n"),
        ("DELETE", "/", &[], Length(0), "DELETE / HTTP/1.1\r\nHost: h:8\r\nContent-Length: 0\r\n\r\n"),
        ("PUT", "/?a", &[], Length(7), "PUT /?a HTTP/1.1\r\nHost: h:8\r\nContent-Length: 7\r\n\r\n"),
        ("PUT", "/", &[], Chunked, "PUT / HTTP/1.1\r\nHost: h:8\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("OPTIONS", "*", &[], None, "OPTIONS * HTTP/1.1\r\nHost: h:8\r\n\r\n"),
        ("CONNECT", "a:443", &[], None, "CONNECT a:443 HTTP/1.1\r\nHost: h:8\r\n\r\n"),
        ("GET", "http://a/b", &[], None, "GET http://a/b HTTP/1.1\r\nHost: h:8\r\n\r\n"),
        ("GET", "/", &[(b"a", b"\t b c "), (b"E", b"")], None, "GET / HTTP/1.1\r\nHost: h:8\r\na: b c\r\nE: \r\n\r\n"),
        ("GET", "/", &[(b"a", b"b"), (b"hOST", b"x")], None, "GET / HTTP/1.1\r\nHost: x\r\na: b\r\n\r\n"),
        ("PUT", "/", &[(b"content-length", b"7")], Length(7), {
            "PUT / HTTP/1.1\r\nHost: h:8\r\nContent-Length: 7\r\n\r\n"
        }),
        ("GET", "/", &[(b"Content-Length", b"0")], None, "GET / HTTP/1.1\r\nHost: h:8\r\nContent-Length: 0\r\n\r\n"),
        ("GET", "/", &[(b"Connection", b"Close, te"), (b"TE", b"trailers")], None, {
            "GET / HTTP/1.1\r\nHost: h:8\r\nConnection: Close, te\r\nTE: trailers\r\n\r\n"
        }),
        ("GET", "/", &[(b"te", b"Trailers"), (b"Connection", b"close"), (b"connection", b"TE")], None, {
            "GET / HTTP/1.1\r\nHost: h:8\r\nte: Trailers\r\nConnection: close\r\nconnection: TE\r\n\r\n"
        }),
        ("TRACE", "/", &[(b"Max-Forwards", b"0")], None, {
            "TRACE / HTTP/1.1\r\nHost: h:8\r\nMax-Forwards: 0\r\n\r\n"
        }),
        // Method names are case-sensitive: this is another method, of which we know nothing (RFC 9110 section 9.1).
        ("trace", "/", &[(b"Cookie", b"a=b")], Length(1), {
            "trace / HTTP/1.1\r\nHost: h:8\r\nCookie: a=b\r\nContent-Length: 1\r\n\r\n"
        }),
        ("GET", "/", &[(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")], None, {
            "GET / HTTP/1.1\r\nHost: h:8\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        }),
        ("PUT", "/", &[(b"Expect", b"100-Continue")], Length(7), {
            "PUT / HTTP/1.1\r\nHost: h:8\r\nExpect: 100-Continue\r\nContent-Length: 7\r\n\r\n"
        }),
    ];
    for (method, target, headers, body, wire) in table {
        assert_eq!(encode(method, target, headers, body).as_deref(), Ok(wire));
    }
}

/// Goal: no request can be split or made to contradict itself. Method: a table, one error a row.
#[test]
fn refused() {
    use RequestBody::{Chunked, Length, None};
    let forbidden = |index, name| HeaderForbidden { index, name };
    let unnamed = |index, name| ConnectionOptionMissing { index, name };
    let secret = |index, name| HeaderSecret { index, name };
    let table: [(&str, &str, Fields, RequestBody, RequestHeadError); 40] = [
        ("", "/", &[], None, MethodNotToken),
        ("GET /x", "/", &[], None, MethodNotToken),
        ("G\r\n", "/", &[], None, MethodNotToken),
        ("GET", "", &[], None, TargetInvalid { at: 0 }),
        ("GET", "a", &[], None, TargetInvalid { at: 0 }),
        ("GET", "*", &[], None, TargetInvalid { at: 0 }),
        ("GET", "a?b=://c", &[], None, TargetInvalid { at: 0 }),
        ("CONNECT", "/", &[], None, TargetInvalid { at: 0 }),
        ("GET", "/a b", &[], None, TargetInvalid { at: 2 }),
        ("GET", "/a\r\n", &[], None, TargetInvalid { at: 2 }),
        ("GET", "/a#b", &[], None, TargetInvalid { at: 2 }),
        ("GET", "/\u{e9}", &[], None, TargetInvalid { at: 1 }),
        ("GET", "/", &[(b"", b"x")], None, HeaderName { index: 0, at: 0 }),
        ("GET", "/", &[(b"a", b"b"), (b"c:", b"x")], None, HeaderName { index: 1, at: 1 }),
        ("GET", "/", &[(b"a\r\nb", b"x")], None, HeaderName { index: 0, at: 1 }),
        ("GET", "/", &[(b"a", b"x\r\nb: c")], None, HeaderValue { index: 0, at: 1 }),
        ("GET", "/", &[(b"a", b"x\n")], None, HeaderValue { index: 0, at: 1 }),
        ("GET", "/", &[(b"a", b"\0")], None, HeaderValue { index: 0, at: 0 }),
        ("GET", "/", &[(b"a", b"\x7f")], None, HeaderValue { index: 0, at: 0 }),
        ("GET", "/", &[(b"Host", b"a/b")], None, HeaderValue { index: 0, at: 1 }),
        ("GET", "/", &[(b"Host", b"a"), (b"host", b"a")], None, forbidden(1, "Host")),
        ("PUT", "/", &[(b"Content-Length", b"6")], Length(7), forbidden(0, "Content-Length")),
        ("PUT", "/", &[(b"Content-Length", b"+7")], Length(7), forbidden(0, "Content-Length")),
        ("PUT", "/", &[(b"Content-Length", b"7")], Chunked, forbidden(0, "Content-Length")),
        ("GET", "/", &[(b"Content-Length", b"1")], None, forbidden(0, "Content-Length")),
        ("PUT", "/", &[(b"Transfer-Encoding", b"chunked")], Chunked, forbidden(0, "Transfer-Encoding")),
        ("GET", "/", &[(b"Connection", b"close, Cookie")], None, forbidden(0, "Connection")),
        ("GET", "/", &[(b"Upgrade", b"websocket")], None, unnamed(0, "Upgrade")),
        ("GET", "/", &[(b"a", b"b"), (b"te", b"trailers")], None, unnamed(1, "TE")),
        ("GET", "/", &[(b"TE", b"trailers"), (b"Connection", b"close, Upgrade")], None, unnamed(0, "TE")),
        ("GET", "/", &[(b"TE", b"gzip")], None, forbidden(0, "TE")),
        ("GET", "/", &[(b"TE", b"gzip, trailers"), (b"Connection", b"TE")], None, forbidden(0, "TE")),
        ("TRACE", "/", &[], Length(1), TraceContent),
        ("TRACE", "/", &[], Chunked, TraceContent),
        ("TRACE", "/", &[(b"a", b"b"), (b"authorization", b"Basic eA==")], None, secret(1, "Authorization")),
        ("TRACE", "/", &[(b"Cookie", b"a=b")], None, secret(0, "Cookie")),
        ("TRACE", "/", &[(b"Proxy-Authorization", b"x")], None, secret(0, "Proxy-Authorization")),
        ("PUT", "/", &[(b"Trailer", b"x")], Chunked, forbidden(0, "Trailer")),
        ("GET", "/", &[(b"Expect", b"100-continue")], None, forbidden(0, "Expect")),
        ("PUT", "/", &[(b"Expect", b"200-ok")], Length(7), forbidden(0, "Expect")),
    ];
    for (method, target, headers, body, error) in table {
        assert_eq!(encode(method, target, headers, body), Err(error), "{method} {target} {headers:?}");
    }
    let head = RequestHead { method: "GET", target: "/", host: "a b", headers: &[], own: &[], body: None };
    assert_eq!(head.encode(&mut Vec::new()), Err(HostInvalid { at: 1 }));
}

/// Goal: field checks on their own. Method: obs-text and surrounding whitespace pass, a control byte does not.
#[test]
fn fields() {
    assert_eq!(validate_header(b"a", b" \xff\x80\t"), Ok(()));
    assert_eq!(validate_header(b"a", b"b\x01"), Err(HeaderFault::Value { at: 1 }));
    assert_eq!(validate_header(b"a ", b""), Err(HeaderFault::Name { at: 1 }));
}

/// Goal: what the chunk writer writes, the decoder reads. Method: one body of two chunks, one empty chunk skipped.
#[test]
fn chunks() {
    let mut out = Vec::new();
    for part in [&b"0123456789abcdef!"[..], b"", b"x"] {
        encode_chunk_head(part.len() as u64, &mut out);
        if !part.is_empty() {
            out.extend_from_slice(part);
            out.extend_from_slice(CHUNK_END);
        }
    }
    out.extend_from_slice(LAST_CHUNK);
    assert_eq!(out, b"11\r\n0123456789abcdef!\r\n1\r\nx\r\n0\r\n\r\n");
}
