//! Redirects as a pure function: from a request and a 3xx to the next request (RFC 9110 section 15.4, Fetch section
//! 4.4).

use super::error::{HttpClientError, Phase};
use super::status::Status;
use super::target::Target;
use super::task::Plan;

/// Fields that say something about the body, besides all that begin with "Content-"; they go when it goes (RFC 9110
/// section 15.4, Fetch section 4.4 step 12). `Expect` asks about a body.
const BODY_FIELDS: [&str; 6] = ["digest", "repr-digest", "last-modified", "expect", "transfer-encoding", "trailer"];
/// Fields with secrets, or that name the old host; they go when the origin changes.
const ORIGIN_FIELDS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "host"];
/// Fields that say who asks.
const SECRET_FIELDS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// These statuses redirect, if they carry a `Location`. 300, 304, 305 and 306 do not.
pub fn redirects(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The request that follows. `followed`: how many redirects lie behind; the caller has checked that any remain.
pub fn follow(plan: &Plan, status: u16, location: &[u8]) -> Result<Plan, HttpClientError> {
    let target = next_target(&plan.target, location)?;
    if plan.target.origin().secure && !target.origin().secure && !plan.downgrade_allowed {
        return Err(HttpClientError::new(
            Status::InsecureRedirect,
            Phase::Redirect,
            format!("{}: {}", target.display(), Status::InsecureRedirect.message()),
        ));
    }
    let mut next = plan.clone();
    next.forget_head();
    if becomes_get(status, &plan.method) {
        next.method = "GET".into();
        next.body = None;
        next.headers.retain(|(name, _)| !is_of_body(name));
        next.idempotent = true;
    }
    if target.origin() != plan.target.origin() {
        next.headers.retain(|(name, _)| !is_one_of(name, &ORIGIN_FIELDS));
    }
    next.target = target;
    next.redirects_left = plan.redirects_left.map(|left| left.saturating_sub(1));
    Ok(next)
}

/// Whether the next request is a GET whatever this one was: after 303 always (but HEAD stays HEAD), after 301 and 302
/// only POST, as browsers have done since before the RFCs allowed it (RFC 9110 sections 15.4.2, 15.4.3).
fn becomes_get(status: u16, method: &str) -> bool {
    match status {
        301 | 302 => method == "POST",
        303 => method != "GET" && method != "HEAD",
        _ => false,
    }
}

fn next_target(base: &Target, location: &[u8]) -> Result<Target, HttpClientError> {
    let bad = |why: String| {
        let shown = redacted(&String::from_utf8_lossy(&location[..location.len().min(200)]));
        HttpClientError::new(Status::BadRedirect, Phase::Redirect, format!("Location \"{shown}\": {why}"))
    };
    if location.is_empty() {
        return Err(bad("empty".to_owned()));
    }
    if location.len() > super::target::URL_BYTES_MAX {
        return Err(bad("longer than 65536 bytes".to_owned()));
    }
    if let Some(at) = location.iter().position(|b| b.is_ascii_control()) {
        return Err(bad(format!("a control character at byte {at}")));
    }
    // Servers send raw UTF-8 and worse; what is not UTF-8 is taken byte by byte, percent-encoded (Fetch: isomorphic
    // decode).
    let text = match std::str::from_utf8(location) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            location.iter().map(|b| if b.is_ascii() { (*b as char).to_string() } else { format!("%{b:02X}") }).collect()
        }
    };
    let base = base.url()?;
    let mut url = base.join(&text).map_err(|error| bad(error.to_string()))?;
    if url.scheme() != "http" && url.scheme() != "https" {
        return Err(bad(format!("the scheme \"{}\" is neither http nor https", url.scheme())));
    }
    // RFC 9110 section 10.2.2: a target without a fragment inherits it.
    if url.fragment().is_none() {
        url.set_fragment(base.fragment());
    }
    // Credentials that a server writes into its Location are not the user's; a relative target keeps those of the base.
    if url.origin() != base.origin() {
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    Target::from_url(url).map_err(|error| bad(error.text.clone()))
}

fn is_of_body(name: &[u8]) -> bool {
    name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-")) || is_one_of(name, &BODY_FIELDS)
}

/// A server's text without what may be credentials: they do not belong into messages.
fn redacted(text: &str) -> String {
    let Some(start) = text.find("//").map(|at| at + 2) else { return text.to_owned() };
    let end = text[start..].find(['/', '?', '#', '\\']).map_or(text.len(), |at| start + at);
    match text[start..end].rfind('@') {
        Some(at) => format!("{}***{}", &text[..start], &text[start + at..]),
        None => text.to_owned(),
    }
}

/// A field with which a client says who it is: what it is answered is for it alone.
pub fn is_secret(name: &[u8]) -> bool {
    is_one_of(name, &SECRET_FIELDS)
}

fn is_one_of(name: &[u8], list: &[&str]) -> bool {
    list.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(url: &str, method: &str) -> Plan {
        let mut plan = Plan::for_tests(url, method);
        for name in ["Authorization", "Cookie", "Proxy-Authorization", "Content-Type", "X-Kept"] {
            plan.headers.push((name.as_bytes().to_vec(), b"v".to_vec()));
        }
        plan
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.headers.iter().map(|(name, _)| std::str::from_utf8(name).unwrap()).collect()
    }

    /// Goal: which method follows which status. Method: the whole table.
    #[test]
    fn methods_after_each_status() {
        for (status, method, next) in [
            (301, "GET", "GET"),
            (301, "POST", "GET"),
            (301, "PUT", "PUT"),
            (301, "HEAD", "HEAD"),
            (302, "POST", "GET"),
            (302, "DELETE", "DELETE"),
            (303, "POST", "GET"),
            (303, "PUT", "GET"),
            (303, "HEAD", "HEAD"),
            (307, "POST", "POST"),
            (308, "PATCH", "PATCH"),
        ] {
            let followed = follow(&plan("http://a/", method), status, b"/b").unwrap();
            assert_eq!(&*followed.method, next, "{status} {method}");
            assert_eq!(names(&followed).contains(&"Content-Type"), next == method, "{status} {method}");
        }
    }

    /// Goal: all that speaks of a body goes with it. Method: every such field on a POST that is answered 303.
    #[test]
    fn fields_of_the_body() {
        let mut posted = plan("http://a/", "POST");
        for name in ["EXPECT", "Digest", "Content-MD5", "content-range", "Last-Modified", "Trailer", "Contents"] {
            posted.headers.push((name.as_bytes().to_vec(), b"v".to_vec()));
        }
        let next = follow(&posted, 303, b"/b").unwrap();
        assert_eq!(names(&next), ["Authorization", "Cookie", "Proxy-Authorization", "X-Kept", "Contents"]);
    }

    /// Goal: what may be a secret in a bad target is not repeated.
    #[test]
    fn messages_without_secrets() {
        for (location, shown) in
            [("ftp://u:s3cret@h/x@y", "ftp://***@h/x@y"), ("//u@e:p@h", "//***@h"), ("ftp://h/a@b", "ftp://h/a@b")]
        {
            assert_eq!(redacted(location), shown);
        }
        let error = follow(&plan("http://a/", "GET"), 302, b"ftp://u:s3cret@h/").err().unwrap();
        assert!(!error.text.contains("s3cret"), "{}", error.text);
    }

    /// Goal: secrets stay with their origin. Method: same origin, then each part of it changed.
    #[test]
    fn secrets_do_not_cross_origins() {
        let kept = follow(&plan("http://a/x", "GET"), 302, b"/y").unwrap();
        assert!(names(&kept).contains(&"Authorization") && names(&kept).contains(&"Cookie"));
        for location in ["http://b/", "http://a:81/", "https://a/"] {
            let next = follow(&plan("http://a/x", "GET"), 302, location.as_bytes()).unwrap();
            assert_eq!(names(&next), ["Content-Type", "X-Kept"], "{location}");
        }
    }

    /// Goal: every form of target is understood, every bad one named. Method: literals against one base.
    #[test]
    fn targets() {
        for (location, url) in [
            ("c", "http://a/b/c#frag"),
            ("/c?d", "http://a/c?d#frag"),
            ("//h/c", "http://h/c#frag"),
            ("?q", "http://a/b/x?q#frag"),
            ("#new", "http://a/b/x#new"),
            ("http://B\u{fc}cher.example/\u{e9}", "http://xn--bcher-kva.example/%C3%A9#frag"),
            ("/sp ace", "http://a/sp%20ace#frag"),
            ("http://u:p@h/", "http://h/#frag"),
        ] {
            let next = follow(&plan("http://a/b/x#frag", "GET"), 302, location.as_bytes()).unwrap();
            assert_eq!(next.target.url().unwrap().as_str(), url, "{location}");
        }
        for location in ["", "ftp://a/", "javascript:alert(1)", "http://", "http://[::1", "http://a:0/", "mailto:x@y"] {
            let error = follow(&plan("http://a/", "GET"), 302, location.as_bytes()).err().unwrap();
            assert_eq!(error.status, Status::BadRedirect, "{location}");
        }
        let error = follow(&plan("https://a/", "GET"), 302, b"http://a/").err().unwrap();
        assert_eq!(error.status, Status::InsecureRedirect);
    }
}
