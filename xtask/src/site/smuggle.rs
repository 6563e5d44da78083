//! Answers whose framing is contradictory or malformed (RFC 9112 sections 5 to 7). A strict client refuses each, but
//! for `same-cl`, where equal repeats may be taken as one, and `te-upper`, `close-reason-empty`, `obs-fold`, which are
//! legal.

use std::io;

use super::conn::{After, Stream};

pub fn answer(out: &mut Box<dyn Stream>, name: &str) -> io::Result<After> {
    match CASES.iter().find(|(case, _)| *case == name) {
        Some((_, bytes)) => out.write_all(bytes)?,
        None => {
            let names: String = CASES.iter().map(|(case, _)| format!("{case}\n")).collect();
            out.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{names}", names.len()).as_bytes())?;
        }
    }
    Ok(After::Close)
}

#[cfg(test)]
pub fn names() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|(name, _)| *name)
}

const CASES: &[(&str, &[u8])] = &[
    ("te-cl", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("cl-te", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("two-cl", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    ("list-cl", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!"),
    ("same-cl", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    ("cl-plus", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
    ("cl-negative", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"),
    ("cl-hex", b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello"),
    ("cl-empty", b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nhello"),
    ("cl-word", b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello"),
    ("cl-overflow", b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\nhello"),
    ("te-chunked-identity", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("te-identity", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nhello"),
    ("te-unknown", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("te-twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("te-empty", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("te-quoted", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \"chunked\"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("te-10", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("te-upper", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("name-space", b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ("name-nul", b"HTTP/1.1 200 OK\r\nContent-\0Length: 5\r\n\r\nhello"),
    ("value-nul", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: a\0b\r\n\r\nhello"),
    ("value-cr", b"HTTP/1.1 200 OK\r\nX-A: a\rContent-Length: 1\r\nContent-Length: 5\r\n\r\nhello"),
    ("bare-lf", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
    ("obs-fold", b"HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 5\r\n\r\nhello"),
    ("chunk-plus", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n"),
    ("chunk-hex", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"),
    ("chunk-empty", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n"),
    ("chunk-space", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n"),
    ("chunk-lf", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n"),
    ("chunk-ext-lf", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=\nb\r\nhello\r\n0\r\n\r\n"),
    ("chunk-long", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n"),
    ("chunk-overflow", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("switching", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\nfoo"),
    ("status-short", b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("status-letters", b"HTTP/1.1 2x0 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("version", b"HTTP/3.7 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
    ("not-http", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    ("close-reason-empty", b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"),
];
