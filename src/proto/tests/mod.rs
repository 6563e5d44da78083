//! Tables over literal bytes, and the driver that cuts them at every place.

mod body;
mod encode;
mod framing;
mod head;

use super::*;
use std::fmt::Debug;

/// The head of a complete response; panics on anything else.
fn head(bytes: &[u8]) -> ResponseHead {
    match HeadReader::new().parse(bytes, &Limits::default()) {
        Ok(HeadStep::Complete { head, .. }) => head,
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

/// Runs `read` on `bytes` whole, cut in two at every place, and byte by byte; all answers must be the same.
/// `read` takes the ends of the pieces, the last of which is the length of the input.
fn same_for_every_split<T: PartialEq + Debug>(bytes: &[u8], read: impl Fn(&[usize]) -> T) -> T {
    let whole = read(&[bytes.len()]);
    let text = String::from_utf8_lossy(bytes);
    for cut in 0..bytes.len() {
        assert_eq!(read(&[cut, bytes.len()]), whole, "{text:?} cut at {cut}");
    }
    let every: Vec<usize> = (0..=bytes.len()).collect();
    assert_eq!(read(&every), whole, "{text:?} byte by byte");
    whole
}

/// Goal: whose fault an error is can be told from its kind. Method: one of each group.
#[test]
fn faults() {
    let table = [
        (ProtocolError::PeerSpeaksTls, Fault::Malformed),
        (ProtocolError::ChunkSizeOverflow, Fault::Malformed),
        (ProtocolError::LengthAndTransferEncoding, Fault::Misbehaved),
        (ProtocolError::BodyTruncated { received: 1, expected: Some(2) }, Fault::Misbehaved),
        (ProtocolError::HeadTooLarge { max: 1 }, Fault::LimitExceeded),
        (ProtocolError::NoMemory { bytes: 1 }, Fault::NoMemory),
    ];
    for (error, fault) in table {
        assert_eq!(error.fault(), fault, "{error}");
    }
}

/// Goal: what a method promises. Method: the registered names, one in the wrong case, one unknown.
#[test]
fn methods() {
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
        assert!(is_idempotent(method), "{method}");
    }
    for method in ["POST", "PATCH", "CONNECT", "get", "LINK", ""] {
        assert!(!is_idempotent(method), "{method}");
    }
    assert!(expects_body("POST") && expects_body("PUT") && expects_body("PATCH") && !expects_body("DELETE"));
    assert!(is_token(b"x-!#$%&'*+.^_`|~9"));
    for bytes in [&b""[..], b"a b", b"a:", b"\xe9", b"a\0"] {
        assert!(!is_token(bytes), "{bytes:?}");
    }
}
