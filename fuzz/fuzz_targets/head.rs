//! Response heads: no panic, the same answer for every split, limits kept, framing decided without contradiction.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use valtron_http::proto::{
    redirect_location, response_framing, BodyKind, CloseReason, HeadReader, HeadStep, Limits, ProtocolError,
    ResponseHead,
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    small_limits: bool,
    /// Lengths of the pieces the bytes arrive in; used in turn, again and again.
    pieces: [u8; 4],
    /// A slice, not a `Vec`: it takes the rest of the input as it is, so that a dictionary works.
    bytes: &'a [u8],
}

type Outcome = (Vec<(usize, ResponseHead)>, Option<ProtocolError>);

fuzz_target!(|input: Input<'_>| {
    let limits = limits(input.small_limits);
    let whole = read(input.bytes, &limits, [usize::MAX].into_iter());
    let split = read(input.bytes, &limits, input.pieces.iter().map(|&piece| usize::from(piece).max(1)).cycle());
    assert_eq!(whole, split, "the answer depends on how the bytes were cut");
    let single = read(input.bytes, &limits, std::iter::repeat(1));
    assert_eq!(whole, single, "the answer depends on how the bytes were cut");
    let mut interims = 0;
    for (used, head) in &whole.0 {
        check(*used, head, &limits);
        interims = if head.is_interim() { interims + 1 } else { 0 };
        assert!(interims <= limits.interim_count_max);
    }
});

fn limits(small: bool) -> Limits {
    if small {
        Limits { head_bytes_max: 48, header_count_max: 2, interim_count_max: 1, ..Limits::default() }
    } else {
        Limits::default()
    }
}

/// Reads heads one after the other, the buffer growing by the given pieces.
fn read(bytes: &[u8], limits: &Limits, mut pieces: impl Iterator<Item = usize>) -> Outcome {
    let mut reader = HeadReader::new();
    let mut heads = Vec::new();
    let (mut start, mut end) = (0, 0);
    loop {
        match reader.parse(&bytes[start..end], limits) {
            Err(error) => return (heads, Some(error)),
            Ok(HeadStep::Complete { used, head }) => {
                assert!(used > 0 && used <= end - start);
                start += used;
                heads.push((used, head));
            }
            Ok(HeadStep::NeedMore) if end == bytes.len() => return (heads, None),
            Ok(HeadStep::NeedMore) => end += pieces.next().unwrap_or(usize::MAX).min(bytes.len() - end),
        }
    }
}

fn check(used: usize, head: &ResponseHead, limits: &Limits) {
    assert!(used <= limits.head_bytes_max);
    assert!((100..=999).contains(&head.status) && head.version_minor <= 9);
    assert!(head.block.fields().len() <= limits.header_count_max);
    let clean = |bytes: &[u8]| bytes.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
    assert!(clean(head.reason_phrase()));
    // Folds have become spaces, and nothing has moved.
    let text = head.block.bytes();
    assert_eq!(text.len(), used);
    assert!(!text.windows(2).any(|pair| pair == b"\n " || pair == b"\n\t"));
    for (name, value) in head.iter() {
        assert!(valtron_http::proto::is_token(name) && clean(value));
        assert!(!value.starts_with(b" ") && !value.ends_with(b" "));
    }
    let _ = redirect_location(head);
    for method in ["GET", "HEAD", "CONNECT"] {
        let Ok(framing) = response_framing(method, head) else { continue };
        let until_close = framing.body == BodyKind::UntilClose;
        assert_eq!(until_close, framing.keep_alive == Err(CloseReason::UntilClose));
        if method == "HEAD" || head.status < 200 || matches!(head.status, 204 | 304) {
            assert_eq!(framing.body, BodyKind::None);
        }
        if framing.body == BodyKind::Chunked {
            assert!(head.get("content-length").is_none() && head.version_minor >= 1);
        }
    }
}
