//! Bodies: no panic, the same answer for every split, limits kept, an end that is an error unless the body is complete.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use valtron_http::proto::{BodyDecoder, BodyKind, HeadBlock, Limits, ProtocolError};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    kind: Kind,
    small_limits: bool,
    /// Lengths of the pieces the bytes arrive in; used in turn, again and again.
    pieces: [u8; 4],
    /// A slice, not a `Vec`: it takes the rest of the input as it is, so that a dictionary works.
    bytes: &'a [u8],
}

#[derive(Arbitrary, Debug)]
enum Kind {
    Chunked,
    Chunks(Vec<u8>),
    Length(u16),
    UntilClose,
}

#[derive(Debug, PartialEq)]
struct Outcome {
    body: Vec<u8>,
    used: usize,
    done: bool,
    trailers: Option<HeadBlock>,
    error: Option<ProtocolError>,
    end: Result<(), ProtocolError>,
}

fuzz_target!(|input: Input<'_>| {
    let limits = limits(input.small_limits);
    let (kind, bytes, expected) = match &input.kind {
        Kind::Chunked => (BodyKind::Chunked, input.bytes.to_vec(), None),
        Kind::Chunks(sizes) => (BodyKind::Chunked, encode(input.bytes, sizes), Some(input.bytes)),
        Kind::Length(length) => (BodyKind::Length(u64::from(*length)), input.bytes.to_vec(), None),
        Kind::UntilClose => (BodyKind::UntilClose, input.bytes.to_vec(), Some(input.bytes)),
    };
    let whole = read(kind, &bytes, &limits, [usize::MAX].into_iter());
    let split = read(kind, &bytes, &limits, input.pieces.iter().map(|&piece| usize::from(piece).max(1)).cycle());
    let single = read(kind, &bytes, &limits, std::iter::repeat(1));
    if whole.error.is_none() {
        assert_eq!(whole, split, "the answer depends on how the bytes were cut");
        assert_eq!(whole, single, "the answer depends on how the bytes were cut");
    } else {
        // An error may hide progress of the call it ends; the body up to it and the error itself are the same.
        for other in [&split, &single] {
            assert_eq!((&whole.body, &whole.error), (&other.body, &other.error));
        }
    }
    if let Some(expected) = expected {
        assert_eq!((&whole.body[..], &whole.error, &whole.end), (expected, &None, &Ok(())));
    }
    if let Some(trailers) = &whole.trailers {
        assert!(trailers.bytes().len() <= limits.trailer_bytes_max);
        assert!(trailers.fields().len() <= limits.trailer_count_max);
        assert!(trailers.get("content-length").is_none() && trailers.get("transfer-encoding").is_none());
    }
});

fn limits(small: bool) -> Limits {
    if small {
        Limits {
            chunk_extension_bytes_max: 8,
            chunk_extension_excess_max: 16,
            trailer_bytes_max: 24,
            trailer_count_max: 2,
            ..Limits::default()
        }
    } else {
        Limits::default()
    }
}

/// A valid chunked body that carries `body` in chunks of the given sizes.
fn encode(body: &[u8], sizes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    let mut sizes = sizes.iter().cycle();
    while !rest.is_empty() {
        let size = usize::from(*sizes.next().unwrap_or(&7)).clamp(1, rest.len());
        valtron_http::proto::encode_chunk_head(size as u64, &mut out);
        if size % 2 == 1 {
            // Padding of one byte a chunk exceeds no limit, however many chunks there are.
            out.truncate(out.len() - 2);
            out.extend_from_slice(b" \r\n");
        }
        out.extend_from_slice(&rest[..size]);
        out.extend_from_slice(valtron_http::proto::CHUNK_END);
        rest = &rest[size..];
    }
    out.extend_from_slice(valtron_http::proto::LAST_CHUNK);
    out
}

fn read(kind: BodyKind, bytes: &[u8], limits: &Limits, pieces: impl Iterator<Item = usize>) -> Outcome {
    let mut decoder = BodyDecoder::new(kind, limits);
    let mut body = Vec::new();
    let mut used = 0;
    let mut error = None;
    'stream: for piece in pieces {
        let end = used + piece.min(bytes.len() - used);
        loop {
            let input = &bytes[used..end];
            match decoder.decode(input) {
                Err(fault) => {
                    assert_eq!(decoder.decode(input), Err(fault.clone()), "an error is final");
                    error = Some(fault);
                    break 'stream;
                }
                Ok(step) => {
                    assert!(step.used <= input.len() && step.data.start <= step.data.end && step.data.end <= step.used);
                    assert!(step.used > 0 || step.done || input.is_empty(), "no progress");
                    body.extend_from_slice(&input[step.data]);
                    used += step.used;
                    assert_eq!(step.done, decoder.is_done());
                    if step.done {
                        assert_eq!(decoder.decode(&bytes[used..]).map(|step| (step.used, step.done)), Ok((0, true)));
                        break 'stream;
                    }
                    if step.used == 0 {
                        break;
                    }
                }
            }
        }
        if used == bytes.len() {
            break;
        }
    }
    assert_eq!(decoder.received(), body.len() as u64);
    let done = decoder.is_done();
    let end = decoder.finish();
    assert_eq!(end.is_ok(), done || (kind == BodyKind::UntilClose && error.is_none()), "the end of the stream");
    Outcome { body, used, done, trailers: decoder.take_trailers(), error, end }
}
