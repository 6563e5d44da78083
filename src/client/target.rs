//! Where a request goes: a URL, checked more strictly than a browser would, and what follows from it.
//!
//! The `url` crate follows the WHATWG standard, which mends what people type: it drops tabs and line feeds, takes `\`
//! for `/`, and finds a host in `http:/x`. A program that sends such a URL has a bug, and mending it would hide an
//! injection, so we refuse.

mod plain;

use std::net::IpAddr;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use url::{Host, ParseError, Position, Url};

use super::error::{Argument, HttpClientError};
use super::last_answer::LastAnswer;
use super::status::Status;

/// Longest URL: servers commonly stop at 8 KiB; this bounds memory.
pub const URL_BYTES_MAX: usize = 65_536;

/// Who answers: scheme, host, port. Connections and secrets belong to an origin (RFC 9110 section 4.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// https.
    pub secure: bool,
    /// Lower case, IDNA-encoded, without brackets.
    pub host: Arc<str>,
    /// The port, default or given.
    pub port: u16,
}

/// A checked URL: its text as the standard writes it, and where the parts are that a request needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Target(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    text: Arc<str>,
    /// The text without credentials; the same text if it has none.
    shown: Arc<str>,
    /// Host and port as `Host` says them.
    host: Range<u32>,
    /// Path and query.
    path: Range<u32>,
    origin: Origin,
    address: Option<IpAddr>,
    /// See [`Target::bare_head`].
    bare_head: OnceLock<Box<[u8]>>,
    last_answer: LastAnswer,
}

impl Target {
    /// From what a caller wrote.
    pub fn parse(text: &str) -> Result<Self, HttpClientError> {
        match plain::parse(text) {
            Some(target) => Ok(target),
            None => Self::parse_any(text),
        }
    }

    /// As [`parse`](Self::parse), by the `url` crate alone.
    fn parse_any(text: &str) -> Result<Self, HttpClientError> {
        let refuse = |status: Status, why: String| Err(HttpClientError::argument(status, Argument::Url, why));
        if text.is_empty() {
            return refuse(Status::UrlEmpty, Status::UrlEmpty.message().to_owned());
        }
        if text.len() > URL_BYTES_MAX {
            return refuse(Status::UrlTooLong, Status::UrlTooLong.message().to_owned());
        }
        if let Some((at, bad)) = text.char_indices().find(|(_, c)| c.is_control() || *c == ' ' || *c == '\\') {
            return refuse(
                Status::UrlSyntax,
                format!(
                    "url: the character {bad:?} at byte {at} is not allowed; in a path or query it is written {}",
                    percent_encoding::utf8_percent_encode(
                        bad.encode_utf8(&mut [0; 4]),
                        percent_encoding::NON_ALPHANUMERIC
                    )
                ),
            );
        }
        if let Some(at) = bad_percent(text) {
            return refuse(
                Status::UrlSyntax,
                format!("url: '%' at byte {at} is not followed by two hex digits; a percent sign is written %25"),
            );
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return refuse(Status::UrlRelative, Status::UrlRelative.message().to_owned());
        };
        let scheme_like = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c));
        if !scheme_like {
            return refuse(Status::UrlRelative, Status::UrlRelative.message().to_owned());
        }
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return refuse(Status::UrlScheme, format!("url: the scheme \"{scheme}\" is neither http nor https"));
        }
        let Some(rest) = rest.strip_prefix("//") else {
            return refuse(Status::UrlSyntax, "url: \"//\" must follow the scheme".to_owned());
        };
        if rest.is_empty() || rest.starts_with(['/', '?', '#']) {
            return refuse(Status::UrlHost, "url: the host is missing".to_owned());
        }
        let url = Url::parse(text).map_err(|error| {
            let status = match error {
                ParseError::EmptyHost
                | ParseError::IdnaError
                | ParseError::InvalidIpv4Address
                | ParseError::InvalidIpv6Address
                | ParseError::InvalidDomainCharacter => Status::UrlHost,
                ParseError::InvalidPort => Status::UrlPort,
                _ => Status::UrlSyntax,
            };
            let why = match bad_in_host(text).filter(|_| status == Status::UrlHost) {
                Some((at, bad)) => format!("the character {bad:?} at byte {at} is not allowed in a host"),
                None => error.to_string(),
            };
            HttpClientError::argument(status, Argument::Url, format!("url: {why}"))
        })?;
        Self::from_url(url)
    }

    /// From a URL the library made, such as a redirect's target joined to its base.
    pub fn from_url(url: Url) -> Result<Self, HttpClientError> {
        let refuse =
            |status: Status, why: &str| HttpClientError::argument(status, Argument::Url, format!("url: {why}"));
        let secure = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(refuse(Status::UrlScheme, "the scheme is neither http nor https")),
        };
        let (host, address): (Arc<str>, _) = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() && name != "." => (name.into(), None),
            Some(Host::Ipv4(v4)) => (v4.to_string().into(), Some(IpAddr::V4(v4))),
            Some(Host::Ipv6(v6)) => (v6.to_string().into(), Some(IpAddr::V6(v6))),
            _ => return Err(refuse(Status::UrlHost, "the host is missing")),
        };
        // 253 is what DNS can carry (RFC 1035 section 2.3.4), with a final dot 254.
        if address.is_none() && host.len() > 254 {
            return Err(refuse(Status::UrlHost, "the host name is longer than DNS allows"));
        }
        let port = match url.port_or_known_default() {
            Some(port) if port != 0 => port,
            _ => return Err(refuse(Status::UrlPort, "port 0 cannot be connected to")),
        };
        let at = |position: Position| url[..position].len() as u32;
        let host_field = at(Position::BeforeHost)..at(Position::AfterPort);
        let path = at(Position::BeforePath)..at(Position::AfterQuery);
        let text: Arc<str> = url.as_str().into();
        let shown = match url.username().is_empty() && url.password().is_none() {
            true => text.clone(),
            false => format!("{}{}", &url[..Position::BeforeUsername], &url[Position::BeforeHost..]).into(),
        };
        let origin = Origin { secure, host, port };
        Ok(Parts {
            text,
            shown,
            host: host_field,
            path,
            origin,
            address,
            bare_head: OnceLock::new(),
            last_answer: LastAnswer::default(),
        }
        .into())
    }

    /// The head of a GET for it without a field or a body of the caller's, if that was encoded for an earlier request.
    pub(super) fn bare_head(&self) -> Option<&[u8]> {
        self.0.bare_head.get().map(|head| &**head)
    }

    /// Remembers that head. What it says does not change: a target is shared by requests of one client alone.
    pub(super) fn set_bare_head(&self, head: Vec<u8>) {
        // Another thread may have been faster, with the same bytes.
        let _ = self.0.bare_head.set(head.into());
    }

    /// What it answered last, to whoever asked.
    pub(super) fn last_answer(&self) -> &LastAnswer {
        &self.0.last_answer
    }

    /// The URL in full.
    pub(super) fn text(&self) -> &Arc<str> {
        &self.0.text
    }

    /// The URL has a user or a password.
    pub(super) fn has_credentials(&self) -> bool {
        !Arc::ptr_eq(&self.0.text, &self.0.shown)
    }

    /// The URL in full, fragment and credentials included; made anew, for those few who take it apart.
    pub fn url(&self) -> Result<Url, HttpClientError> {
        // It was written by the same crate, or is in the part of the grammar that both sides agree on.
        Url::parse(&self.0.text)
            .map_err(|error| HttpClientError::argument(Status::UrlSyntax, Argument::Url, format!("url: {error}")))
    }

    /// The URL as shown to hosts and in messages: without credentials.
    pub fn display(&self) -> Arc<str> {
        self.0.shown.clone()
    }

    /// Who answers.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// The host, if it is an address and needs no look-up.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// Path and query: the origin-form of RFC 9112 section 3.2.1.
    pub fn request_target(&self) -> &str {
        self.part(&self.0.path)
    }

    /// The `Host` field (RFC 9110 section 7.2): the port only if it is not the scheme's own.
    pub fn host_field(&self) -> &str {
        self.part(&self.0.host)
    }

    fn part(&self, range: &Range<u32>) -> &str {
        // The ranges were taken from this very text.
        self.0.text.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// `Authorization` from `user:password@`, if the URL has that (RFC 7617).
    pub fn basic_credentials(&self) -> Result<Option<String>, HttpClientError> {
        if !self.has_credentials() {
            return Ok(None);
        }
        let url = self.url()?;
        let user = percent_decode(url.username());
        if user.contains(&b':') {
            return Err(HttpClientError::argument(
                Status::UrlCredentials,
                Argument::Url,
                "url: a user name with a colon cannot be sent as Basic credentials (RFC 7617 section 2)",
            ));
        }
        let mut pair = user;
        pair.push(b':');
        pair.extend(percent_decode(url.password().unwrap_or_default()));
        Ok(Some(format!("Basic {}", base64(&pair))))
    }
}

impl From<Parts> for Target {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

fn bad_percent(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().filter(|(_, b)| **b == b'%').map(|(at, _)| at).find(|at| {
        let digits = bytes.get(at + 1..at + 3).unwrap_or_default();
        digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit)
    })
}

/// A delimiter that makes no name and no address, in the host of a text with "://".
fn bad_in_host(text: &str) -> Option<(usize, char)> {
    let start = text.find("://")? + "://".len();
    let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |len| start + len);
    let host = text[start..end].rfind('@').map_or(start, |at| start + at + 1);
    text[host..end].char_indices().find(|(_, c)| "\"<>^`{|}".contains(*c)).map(|(at, bad)| (host + at, bad))
}

fn percent_decode(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Status {
        Target::parse(text).map_or_else(|error| error.status, |_| Status::Ok)
    }

    /// Goal: each kind of URL that is none gets its own code. Method: one literal per kind.
    #[test]
    fn refuses_what_is_no_url() {
        for (text, expected) in [
            ("", Status::UrlEmpty),
            ("/path", Status::UrlRelative),
            ("example.com", Status::UrlRelative),
            ("//example.com/", Status::UrlRelative),
            ("example.com:80/", Status::UrlScheme),
            ("ftp://example.com/", Status::UrlScheme),
            ("file:///etc/passwd", Status::UrlScheme),
            ("http:example.com", Status::UrlSyntax),
            ("http:/example.com", Status::UrlSyntax),
            ("http://", Status::UrlHost),
            ("http:///path", Status::UrlHost),
            ("http://?q", Status::UrlHost),
            ("http://:80/", Status::UrlHost),
            ("http://user@/", Status::UrlHost),
            ("http://[::1/", Status::UrlHost),
            ("http://[::g]/", Status::UrlHost),
            ("http://1.2.3.4.5/", Status::UrlHost),
            ("http://256.1.1.1/", Status::UrlHost),
            ("http://a b/", Status::UrlSyntax),
            ("http://a\r\nb/", Status::UrlSyntax),
            ("http://a\\b/", Status::UrlSyntax),
            ("http://a/%zz", Status::UrlSyntax),
            ("http://a<b/", Status::UrlHost),
            ("http://a:99999/", Status::UrlPort),
            ("http://a:x/", Status::UrlPort),
            ("http://a:0/", Status::UrlPort),
            (" http://a/", Status::UrlSyntax),
        ] {
            assert_eq!(status(text), expected, "{text:?}");
        }
    }

    /// Goal: a refusal says which byte it was, where it stands and what to write instead. Method: literal texts.
    #[test]
    fn says_which_byte_is_refused() {
        for (text, expected) in [
            ("http://a/b c", "url: the character ' ' at byte 10 is not allowed; in a path or query it is written %20"),
            (" http://a/", "url: the character ' ' at byte 0 is not allowed; in a path or query it is written %20"),
            (
                "http://a/?q=\n",
                "url: the character '\\n' at byte 12 is not allowed; in a path or query it is written %0A",
            ),
            ("http://a/\0", "url: the character '\\0' at byte 9 is not allowed; in a path or query it is written %00"),
            (
                "http://a\\b/",
                "url: the character '\\\\' at byte 8 is not allowed; in a path or query it is written %5C",
            ),
            (
                "http://\u{e4}/\u{e4} ",
                "url: the character ' ' at byte 12 is not allowed; in a path or query it is written %20",
            ),
            (
                "http://a/\u{85}",
                "url: the character '\\u{85}' at byte 9 is not allowed; in a path or query it is written %C2%85",
            ),
            ("http://a/50%", "url: '%' at byte 11 is not followed by two hex digits; a percent sign is written %25"),
            ("http://a/%2", "url: '%' at byte 9 is not followed by two hex digits; a percent sign is written %25"),
            ("http://u:p@a<b/", "url: the character '<' at byte 12 is not allowed in a host"),
            ("http://a^b/<", "url: the character '^' at byte 8 is not allowed in a host"),
        ] {
            assert_eq!(Target::parse(text).unwrap_err().text, expected);
        }
    }

    /// Goal: what has one meaning only is encoded, not refused. Method: letters beyond ASCII, and the delimiters that
    /// RFC 3986 leaves out.
    #[test]
    fn encodes_what_is_not_ambiguous() {
        for (text, expected) in [
            ("http://a/\u{e4}?\u{e4}", "/%C3%A4?%C3%A4"),
            ("http://a/<\"{}`>?<\">", "/%3C%22%7B%7D%60%3E?%3C%22%3E"),
            ("http://a/%41%c3%A4%20?%41", "/%41%c3%A4%20?%41"),
        ] {
            assert_eq!(Target::parse(text).unwrap().request_target(), expected);
        }
    }

    /// Goal: the parts of a request come out of a URL. Method: literal examples.
    #[test]
    fn takes_a_url_apart() {
        let target = Target::parse("HTTP://Bücher.Example:80/a/../b?x=%20#frag").unwrap();
        assert_eq!(target.host_field(), "xn--bcher-kva.example");
        assert_eq!(target.request_target(), "/b?x=%20");
        assert_eq!(target.origin(), &Origin { secure: false, host: "xn--bcher-kva.example".into(), port: 80 });
        let target = Target::parse("https://[::1]:8443").unwrap();
        assert_eq!(target.host_field(), "[::1]:8443");
        assert_eq!(target.request_target(), "/");
        assert_eq!(&*target.origin().host, "::1");
        assert!(target.address().is_some());
        let target = Target::parse("http://me:p%40ss@a/").unwrap();
        assert_eq!(target.basic_credentials().unwrap().unwrap(), "Basic bWU6cEBzcw==");
        assert_eq!(&*target.display(), "http://a/");
    }
}
