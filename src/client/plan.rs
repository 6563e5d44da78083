//! What a request is to do: checked once when it is made, changed only by redirects.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::config::{Body, RequestConfig};
use super::error::{Argument, HttpClientError};
use super::status::Status;
use super::target::Target;
use crate::proto::{self, Limits, RequestBody, RequestHead, RequestHeadError};
use crate::valtron::time::Instant;

/// Header lines of one request at most: far above real ones, and it bounds the head.
pub const REQUEST_HEADERS_MAX: usize = 1_000;
/// Bytes of one request head at most; servers commonly stop at 8 to 64 KiB.
pub const REQUEST_HEAD_BYTES_MAX: usize = 1 << 20;

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
    fn of(config: &RequestConfig) -> Self {
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
    /// The head as it will be sent first; taken then.
    head: Option<Vec<u8>>,
}

impl Plan {
    /// Checks a request as the host described it. Every mistake in it is found here, before anything is sent.
    ///
    /// `user_agent` is sent if the request brings none; empty: none is.
    pub fn new(config: RequestConfig, now: Instant, user_agent: &str) -> Result<Self, HttpClientError> {
        Self::sharing(config, now, user_agent, &Arc::default())
    }

    /// The same; it shares `usual` if those are its terms.
    pub fn sharing(
        config: RequestConfig,
        now: Instant,
        user_agent: &str,
        usual: &Arc<Terms>,
    ) -> Result<Self, HttpClientError> {
        let target = Target::parse(&config.url)?;
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
        let terms = if **usual == terms { usual.clone() } else { Arc::new(terms) };
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
            head: None,
        };
        // Encoding it is the check.
        plan.head = Some(plan.encode(user_agent)?);
        Ok(plan)
    }

    /// The request head as bytes.
    pub fn take_head(&mut self, user_agent: &str) -> Result<Vec<u8>, HttpClientError> {
        match self.head.take() {
            Some(head) => Ok(head),
            // It is sent again, or it is another after a redirect.
            None => self.encode(user_agent),
        }
    }

    /// It is not the request it was: its head is made anew.
    pub fn forget_head(&mut self) {
        self.head = None;
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
        let config =
            RequestConfig { url: url.to_owned(), method: method.to_owned().into(), ..RequestConfig::default() };
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
            url: url.to_owned(),
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
}
