//! What a request is to do: checked once when it is made, changed only by redirects.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::config::{Body, RequestConfig};
use super::error::{Argument, HttpClientError};
use super::last_answer::LastAnswer;
use super::recent::Recent;
use super::redirects;
use super::status::Status;
use super::target::Target;
use crate::proto::{self, Limits, RequestBody, RequestHead, RequestHeadError};
use crate::valtron::time::Instant;

/// Header lines of one request at most: far above real ones, and it bounds the head.
pub const REQUEST_HEADERS_MAX: usize = 1_000;
/// Bytes of one request head at most; servers commonly stop at 8 to 64 KiB.
pub const REQUEST_HEAD_BYTES_MAX: usize = 1 << 20;
/// A longer head is not remembered: it would hold a long `User-Agent`, once for each URL.
const REMEMBERED_HEAD_BYTES_MAX: usize = 4 * 1024;

/// Limits per phase; `None`: no limit. See [`RequestConfig`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in `RequestConfig`
pub struct Timeouts {
    pub resolve: Option<Duration>,
    pub connect: Option<Duration>,
    pub tls: Option<Duration>,
    pub send: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub idle: Option<Duration>,
}

/// What mostly is the same for all requests of a program; so those of a client that say nothing else share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // as in `RequestConfig`
pub struct Terms {
    pub timeouts: Timeouts,
    pub limits: Limits,
}

impl Terms {
    fn of(config: &RequestConfig<'_>) -> Self {
        Self {
            timeouts: Timeouts {
                resolve: config.resolve_timeout,
                connect: config.connect_timeout,
                tls: config.tls_timeout,
                send: config.send_timeout,
                first_byte: config.first_byte_timeout,
                idle: config.idle_timeout,
            },
            limits: Limits {
                head_bytes_max: config.head_bytes_max,
                header_count_max: config.headers_max,
                interim_count_max: config.interim_max,
                ..Limits::default()
            },
        }
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self::of(&RequestConfig::default())
    }
}

/// What the requests of a client have in common.
#[derive(Default)]
pub struct Usual {
    /// Of those that say nothing else.
    pub terms: Arc<Terms>,
    /// What they ask for.
    pub recent: Recent,
}

/// The bytes of a request's head.
pub enum Head {
    /// Made for this request.
    Own(Vec<u8>),
    /// The same as of an earlier one: [`Target::bare_head`].
    Bare(Target),
}

impl Deref for Head {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Head::Own(head) => head,
            Head::Bare(target) => target.bare_head().unwrap_or_default(),
        }
    }
}

impl Head {
    /// Puts the body behind it.
    pub fn append(&mut self, body: &[u8]) {
        match self {
            Head::Own(head) => head.extend_from_slice(body),
            Head::Bare(_) => *self = Head::Own([&**self, body].concat()),
        }
    }
}

/// See the module.
#[derive(Clone)]
#[allow(missing_docs)] // as in `RequestConfig`
pub struct Plan {
    pub method: Cow<'static, str>,
    pub target: Target,
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub body: Option<Body>,
    pub idempotent: bool,
    /// `None`: a 3xx is handed back.
    pub redirects_left: Option<u32>,
    pub downgrade_allowed: bool,
    pub terms: Arc<Terms>,
    /// For everything, redirects included.
    pub deadline: Option<Instant>,
    pub priority: i32,
    /// The URL is one of a few that are asked for again and again, and what it answers is no secret.
    compares_answers: bool,
    /// The head as it will be sent first, if it is not a remembered one; taken then.
    head: Option<Vec<u8>>,
}

impl Plan {
    /// Checks a request as the host described it. Every mistake in it is found here, before anything is sent.
    ///
    /// `user_agent` is sent if the request brings none; empty: none is.
    pub fn new(config: RequestConfig<'_>, now: Instant, user_agent: &str) -> Result<Self, HttpClientError> {
        Self::sharing(config, now, user_agent, &Arc::default())
    }

    /// The same; what it has in common with others of the client is taken from `usual`.
    pub fn sharing(
        config: RequestConfig<'_>,
        now: Instant,
        user_agent: &str,
        usual: &Usual,
    ) -> Result<Self, HttpClientError> {
        let (target, asked_before) = usual.recent.target(&config.url)?;
        if config.method.eq_ignore_ascii_case("CONNECT") {
            return Err(HttpClientError::argument(
                Status::MethodUnsupported,
                Argument::Method,
                Status::MethodUnsupported.message(),
            ));
        }
        if config.headers.len() > REQUEST_HEADERS_MAX {
            let text = format!("headers: {} lines, more than {REQUEST_HEADERS_MAX}", config.headers.len());
            return Err(HttpClientError::argument(Status::HeaderTooMany, Argument::Headers, text));
        }
        let terms = Terms::of(&config);
        let terms = if *usual.terms == terms { usual.terms.clone() } else { Arc::new(terms) };
        let idempotent = config.idempotent.unwrap_or_else(|| proto::is_idempotent(&config.method));
        let mut headers = config.headers;
        if let Some(credentials) = target.basic_credentials()? {
            if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"authorization")) {
                headers.push((b"Authorization".to_vec(), credentials.into_bytes()));
            }
        }
        let mut plan = Self {
            method: config.method,
            target,
            headers,
            body: config.body,
            idempotent,
            redirects_left: config.redirects_max,
            downgrade_allowed: config.redirect_downgrade_allowed,
            terms,
            deadline: config.total_timeout.map(|limit| now.after(limit)),
            priority: config.priority,
            compares_answers: asked_before,
            head: None,
        };
        plan.compares_answers &=
            plan.method == "GET" && !plan.headers.iter().any(|(name, _)| redirects::is_secret(name));
        if plan.bare_head().is_none() {
            // Encoding it is the check.
            let head = plan.encode(user_agent)?;
            match asked_before && plan.is_bare() && head.len() <= REMEMBERED_HEAD_BYTES_MAX {
                true => plan.target.set_bare_head(head),
                false => plan.head = Some(head),
            }
        }
        Ok(plan)
    }

    /// The request head as bytes.
    pub fn take_head(&mut self, user_agent: &str) -> Result<Head, HttpClientError> {
        match self.head.take() {
            Some(head) => Ok(Head::Own(head)),
            None if self.bare_head().is_some() => Ok(Head::Bare(self.target.clone())),
            // It is sent again, or it is another after a redirect.
            None => self.encode(user_agent).map(Head::Own),
        }
    }

    /// All that its head says follows from the URL and the client.
    fn is_bare(&self) -> bool {
        self.method == "GET" && self.headers.is_empty() && self.body.is_none()
    }

    /// Its head, if that is remembered.
    fn bare_head(&self) -> Option<&[u8]> {
        self.target.bare_head().filter(|_| self.is_bare())
    }

    /// What its URL answered a GET last, where that is worth a look.
    pub fn last_answer(&self) -> Option<&LastAnswer> {
        self.compares_answers.then(|| self.target.last_answer())
    }

    /// It is not the request it was: its head is made anew.
    pub fn forget_head(&mut self) {
        self.head = None;
        self.compares_answers = false;
    }

    fn encode(&self, user_agent: &str) -> Result<Vec<u8>, HttpClientError> {
        let has = |wanted: &[u8]| self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
        let mut own: [(&[u8], &[u8]); 2] = [(b"", b""); 2];
        if !user_agent.is_empty() && !has(b"user-agent") {
            own[0] = (b"User-Agent", user_agent.as_bytes());
        }
        if !has(b"accept") {
            own[1] = (b"Accept", b"*/*");
        }
        let body = match &self.body {
            Some(body) => RequestBody::Length(body.count() as u64),
            None => RequestBody::None,
        };
        let (target, host) = (self.target.request_target(), self.target.host_field());
        let head = RequestHead { method: &self.method, target, host, headers: &headers, own: &own, body };
        let mut out = Vec::new();
        head.encode(&mut out).map_err(|error| self.refused(error))?;
        if out.len() > REQUEST_HEAD_BYTES_MAX {
            let text = format!("headers: {} bytes in all, more than {REQUEST_HEAD_BYTES_MAX}", out.len());
            return Err(HttpClientError::argument(Status::HeaderTooMany, Argument::Headers, text));
        }
        Ok(out)
    }

    /// The caller asked for the connection to be closed after this request.
    pub fn asks_close(&self) -> bool {
        self.headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case(b"connection")
                && value.split(|b| *b == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(b"close"))
        })
    }

    fn refused(&self, error: RequestHeadError) -> HttpClientError {
        let name = |index: usize| {
            let name = self.headers.get(index).map(|(name, _)| name.as_slice()).unwrap_or_default();
            String::from_utf8_lossy(&name[..name.len().min(64)]).into_owned()
        };
        match error {
            RequestHeadError::MethodNotToken => {
                HttpClientError::argument(Status::Method, Argument::Method, Status::Method.message())
            }
            RequestHeadError::HeaderName { index, at } => HttpClientError::argument(
                Status::HeaderName,
                Argument::Headers,
                format!("headers: the name of header {index} ({:?}) is not a token: byte {at}", name(index)),
            )
            .at_index(index),
            RequestHeadError::HeaderValue { index, at } => HttpClientError::argument(
                Status::HeaderValue,
                Argument::Headers,
                format!(
                    "headers: the value of header {index} ({:?}) holds a control character at byte {at}",
                    name(index)
                ),
            )
            .at_index(index),
            RequestHeadError::HeaderForbidden { index, name } => HttpClientError::argument(
                Status::HeaderForbidden,
                Argument::Headers,
                format!("headers: header {index} ({name:?}) contradicts the body or the connection"),
            )
            .at_index(index),
            RequestHeadError::ConnectionOptionMissing { index, .. } | RequestHeadError::HeaderSecret { index, .. } => {
                HttpClientError::argument(Status::HeaderForbidden, Argument::Headers, format!("headers: {error}"))
                    .at_index(index)
            }
            RequestHeadError::TraceContent => {
                HttpClientError::argument(Status::MethodUnsupported, Argument::Method, format!("method: {error}"))
            }
            RequestHeadError::NoMemory => {
                HttpClientError::argument(Status::NoMemory, Argument::Headers, Status::NoMemory.message())
            }
            other => HttpClientError::argument(Status::UrlSyntax, Argument::Url, format!("url: {other}")),
        }
    }

    /// A bare plan for unit tests.
    #[cfg(test)]
    pub fn for_tests(url: &str, method: &str) -> Self {
        let config = RequestConfig { url: url.into(), method: method.to_owned().into(), ..RequestConfig::default() };
        match Self::new(config, Instant::default(), "") {
            Ok(plan) => plan,
            Err(error) => panic!("{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn refused(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&'static str>) -> HttpClientError {
        let config = RequestConfig {
            url: url.into(),
            method: method.to_owned().into(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
            body: body.map(|text| Arc::new(text.as_bytes().to_vec()) as Body),
            ..RequestConfig::default()
        };
        match Plan::new(config, Instant::default(), "") {
            Ok(_) => panic!("{method} {url} {headers:?} {body:?} was accepted"),
            Err(error) => error,
        }
    }

    /// Goal: what may not be sent is refused when the request is made, with the argument, its index and the reason.
    /// Method: a table, one request a row.
    #[test]
    fn what_must_not_be_sent_is_refused_at_creation() {
        let url = "http://a/";
        let table = [
            (refused("GET", url, &[("a", "b"), ("TE", "trailers")], None), Status::HeaderForbidden, Some(1), {
                "headers: header 1, TE, needs the header `Connection: TE` beside it"
            }),
            (refused("GET", url, &[("upgrade", "x")], None), Status::HeaderForbidden, Some(0), {
                "headers: header 0, Upgrade, needs the header `Connection: Upgrade` beside it"
            }),
            (refused("TRACE", url, &[("cookie", "a=b")], None), Status::HeaderForbidden, Some(0), {
                "headers: header 0, Cookie, must not go out with TRACE, whose answer repeats it"
            }),
            // Those of the URL become a field behind the caller's.
            (refused("TRACE", "http://u:p@a/", &[], None), Status::HeaderForbidden, Some(0), {
                "headers: header 0, Authorization, must not go out with TRACE, whose answer repeats it"
            }),
            (refused("TRACE", url, &[], Some("x")), Status::MethodUnsupported, None, {
                "method: TRACE has no body (RFC 9110 section 9.3.8)"
            }),
        ];
        for (error, status, index, text) in table {
            assert_eq!((error.status, error.argument_index, &*error.text), (status, index, text));
        }
    }

    /// Goal: a remembered head is that of a client's bare GET for the same URL alone, and never a long one. Method:
    /// what plans made in turn have at hand.
    #[test]
    fn which_heads_are_remembered() {
        let usual = Usual::default();
        let get = |url: &'static str| RequestConfig { url: url.into(), ..RequestConfig::default() };
        let plan = |config, agent| Plan::sharing(config, Instant::default(), agent, &usual).expect("a request");
        let mut kinds = String::new();
        let mut note = |config| {
            kinds.push(match plan(config, "x").take_head("x") {
                Ok(Head::Own(_)) => 'o',
                Ok(Head::Bare(_)) => 'b',
                Err(error) => panic!("{error}"),
            });
        };
        (0..3).for_each(|_| note(get("http://a/")));
        note(RequestConfig { method: "HEAD".into(), ..get("http://a/") });
        note(RequestConfig { headers: vec![(b"a".to_vec(), b"b".to_vec())], ..get("http://a/") });
        note(RequestConfig { body: Some(Arc::new(Vec::new())), ..get("http://a/") });
        note(RequestConfig { redirects_max: None, head_bytes_max: 1, priority: 1, ..get("http://a/") });
        (0..3).for_each(|_| note(get("http://u:p@a/")));
        assert_eq!(kinds, "obbooobooo");
        let agent = "x".repeat(REMEMBERED_HEAD_BYTES_MAX);
        for _ in 0..3 {
            assert!(matches!(plan(get("http://b/"), &agent).take_head(&agent), Ok(Head::Own(_))));
        }
    }
}
