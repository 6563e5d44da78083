//! Response heads.

use super::*;
use ProtocolError::*;

type Heads = Result<Vec<(usize, ResponseHead)>, ProtocolError>;

/// Reads heads until the bytes end; the pieces end at `ends`.
fn read_heads(bytes: &[u8], ends: &[usize], limits: &Limits) -> Heads {
    let mut reader = HeadReader::new();
    let mut heads = Vec::new();
    let mut start = 0;
    for &end in ends {
        while let HeadStep::Complete { used, head } = reader.parse(&bytes[start..end], limits)? {
            start += used;
            heads.push((used, head));
        }
    }
    Ok(heads)
}

fn read(bytes: &[u8]) -> Heads {
    same_for_every_split(bytes, |ends| read_heads(bytes, ends, &Limits::default()))
}

/// Goal: legal heads are read, however they are cut. Method: status, version, reason and fields of a table.
#[test]
fn legal_heads() {
    type Row = (&'static [u8], u16, u8, &'static [u8], &'static [(&'static str, &'static [u8])]);
    let table: [Row; 8] = [
        (b"HTTP/1.1 200 OK\r\n\r\n", 200, 1, b"OK", &[]),
        // A higher minor version is read as the highest we know (RFC 9110 section 2.5).
        (b"HTTP/1.2 200 OK\r\n\r\n", 200, 2, b"OK", &[]),
        (b"HTTP/1.9 200\r\na: b\r\n\r\n", 200, 9, b"", &[("a", b"b")]),
        (b"HTTP/1.0 404 Not Found\r\na:b\r\n\r\n", 404, 0, b"Not Found", &[("A", b"b")]),
        (b"HTTP/1.1 204\r\n\r\n", 204, 1, b"", &[]),
        (b"HTTP/1.1 999 \r\nX: \t y z \t\r\nE:\r\n\r\n", 999, 1, b"", &[("x", b"y z"), ("e", b"")]),
        (b"HTTP/1.1 200 \xe9t\xe9\r\nv: \xff\r\n\r\n", 200, 1, b"\xe9t\xe9", &[("V", b"\xff")]),
        (b"HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\nA: 3\r\n\r\n", 200, 1, b"OK", &[("a", b"1"), ("b", b"2"), ("a", b"3")]),
    ];
    for (bytes, status, version_minor, reason, fields) in table {
        let heads = read(bytes).unwrap();
        let [(used, head)] = &heads[..] else { panic!("{heads:?}") };
        assert_eq!((*used, head.status, head.version_minor), (bytes.len(), status, version_minor));
        assert_eq!(head.reason_phrase(), reason);
        assert_eq!(head.iter().count(), fields.len());
        for ((name, value), (expected_name, expected_value)) in head.iter().zip(fields) {
            assert!(name.eq_ignore_ascii_case(expected_name.as_bytes()));
            assert_eq!(value, *expected_value);
        }
    }
}

/// Goal: fields are found by name, in any case and in order. Method: one head with a repeated field.
#[test]
fn look_ups() {
    let head = head(b"HTTP/1.1 200 OK\r\nVary: a\r\nx: y\r\nvary: b\r\n\r\n");
    assert_eq!(head.get("VARY"), Some(&b"a"[..]));
    assert_eq!(head.get_all("vary").collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(head.get("none"), None);
    let span = head.block.fields()[1].value;
    assert_eq!(head.block.slice(span), b"y");
    assert_eq!(head.block.slice(Span { start: u32::MAX, len: u32::MAX }), b"");
}

/// Goal: what is not HTTP/1.1 is refused by name and place, however it is cut. Method: a table, one error a row.
#[test]
fn malformed_heads() {
    let table: [(&[u8], ProtocolError); 48] = [
        (b"\x15\x03\x01\x00\x02\x02\x46", PeerSpeaksTls),
        (b"\x16\x03\x03\x00\x31", PeerSpeaksTls),
        (b"\x16HTTP", NotHttp { at: 0 }),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PeerSpeaksHttp2),
        (b"\0\0\x0a\x04\0\0\0\0\0", PeerSpeaksHttp2),
        (b"\0\0\x0a\x05\0\0\0\0\0", NotHttp { at: 0 }),
        (b"HTTP/2 200\r\n\r\n", VersionUnsupported),
        (b"HTTP/0.9 200 OK\r\n\r\n", VersionUnsupported),
        (b"HTTP/2.0 200 OK\r\n\r\n", VersionUnsupported),
        (b"HTTP/1.10 200 OK\r\n\r\n", StatusLine { at: 8 }),
        (b"HTTP/1.x 200 OK\r\n\r\n", StatusLine { at: 7 }),
        (b"HTTP/11.1 200 OK\r\n\r\n", VersionUnsupported),
        (b"http/1.1 200 OK\r\n\r\n", NotHttp { at: 0 }),
        (b"<html>", NotHttp { at: 0 }),
        (b"HTML", NotHttp { at: 2 }),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", LeadingEmptyLine),
        (b"\nHTTP/1.1 200 OK\r\n\r\n", LeadingEmptyLine),
        (b"HTTP/1.\r\n\r\n", StatusLine { at: 7 }),
        (b"HTTP/1.1\t200 OK\r\n\r\n", StatusLine { at: 8 }),
        (b"HTTP/1.1  200 OK\r\n\r\n", StatusLine { at: 9 }),
        (b"HTTP/1.1 20 OK\r\n\r\n", StatusLine { at: 11 }),
        (b"HTTP/1.1 2000 OK\r\n\r\n", StatusLine { at: 12 }),
        (b"HTTP/1.1 +20 OK\r\n\r\n", StatusLine { at: 9 }),
        (b"HTTP/1.1 200 O\0K\r\n\r\n", StatusLine { at: 14 }),
        (b"HTTP/1.1 200 O\rK\r\n\r\n", BareCr { at: 14 }),
        (b"HTTP/1.1 099 OK\r\n\r\n", StatusOutOfRange { status: 99 }),
        (b"HTTP/1.1 200 OK\n\r\n", BareLf { at: 15 }),
        (b"HTTP/1.1 200 OK\r\na: b\n\r\n", BareLf { at: 21 }),
        (b"HTTP/1.1 200 OK\r\na: b\r\n\n", BareLf { at: 23 }),
        (b"HTTP/1.1 200 OK\r\na: b\rc\r\n\r\n", BareCr { at: 21 }),
        (b"HTTP/1.1 200 OK\r\n a: b\r\n\r\n", ObsFold { at: 17 }),
        (b"HTTP/1.1 200 OK\r\n\ta: b\r\nc: d\r\n\r\n", ObsFold { at: 17 }),
        (b"HTTP/1.1 200 OK\r\n \r\na: b\r\n\r\n", ObsFold { at: 17 }),
        (b"HTTP/1.1 200 OK\r\na: b\r\n \r\n\r\n", ObsFold { at: 23 }),
        (b"HTTP/1.1 200 OK\r\na: b\r\n c\r\n\t \r\n\r\n", ObsFold { at: 27 }),
        (b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\n", ObsFold { at: 34 }),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n 0\r\n\r\n", ObsFold { at: 36 }),
        (b"HTTP/1.1 200 OK\r\na: b\r\nTransfer-Encoding: x,\r\n\tchunked\r\n\r\n", ObsFold { at: 46 }),
        (b"HTTP/1.1 200 OK\r\na\r\n b: c\r\n\r\n", HeaderName { at: 18 }),
        (b"HTTP/1.1 200 OK\r\na\r\n : c\r\n\r\n", HeaderName { at: 18 }),
        (b"HTTP/1.1 200 OK\r\na: b\r\n c\0\r\n\r\n", HeaderValue { at: 25 }),
        (b"HTTP/1.1 200 OK\r\na: b\r\n c\rd\r\n\r\n", BareCr { at: 25 }),
        (b"HTTP/1.1 200 OK\r\na: b\n c\r\n\r\n", BareLf { at: 21 }),
        (b"HTTP/1.1 200 OK\r\na : b\r\n\r\n", SpaceBeforeColon { at: 18 }),
        (b"HTTP/1.1 200 OK\r\n: b\r\n\r\n", HeaderName { at: 17 }),
        (b"HTTP/1.1 200 OK\r\nab\r\n\r\n", HeaderName { at: 19 }),
        (b"HTTP/1.1 200 OK\r\na: b\0\r\n\r\n", HeaderValue { at: 21 }),
        (b"HTTP/1.1 200 OK\r\na: b\x7f\r\n\r\n", HeaderValue { at: 21 }),
    ];
    for (bytes, error) in table {
        assert_eq!(read(bytes), Err(error), "{:?}", String::from_utf8_lossy(bytes));
    }
}

/// Goal: a folded value is read as one line, its folds spaces (RFC 9112 section 5.2), and nothing else moves. Method: a
/// table of field sections, each with the same section after the folds were replaced, and the fields in it.
#[test]
fn folded_values() {
    type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
    let table: [Row; 7] = [
        ("a: b\r\n c\r\n", "a: b   c\r\n", &[("a", "b   c")]),
        ("a: b \t\r\n\t c\r\nd: e\r\n", "a: b      c\r\nd: e\r\n", &[("a", "b      c"), ("d", "e")]),
        ("a: b\r\n c\r\n\td\r\n", "a: b   c   d\r\n", &[("a", "b   c   d")]),
        ("a:\r\n b\r\n", "a:   b\r\n", &[("a", "b")]),
        ("a:\t\r\n b\t\r\n", "a:    b\t\r\n", &[("a", "b")]),
        ("x: y\r\na: b\r\n c: d\r\ne: f\r\n", "x: y\r\na: b   c: d\r\ne: f\r\n", {
            &[("x", "y"), ("a", "b   c: d"), ("e", "f")]
        }),
        // To a folding reader this is one field. One that does not fold is not us.
        ("a: b\r\n Content-Length: 5\r\n", "a: b   Content-Length: 5\r\n", &[("a", "b   Content-Length: 5")]),
    ];
    for (section, unfolded, fields) in table {
        let text = format!("HTTP/1.1 200 OK\r\n{section}\r\n");
        let heads = read(text.as_bytes()).unwrap();
        let [(used, head)] = &heads[..] else { panic!("{heads:?}") };
        assert_eq!(*used, text.len(), "{section:?}");
        let expected = format!("HTTP/1.1 200 OK\r\n{unfolded}\r\n");
        assert_eq!(String::from_utf8_lossy(head.block.bytes()), expected);
        let wanted: Vec<_> = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        assert_eq!(head.iter().collect::<Vec<_>>(), wanted, "{section:?}");
    }
}

/// Goal: folds cost time in proportion to the head and count as lines. Method: a head of folds alone at the limit of
/// lines, and one more.
#[test]
fn many_folds() {
    let limits = Limits { header_count_max: 4_000, ..Limits::default() };
    for (folds, ok) in [(3_999, true), (4_000, false)] {
        let bytes = format!("HTTP/1.1 200 OK\r\na: b\r\n{}\r\n", "  c\r\n".repeat(folds));
        match HeadReader::new().parse(bytes.as_bytes(), &limits) {
            Ok(HeadStep::Complete { head, .. }) => {
                assert!(ok && head.get("a").is_some_and(|value| value.len() == 1 + 5 * folds));
            }
            other => assert_eq!((ok, other), (false, Err(HeadersTooMany { max: 4_000 }))),
        }
    }
}

/// Goal: short input is never an error. Method: every proper prefix of a legal head.
#[test]
fn short_input() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    for end in 0..bytes.len() {
        let mut reader = HeadReader::new();
        assert_eq!(reader.parse(&bytes[..end], &Limits::default()), Ok(HeadStep::NeedMore), "{end} bytes");
        let ended = if end == 0 { Ok(()) } else { Err(HeadTruncated { received: end }) };
        assert_eq!(reader.finish(&bytes[..end]), ended);
    }
}

/// Goal: each limit holds to the unit. Method: a head at the limit, then the limit lowered by one.
#[test]
fn limits() {
    let bytes = b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\n\r\n";
    let exact = Limits { head_bytes_max: 31, header_count_max: 2, interim_count_max: 2, ..Limits::default() };
    let read = |limits: &Limits| same_for_every_split(bytes, |ends| read_heads(bytes, ends, limits));
    assert_eq!(read(&exact).map(|heads| heads.len()), Ok(3));
    assert_eq!(read(&Limits { head_bytes_max: 30, ..exact }), Err(HeadTooLarge { max: 30 }));
    assert_eq!(read(&Limits { header_count_max: 1, ..exact }), Err(HeadersTooMany { max: 1 }));
    assert_eq!(read(&Limits { interim_count_max: 1, ..exact }), Err(InterimTooMany { max: 1 }));
}

/// Goal: heads with more fields than the parser's own table are read, too. Method: 100 fields.
#[test]
fn many_fields() {
    let bytes = format!("HTTP/1.1 200 OK\r\n{}\r\n", "name: value\r\n".repeat(100));
    assert_eq!(head(bytes.as_bytes()).get_all("name").count(), 100);
}

/// Goal: no control character passes, wherever it stands in a long line, since long lines are searched in strides.
/// Method: each control character at each place of a name, a value and a reason phrase of 70 bytes.
#[test]
fn control_characters() {
    for byte in (0..=0x1f).chain([0x7f]).filter(|&byte| byte != b'\t') {
        for at in 0..70 {
            for (before, after) in [
                ("HTTP/1.1 200 ", "\r\n\r\n"),
                ("HTTP/1.1 200 OK\r\n", ": a\r\n\r\n"),
                ("HTTP/1.1 200 OK\r\na: ", "\r\n\r\n"),
            ] {
                let mut bytes = format!("{before}{}{after}", "x".repeat(70)).into_bytes();
                bytes[before.len() + at] = byte;
                let place = before.len() + at;
                let error = HeadReader::new().parse(&bytes, &Limits::default()).unwrap_err();
                let named = match error {
                    BareLf { at } | BareCr { at } | HeaderName { at } | HeaderValue { at } | StatusLine { at } => at,
                    other => panic!("{other:?}"),
                };
                assert_eq!(named, place, "{byte:#x}");
            }
        }
    }
}

/// Goal: the reader accepts nothing httparse refuses, and refuses what httparse accepts only on purpose. Method: each
/// byte of a head replaced by each of a set of telling bytes.
#[test]
fn against_httparse() {
    let model = b"HTTP/1.1 200 OK\r\nab: cd\r\ne: f\r\n\r\n";
    for at in 0..model.len() {
        for byte in *b"\0\t\n\r :,019AZaz\x15\x16\x7f\x80\xff/" {
            let mut bytes = model.to_vec();
            bytes[at] = byte;
            let mut slots = [httparse::EMPTY_HEADER; 8];
            let mut theirs = httparse::Response::new(&mut slots);
            let accepted = theirs.parse(&bytes);
            let text = String::from_utf8_lossy(&bytes);
            match HeadReader::new().parse(&bytes, &Limits::default()) {
                // They know no version above 1.1.
                Ok(HeadStep::Complete { head, .. }) if head.version_minor > 1 => {
                    assert_eq!(accepted, Err(httparse::Error::Version), "{text:?}");
                }
                // They fold when told to, but leave the folds where they are.
                Ok(HeadStep::Complete { head, .. })
                    if bytes.windows(2).any(|pair| pair == b"\n " || pair == b"\n\t") =>
                {
                    let mut config = httparse::ParserConfig::default();
                    config.allow_obsolete_multiline_headers_in_responses(true);
                    let mut slots = [httparse::EMPTY_HEADER; 8];
                    let mut theirs = httparse::Response::new(&mut slots);
                    let accepted = config.parse_response(&mut theirs, &bytes);
                    assert!(accepted.is_ok_and(|status| status.is_complete()), "{text:?}");
                    assert_eq!(theirs.headers.len(), head.iter().count(), "{text:?}");
                }
                Ok(HeadStep::Complete { used, head }) => {
                    assert_eq!(accepted, Ok(httparse::Status::Complete(used)), "{text:?}");
                    assert_eq!((theirs.code, theirs.version), (Some(head.status), Some(head.version_minor)));
                    let fields: Vec<_> = theirs.headers.iter().map(|f| (f.name.as_bytes(), f.value)).collect();
                    assert_eq!(head.iter().collect::<Vec<_>>(), fields);
                }
                // Fields are judged when the blank line is there, so an error may come later than theirs.
                Ok(HeadStep::NeedMore) => assert!(!accepted.is_ok_and(|status| status.is_complete()), "{text:?}"),
                Err(BareLf { .. } | LeadingEmptyLine | StatusOutOfRange { .. }) => {}
                Err(error) => assert!(accepted.is_err(), "{text:?}: {error:?}"),
            }
        }
    }
}
