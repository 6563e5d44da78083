//! Bodies: length, chunks, until close.

use super::*;
use ProtocolError::*;

/// What came of a body: its bytes, what was left behind it, whether it was done, what the end of the stream said.
type Outcome = (Vec<u8>, Result<(usize, bool), ProtocolError>, Result<(), ProtocolError>, Option<HeadBlock>);

fn read_body(kind: BodyKind, limits: &Limits, bytes: &[u8], ends: &[usize]) -> Outcome {
    let mut decoder = BodyDecoder::new(kind, limits);
    let (mut body, mut used) = (Vec::new(), 0);
    for &end in ends {
        loop {
            match decoder.decode(&bytes[used..end]) {
                Ok(step) => {
                    body.extend_from_slice(&bytes[used..end][step.data]);
                    used += step.used;
                    if step.used == 0 || step.done {
                        break;
                    }
                }
                Err(error) => return (body, Err(error), decoder.finish(), None),
            }
        }
    }
    let done = decoder.is_done();
    let end = decoder.finish();
    (body, Ok((bytes.len() - used, done)), end, decoder.take_trailers())
}

fn read(kind: BodyKind, bytes: &[u8]) -> Outcome {
    same_for_every_split(bytes, |ends| read_body(kind, &Limits::default(), bytes, ends))
}

/// Goal: each kind ends where it must, leaves alone what follows, and an early end is an error. Method: a table.
#[test]
fn kinds() {
    let cut = |received, expected| Err(BodyTruncated { received, expected });
    type Row = (BodyKind, &'static [u8], &'static [u8], usize, bool, Result<(), ProtocolError>);
    let table: [Row; 13] = [
        (BodyKind::None, b"xy", b"", 2, true, Ok(())),
        (BodyKind::Length(0), b"", b"", 0, true, Ok(())),
        (BodyKind::Length(3), b"abcde", b"abc", 2, true, Ok(())),
        (BodyKind::Length(3), b"ab", b"ab", 0, false, cut(2, Some(3))),
        (BodyKind::Length(u64::MAX), b"ab", b"ab", 0, false, cut(2, Some(u64::MAX))),
        (BodyKind::UntilClose, b"abc", b"abc", 0, false, Ok(())),
        (BodyKind::Chunked, b"0\r\n\r\nHTTP", b"", 4, true, Ok(())),
        (BodyKind::Chunked, b"5\r\nhello\r\n0\r\n\r\n", b"hello", 0, true, Ok(())),
        (BodyKind::Chunked, b"00A\r\n0123456789\r\n1\r\nx\r\n000\r\n\r\n", b"0123456789x", 0, true, Ok(())),
        (BodyKind::Chunked, b"2;a=\"b;c\";d\r\nhi\r\n0 ; x\r\n\r\n", b"hi", 0, true, Ok(())),
        (BodyKind::Chunked, b"2 \t\r\nhi\r\n0\r\n\r\n", b"hi", 0, true, Ok(())),
        (BodyKind::Chunked, b"2\t ;a b\r\nhi\r\n0\t\r\n\r\n", b"hi", 0, true, Ok(())),
        (BodyKind::Chunked, b"5\r\nhel", b"hel", 0, false, cut(3, None)),
    ];
    for (kind, bytes, body, left, done, end) in table {
        assert_eq!(read(kind, bytes), (body.to_vec(), Ok((left, done)), end, None), "{kind:?} {bytes:?}");
    }
}

/// Goal: short input is never an error before the stream ends, and always one after. Method: every proper prefix.
#[test]
fn short_input() {
    let bytes = b"3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n";
    for end in 0..bytes.len() {
        let (body, step, finish, _) = read_body(BodyKind::Chunked, &Limits::default(), &bytes[..end], &[end]);
        assert_eq!(step, Ok((0, false)), "{end} bytes");
        assert_eq!(finish, Err(BodyTruncated { received: body.len() as u64, expected: None }));
    }
}

/// Goal: malformed chunks are refused by name, however they are cut. Method: a table, one error a row.
#[test]
fn malformed_chunks() {
    let table: [(&[u8], ProtocolError); 29] = [
        (b"+5\r\n", ChunkSizeInvalid { byte: b'+' }),
        (b"-1\r\n", ChunkSizeInvalid { byte: b'-' }),
        (b" 5\r\n", ChunkSizeInvalid { byte: b' ' }),
        (b"0x5\r\n", ChunkSizeInvalid { byte: b'x' }),
        (b"g\r\n", ChunkSizeInvalid { byte: b'g' }),
        (b"\r\n", ChunkSizeInvalid { byte: b'\r' }),
        (b";a\r\n", ChunkSizeInvalid { byte: b';' }),
        (b"5\n", ChunkSizeInvalid { byte: b'\n' }),
        (b"5 6\r\n", ChunkSizeInvalid { byte: b'6' }),
        (b"5 garbage\r\n", ChunkSizeInvalid { byte: b'g' }),
        (b"1 ;a\r\nxx", ChunkLineEnd { byte: b'x' }),
        (b"5 \n", ChunkSizeInvalid { byte: b'\n' }),
        (b"5 \0\r\n", ChunkSizeInvalid { byte: 0 }),
        (b"5=a\r\n", ChunkSizeInvalid { byte: b'=' }),
        (b"0 0\r\n\r\n", ChunkSizeInvalid { byte: b'0' }),
        (b"5\rx", ChunkLineEnd { byte: b'x' }),
        (b"5\r\r\n", ChunkLineEnd { byte: b'\r' }),
        (b"10000000000000000\r\n", ChunkSizeOverflow),
        (b"00000000000000005\r\n", ChunkSizeOverflow),
        (b"5;a\nhello", ChunkExtensionInvalid { byte: b'\n' }),
        (b"5;a=\"\0\"\r\n", ChunkExtensionInvalid { byte: 0 }),
        (b"5;a=\"b\r\rc\"\r\n", ChunkLineEnd { byte: b'\r' }),
        (b"1\r\nabc", ChunkLineEnd { byte: b'b' }),
        (b"1\r\na\n", ChunkLineEnd { byte: b'\n' }),
        (b"0\r\n\rx", ChunkLineEnd { byte: b'x' }),
        (b"0\r\na: b\n\r\n", BareLf { at: 4 }),
        (b"0\r\na : b\r\n\r\n", SpaceBeforeColon { at: 1 }),
        (b"0\r\n a: b\r\n\r\n", ObsFold { at: 0 }),
        (b"0\r\na: b\r\n \r\n\r\n", ObsFold { at: 6 }),
    ];
    for (bytes, error) in table {
        let (_, step, end, _) = read(BodyKind::Chunked, bytes);
        assert_eq!((step, end), (Err(error.clone()), Err(error)), "{:?}", String::from_utf8_lossy(bytes));
    }
}

/// Goal: the largest size is read. Method: 16 digits of f, and the state after them.
#[test]
fn largest_chunk() {
    let (body, step, ..) = read(BodyKind::Chunked, b"ffffffffffffffff\r\nab");
    assert_eq!((body, step), (b"ab".to_vec(), Ok((0, false))));
}

/// Goal: trailers are kept, those that must not trail are dropped. Method: one of each, and only forbidden ones.
#[test]
fn trailers() {
    let (_, step, _, trailers) = read(BodyKind::Chunked, b"0\r\nDigest: x\r\ncontent-length: 5\r\nT: u\r\n\r\n");
    assert_eq!(step, Ok((0, true)));
    let trailers = trailers.unwrap();
    assert_eq!(trailers.iter().collect::<Vec<_>>(), [(&b"Digest"[..], &b"x"[..]), (b"T", b"u")]);
    let (_, step, _, trailers) = read(BodyKind::Chunked, b"0\r\nHost: a\r\n\r\nmore");
    assert_eq!((step, trailers), (Ok((4, true)), None));
    // Folded values are read as those of a head are (RFC 9112 section 5.2 speaks of the whole message).
    let (_, step, _, trailers) = read(BodyKind::Chunked, b"0\r\nT: u\r\n\tv\r\nHost: a\r\n b\r\nW: x\r\n\r\n");
    assert_eq!(step, Ok((0, true)));
    let trailers = trailers.unwrap();
    assert_eq!(trailers.iter().collect::<Vec<_>>(), [(&b"T"[..], &b"u   v"[..]), (b"W", b"x")]);
}

/// Goal: each limit holds to the unit. Method: bodies at the limit, then the limit lowered by one.
#[test]
fn limits() {
    let bytes = b"1;abc\r\nx\r\n1;abc\r\nx\r\n0\r\na: b\r\nc: d\r\n\r\n";
    let exact = Limits {
        chunk_extension_bytes_max: 4,
        chunk_extension_excess_max: 7,
        trailer_bytes_max: 14,
        trailer_count_max: 2,
        ..Limits::default()
    };
    let read = |limits: &Limits| {
        same_for_every_split(bytes, |ends| read_body(BodyKind::Chunked, limits, bytes, ends)).1.map(|_| ())
    };
    assert_eq!(read(&exact), Ok(()));
    let limits = Limits { chunk_extension_bytes_max: 3, ..exact };
    assert_eq!(read(&limits), Err(ChunkExtensionTooLong { max: 3 }));
    let limits = Limits { chunk_extension_excess_max: 6, ..exact };
    assert_eq!(read(&limits), Err(ChunkExtensionsTooMany { max: 6 }));
    assert_eq!(read(&Limits { trailer_bytes_max: 13, ..exact }), Err(TrailersTooLarge { max: 13 }));
    assert_eq!(read(&Limits { trailer_count_max: 1, ..exact }), Err(TrailersTooMany { max: 1 }));
}

/// Goal: the decoder tells how much is due. Method: asked at the start, in the middle, at the end.
#[test]
fn remaining() {
    let limits = Limits::default();
    let mut decoder = BodyDecoder::new(BodyKind::Length(3), &limits);
    assert_eq!(decoder.remaining(), Some(3));
    decoder.decode(b"ab").unwrap();
    assert_eq!((decoder.remaining(), decoder.received()), (Some(1), 2));
    let mut decoder = BodyDecoder::new(BodyKind::Chunked, &limits);
    assert_eq!(decoder.remaining(), None);
    decoder.decode(b"0\r\n\r\n").unwrap();
    assert_eq!(decoder.remaining(), Some(0));
    let mut decoder = BodyDecoder::new(BodyKind::UntilClose, &limits);
    assert_eq!(decoder.finish(), Ok(()));
    assert!(decoder.is_done() && decoder.remaining() == Some(0));
}
