//! URLs that need no mending: the part of the grammar where the text already is what the URL standard makes of it.
//!
//! Most URLs of programs are of this kind, and taking one apart costs a look at each byte. Whatever is not obviously so
//! (other letters, credentials, `..`, a fragment, an odd port, a number as host) is left to the `url` crate, which also
//! finds the errors. The tests hold this file to that crate: where it answers at all, it answers the same.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use super::{LastAnswer, Origin, Parts, Target, URL_BYTES_MAX};

/// The target, if the text is of the plain kind.
pub(super) fn parse(text: &str) -> Option<Target> {
    if text.len() >= URL_BYTES_MAX {
        return None;
    }
    let (secure, start) = match text.as_bytes() {
        [b'h', b't', b't', b'p', b':', b'/', b'/', ..] => (false, "http://".len()),
        [b'h', b't', b't', b'p', b's', b':', b'/', b'/', ..] => (true, "https://".len()),
        _ => return None,
    };
    let rest = &text[start..];
    let host = &rest[..rest.bytes().position(|byte| !is(byte, HOST)).unwrap_or(rest.len())];
    let address = match is_name(host) {
        true => None,
        // As it stands: four decimal numbers without leading zeros.
        false => Some(IpAddr::V4(host.parse::<Ipv4Addr>().ok()?)),
    };
    let rest = &rest[host.len()..];
    let default = if secure { 443 } else { 80 };
    let (port, port_len) = match rest.strip_prefix(':') {
        None => (default, 0),
        Some(rest) => {
            let digits = &rest[..rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len())];
            let port: u16 = digits.parse().ok().filter(|port| *port != default)?;
            // Neither zero nor zeros in front.
            (digits.as_bytes()[0] != b'0').then_some((port, 1 + digits.len()))?
        }
    };
    let rest = &rest[port_len..];
    let host_end = start + host.len() + port_len;
    let (text, path_end) = match rest.as_bytes() {
        [] => (Arc::from(format!("{text}/")), host_end + 1),
        [b'/', ..] if is_path_and_query(rest.as_bytes()) => (Arc::from(text), text.len()),
        _ => return None,
    };
    let parts = Parts {
        shown: Arc::clone(&text),
        text,
        host: start as u32..host_end as u32,
        path: host_end as u32..path_end as u32,
        origin: Origin { secure, host: host.into(), port },
        address,
        bare_head: OnceLock::new(),
        last_answer: LastAnswer::default(),
    };
    Some(parts.into())
}

/// Labels of letters, digits and inner hyphens; none in punycode, and the last one no number in any notation.
fn is_name(host: &str) -> bool {
    let bytes = host.as_bytes();
    // The byte before the present one, and where the label began.
    let (mut before, mut label) = (b'.', 0);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'.' | b'-' if before == b'.' => return false,
            b'.' if before == b'-' => return false,
            b'.' => label = at + 1,
            // "--" as third and fourth letter is for encodings such as punycode.
            b'-' if before == b'-' && at == label + 3 => return false,
            _ => {}
        }
        before = byte;
    }
    let number_like = bytes.get(label).is_none_or(|first| !first.is_ascii_lowercase());
    !matches!(before, b'.' | b'-') && !number_like && bytes.len() <= HOST_BYTES_MAX
}

/// Bytes that nobody escapes, escapes that are whole, and no segment that begins with a dot.
fn is_path_and_query(bytes: &[u8]) -> bool {
    let (mut allowed, mut dotted, mut at) = (PATH, false, 0);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'?' if allowed == PATH => allowed = QUERY,
            b'%' => {
                let Some([high, low]) = bytes.get(at + 1..at + 3) else { return false };
                let is_dot = allowed == PATH && *high == b'2' && low.eq_ignore_ascii_case(&b'e');
                if !high.is_ascii_hexdigit() || !low.is_ascii_hexdigit() || is_dot {
                    return false;
                }
                at += 2;
            }
            b'.' if allowed == PATH && dotted => return false,
            byte if !is(byte, allowed) => return false,
            _ => {}
        }
        dotted = byte == b'/';
        at += 1;
    }
    true
}

fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// What DNS can carry (RFC 1035 section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

const HOST: u8 = 1;
const PATH: u8 = 2;
const QUERY: u8 = 4;

/// Where each byte may stand. RFC 3986 allows more in a query (`'`) than the URL standard leaves as it is.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        if byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.' {
            classes[at] |= HOST;
        }
        let marks = matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'(' | b')' | b'*' | b'+' | b',')
            || matches!(byte, b';' | b'=' | b':' | b'@' | b'/');
        if byte.is_ascii_alphanumeric() || marks {
            classes[at] |= PATH | QUERY;
        }
        if byte == b'?' {
            classes[at] |= QUERY;
        }
        at += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use super::*;

    fn same(text: &str) -> bool {
        let Some(plain) = parse(text) else { return false };
        let any = Target::parse_any(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let url = any.url().unwrap();
        assert_eq!(&**plain.text(), url.as_str(), "{text:?}");
        assert_eq!((plain.text(), plain.display()), (any.text(), any.display()), "{text:?}");
        assert_eq!((plain.host_field(), plain.request_target()), (any.host_field(), any.request_target()), "{text:?}");
        assert_eq!((plain.origin(), plain.address()), (any.origin(), any.address()), "{text:?}");
        true
    }

    /// Goal: where this file answers, the `url` crate answers the same. Method: pieces that matter to one of the two,
    /// put together at random.
    #[test]
    fn agrees_with_the_url_crate() {
        const PIECES: &[&str] = &[
            "http://",
            "https://",
            "HTTP://",
            "a",
            "b.example",
            "xn--a",
            "-",
            ".",
            "..",
            "/",
            "//",
            "/.",
            "/..",
            "?",
            "#",
            "%2e",
            "%2E",
            "%41",
            "%",
            "%zz",
            ":",
            ":80",
            ":443",
            ":8080",
            ":08",
            ":0",
            ":65536",
            ":99999",
            "@",
            "u:p@",
            "127.0.0.1",
            "127.1",
            "0x7f",
            "1",
            "08",
            "256",
            "e0",
            "[::1]",
            "~",
            "'",
            "\"",
            "<",
            "^",
            "`",
            "{",
            "|",
            "!",
            "$",
            "&",
            "(",
            "*",
            "+",
            ",",
            ";",
            "=",
            "_",
            "\u{e9}",
            " ",
            "\t",
            "\\",
            "A",
            "Z9",
            "a--b",
            "ab--c",
            "x.",
        ];
        let (mut seed, mut plain) = (1u64, 0);
        let mut next = |bound: usize| {
            // Numbers of Knuth's MMIX; the high bits are the good ones.
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % bound
        };
        for _ in 0..200_000 {
            let mut text = String::from(PIECES[next(2)]);
            for _ in 0..1 + next(7) {
                text.push_str(PIECES[2 + next(PIECES.len() - 2)]);
            }
            plain += usize::from(same(&text));
        }
        assert!(plain > 2_000, "only {plain} were plain");
    }

    /// Goal: the common kinds are plain, and what needs mending is not.
    #[test]
    fn what_is_plain() {
        for text in [
            "http://a",
            "http://a/",
            "https://api.example.com/v1/things?id=42&name=a%20b",
            "http://127.0.0.1:8080/x",
            "http://sub-domain.example:81/a.b/c..d/e?f=g/../h",
        ] {
            assert!(same(text), "{text}");
        }
        for text in ["http://a/#f", "http://u@a/", "http://a/../b", "http://a/%2e", "http://1/", "http://a:80/"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
