//! C values to Rust ones, with every check there is.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

use super::callbacks::{spawn_callback, Borrowed, Releases};
use super::codes::*;
use super::pointers::{array_in, bytes, input, optional_out_struct, OutStruct};
use super::types::*;
use crate::client::{
    Argument, Body, Client, ClientConfig, CopiedBody, Decision, HeadKind, HttpClientError, RequestConfig, RequestInfo,
    Status, REQUESTS_MAX_LIMIT,
};
use crate::tls::Trust;

/// Longest time limit: a year is none, and sums of a few stay far from overflow.
const TIMEOUT_MS_MAX: i64 = 366 * 24 * 60 * 60 * 1000;
/// Where a limit must be a number, no limit is this.
const FOR_EVER: Duration = Duration::from_millis(100 * TIMEOUT_MS_MAX as u64);
/// Longest URL taken.
const URL_LEN_MAX: usize = 65_536;
/// Most header lines taken: far above what any server takes.
const HEADERS_COUNT_MAX: usize = 4_096;
/// Methods of which no copy is made, the most frequent ones first.
const COMMON_METHODS: [&str; 7] = ["GET", "POST", "PUT", "HEAD", "PATCH", "DELETE", "OPTIONS"];
/// Most threads a client may be asked to start.
const THREADS_MAX: i32 = 1_024;

type Refusal<T> = Result<T, HttpClientError>;

/// Turns the status of a check into a refusal that names the argument.
pub(super) trait OrRefuse<T> {
    fn or_refuse(self, argument: Argument) -> Refusal<T>;

    /// Whose text begins with the field's name.
    fn or_refuse_field(self, field: &str, argument: Argument) -> Refusal<T>;
}

impl<T> OrRefuse<T> for Result<T, Status> {
    fn or_refuse(self, argument: Argument) -> Refusal<T> {
        self.map_err(|status| HttpClientError::argument(status, argument, status.message()))
    }

    fn or_refuse_field(self, field: &str, argument: Argument) -> Refusal<T> {
        self.map_err(|status| {
            // The message of a caller's mistake names the kind of argument in the same place.
            let why = status.message().split_once(": ").map_or(status.message(), |(_, why)| why);
            HttpClientError::argument(status, argument, format!("{field}: {why}"))
        })
    }
}

fn refuse<T>(status: Status, argument: Argument, text: String) -> Refusal<T> {
    Err(HttpClientError::argument(status, argument, text))
}

// ---- what calls take beside structs

/// A `timeout_ms` argument.
pub(super) fn call_timeout(timeout_ms: i32) -> Result<Option<Duration>, Status> {
    match timeout_ms {
        -1 => Ok(None),
        0.. => Ok(Some(Duration::from_millis(timeout_ms.unsigned_abs().into()))),
        _ => Err(Status::LimitRange),
    }
}

/// An `until` argument.
pub(super) fn until(mask: u32) -> Result<u32, Status> {
    match mask & !(VALTRON_UNTIL_HEAD | VALTRON_UNTIL_BODY | VALTRON_UNTIL_SPAWN) {
        0 => Ok(mask),
        _ => Err(Status::EnumRange),
    }
}

/// A `which` argument.
pub(super) fn head_kind(which: i32) -> Result<i32, Status> {
    HeadKind::from_code(which).map(|_| which).ok_or(Status::EnumRange)
}

/// A decision; `job_wanted` says whether there is a place for a job.
pub(super) fn decision(decision: valtron_decision, job_wanted: bool) -> Result<Decision, Status> {
    match decision {
        VALTRON_DECISION_RUN => Ok(Decision::Run),
        VALTRON_DECISION_DENY => Ok(Decision::Deny),
        VALTRON_DECISION_TAKE if job_wanted => Ok(Decision::Take),
        VALTRON_DECISION_TAKE => Err(Status::Decision),
        VALTRON_DECISION_LATER => Ok(Decision::Later),
        _ => Err(Status::EnumRange),
    }
}

/// The answer of a call that went as far as `status` says.
pub(super) fn answer(status: Status) -> Result<(), Status> {
    match status {
        Status::Ok => Ok(()),
        status => Err(status),
    }
}

/// What a wait for a request brought, if it came to its end.
pub(super) fn waited((status, info): (Status, Option<RequestInfo>)) -> Result<RequestInfo, Status> {
    answer(status)?;
    info.ok_or(Status::Internal)
}

/// `perform`, its plain arguments checked; the request, if there is one left.
pub(super) fn perform(
    client: &Client,
    config: RequestConfig<'_>,
    mask: u32,
    timeout_ms: i32,
) -> Refusal<(Status, Option<(u64, RequestInfo)>)> {
    let until = until(mask).or_refuse_field("until", Argument::Enum)?;
    let timeout = call_timeout(timeout_ms).or_refuse_field("timeout_ms", Argument::Timeout)?;
    let (handle, status, info) = client.perform(config, until, timeout)?;
    if matches!(status, Status::Ok | Status::Interrupted | Status::WaitTimeout) {
        return Ok((status, Some((handle, info))));
    }
    // The host gets no handle to free it by, if a callback did not free it already.
    client.request_free(handle);
    Ok((status, None))
}

// ---- limits

/// A time limit: 0 is `default`, -1 none.
fn timeout(field: &str, value_ms: i64, default: Option<Duration>) -> Refusal<Option<Duration>> {
    match value_ms {
        0 => Ok(default),
        -1 => Ok(None),
        1..=TIMEOUT_MS_MAX => Ok(Some(Duration::from_millis(value_ms.unsigned_abs()))),
        _ => refuse(
            Status::LimitRange,
            Argument::Timeout,
            format!("{field}: {value_ms} is not within -1 to {TIMEOUT_MS_MAX}"),
        ),
    }
}

/// A number: 0 is `default`, -1 is `none`, and `most` the largest.
fn count(field: &str, value: i64, default: usize, none: usize, most: i64) -> Refusal<usize> {
    match value {
        0 => Ok(default),
        -1 => Ok(none),
        1.. if value <= most => Ok(usize::try_from(value).unwrap_or(usize::MAX >> 1)),
        _ => refuse(Status::LimitRange, Argument::Limit, format!("{field}: {value} is not within -1 to {most}")),
    }
}

/// A count that may be unlimited.
fn optional_count(field: &str, value: i32) -> Refusal<Option<usize>> {
    let none = usize::MAX;
    Ok(Some(count(field, value.into(), none, none, i32::MAX.into())?).filter(|count| *count != none))
}

fn flag(field: &str, value: i32) -> Refusal<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => refuse(Status::EnumRange, Argument::Enum, format!("{field}: {value} is neither 0 nor 1")),
    }
}

/// A copy that can fail, for what a caller sizes.
fn copied(from: &[u8]) -> Result<Vec<u8>, Status> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(from.len()).map_err(|_| Status::NoMemory)?;
    copy.extend_from_slice(from);
    Ok(copy)
}

// ---- the client's configuration

/// Every bit zero, but for the one field whose default is another: what INIT gives, and what an older program leaves
/// out.
const CLIENT_DEFAULT: valtron_client_config = valtron_client_config {
    struct_size: size_of::<valtron_client_config>(),
    worker_threads: -1,
    spawn_ask: 0,
    spawn_callback: None,
    spawn_user: std::ptr::null_mut(),
    spawn_timeout_ms: 0,
    job_timeout_ms: 0,
    trust: 0,
    tls_verify_off: 0,
    ca_pem: std::ptr::null(),
    ca_pem_len: 0,
    resolver_threads: 0,
    requests_max: 0,
    connections_max: 0,
    connections_per_origin_max: 0,
    idle_connections_max: 0,
    idle_timeout_ms: 0,
    user_agent: std::ptr::null(),
    user_agent_len: 0,
    error: std::ptr::null_mut(),
};

/// A client about to be made.
pub(super) struct Creation {
    config: Refusal<ClientConfig>,
    detail: OutStruct<valtron_error_detail>,
}

impl Creation {
    /// Makes it by `create`; refused, the particulars go to the caller.
    pub(super) fn create(self, create: impl FnOnce(ClientConfig) -> Refusal<()>) -> Result<(), Status> {
        self.config.and_then(create).map_err(|error| tell(self.detail, &error))
    }
}

/// Writes the particulars of a refusal to where the caller wants them.
fn tell(detail: OutStruct<valtron_error_detail>, error: &HttpClientError) -> Status {
    detail.put(&super::answers::error_detail(error));
    error.status
}

/// # Safety
/// `config` is NULL or as the header says.
pub(super) unsafe fn client_config(config: *const valtron_client_config) -> Result<Creation, Status> {
    let c = match config.is_null() {
        true => CLIENT_DEFAULT,
        // SAFETY: promised to us, here and in all that follows.
        false => unsafe { input(config, CLIENT_DEFAULT)? },
    };
    // SAFETY: as above.
    unsafe { Ok(Creation { detail: optional_out_struct(c.error)?, config: client_parts(&c) }) }
}

/// # Safety
/// As for [`client_config`].
unsafe fn client_parts(c: &valtron_client_config) -> Refusal<ClientConfig> {
    let config = client_limits(c)?;
    // SAFETY: promised to us.
    let (pem, agent) = unsafe { (text(c.ca_pem, c.ca_pem_len), text(c.user_agent, c.user_agent_len)) };
    let ca_pem = pem.and_then(copied).or_refuse_field("ca_pem", Argument::CaPem)?;
    let ca_pem = Some(ca_pem).filter(|_| !c.ca_pem.is_null());
    let agent = agent.and_then(user_agent).or_refuse_field("user_agent", Argument::UserAgent)?;
    let user_agent = if c.user_agent.is_null() { config.user_agent } else { agent };
    let spawn_callback = c.spawn_callback.map(|callback| spawn_callback(callback, c.spawn_user));
    Ok(ClientConfig { ca_pem, user_agent, spawn_callback, ..config })
}

fn client_limits(c: &valtron_client_config) -> Refusal<ClientConfig> {
    let d = ClientConfig::default();
    let actions = VALTRON_SPAWN_REDIRECT | VALTRON_SPAWN_TLS_UPGRADE | VALTRON_SPAWN_RESOLVE;
    if c.spawn_ask & !actions != 0 {
        return refuse(Status::EnumRange, Argument::Enum, format!("spawn_ask: {:#x} has unknown bits", c.spawn_ask));
    }
    let slots = REQUESTS_MAX_LIMIT;
    Ok(ClientConfig {
        worker_threads: match c.worker_threads {
            -1 => None,
            0..=THREADS_MAX => Some(c.worker_threads.unsigned_abs() as usize),
            n => {
                let why = format!("worker_threads: {n} is not within -1 to {THREADS_MAX}");
                return refuse(Status::LimitRange, Argument::Limit, why);
            }
        },
        spawn_ask: c.spawn_ask,
        spawn_timeout: timeout("spawn_timeout_ms", c.spawn_timeout_ms, Some(d.spawn_timeout))?.unwrap_or(FOR_EVER),
        job_timeout: timeout("job_timeout_ms", c.job_timeout_ms, Some(d.job_timeout))?.unwrap_or(FOR_EVER),
        trust: match c.trust {
            VALTRON_TRUST_BUNDLED => Trust::Bundled,
            VALTRON_TRUST_SYSTEM => Trust::System,
            VALTRON_TRUST_PEM_ONLY => Trust::PemOnly,
            other => {
                let why = format!("trust: {other} is none of the VALTRON_TRUST_ values");
                return refuse(Status::EnumRange, Argument::Enum, why);
            }
        },
        tls_verify_off: flag("tls_verify_off", c.tls_verify_off)?,
        resolver_threads: count(
            "resolver_threads",
            c.resolver_threads.into(),
            d.resolver_threads,
            0,
            THREADS_MAX.into(),
        )?,
        requests_max: count("requests_max", c.requests_max.into(), d.requests_max, slots, slots as i64)?,
        connections_max: optional_count("connections_max", c.connections_max)?,
        connections_per_origin_max: optional_count("connections_per_origin_max", c.connections_per_origin_max)?,
        idle_connections_max: count(
            "idle_connections_max",
            c.idle_connections_max.into(),
            d.idle_connections_max,
            0,
            i32::MAX.into(),
        )?,
        idle_timeout: timeout("idle_timeout_ms", c.idle_timeout_ms, d.idle_timeout)?,
        ..d
    })
}

/// It becomes a header value, so it is held to the rule for those (RFC 9110 section 5.5).
fn user_agent(agent: &[u8]) -> Result<String, Status> {
    let fine = agent.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
    match String::from_utf8(copied(agent)?) {
        Ok(agent) if fine => Ok(agent),
        _ => Err(Status::HeaderValue),
    }
}

// ---- a request's configuration

/// All zero.
const REQUEST_DEFAULT: valtron_request_config = valtron_request_config {
    struct_size: size_of::<valtron_request_config>(),
    user_data: std::ptr::null_mut(),
    method: std::ptr::null(),
    method_len: 0,
    url: std::ptr::null(),
    url_len: 0,
    headers: std::ptr::null(),
    headers_count: 0,
    headers_stride: 0,
    body: std::ptr::null(),
    body_len: 0,
    body_release: None,
    body_release_user: std::ptr::null_mut(),
    priority: 0,
    idempotent: 0,
    redirects_max: 0,
    redirect_downgrade_allowed: 0,
    queue_timeout_ms: 0,
    resolve_timeout_ms: 0,
    connect_timeout_ms: 0,
    tls_timeout_ms: 0,
    send_timeout_ms: 0,
    first_byte_timeout_ms: 0,
    idle_timeout_ms: 0,
    total_timeout_ms: 0,
    head_bytes_max: 0,
    headers_max: 0,
    interim_max: 0,
    body_buffer_bytes: 0,
    upgrade: std::ptr::null(),
    upgrade_len: 0,
    error: std::ptr::null_mut(),
};

const HEADER_DEFAULT: valtron_header =
    valtron_header { name: std::ptr::null(), name_len: 0, value: std::ptr::null(), value_len: 0 };

/// A request about to be made.
pub(super) struct Submission<'a> {
    config: RequestConfig<'a>,
    borrowed: Option<Arc<Borrowed>>,
    detail: OutStruct<valtron_error_detail>,
}

impl<'a> Submission<'a> {
    /// Makes it by `submit`; refused, the particulars go to the caller. The release of a borrowed body is owed from
    /// here on, and only now: had the library kept a reference of a refused request, nothing would come of it.
    pub(super) fn submit<T>(self, submit: impl FnOnce(RequestConfig<'a>) -> Refusal<T>) -> Result<T, Status> {
        match submit(self.config) {
            Ok(made) => {
                if let Some(borrowed) = self.borrowed {
                    borrowed.arm();
                }
                Ok(made)
            }
            Err(error) => Err(tell(self.detail, &error)),
        }
    }
}

/// # Safety
/// `config` is NULL or as the header says.
pub(super) unsafe fn request_config<'a>(
    config: *const valtron_request_config,
    releases: &Arc<Releases>,
) -> Result<Submission<'a>, Status> {
    // SAFETY: promised to us, here and in all that follows.
    let c = unsafe { input(config, REQUEST_DEFAULT)? };
    // SAFETY: as above.
    let detail = unsafe { optional_out_struct(c.error)? };
    // SAFETY: as above.
    match unsafe { request_parts(&c, releases) } {
        Ok((config, borrowed)) => Ok(Submission { config, borrowed, detail }),
        Err(error) => Err(tell(detail, &error)),
    }
}

/// # Safety
/// As for [`request_config`].
unsafe fn request_parts<'a>(
    c: &valtron_request_config,
    releases: &Arc<Releases>,
) -> Refusal<(RequestConfig<'a>, Option<Arc<Borrowed>>)> {
    if !c.upgrade.is_null() || c.upgrade_len != 0 {
        return refuse(Status::Unsupported, Argument::Reserved, "upgrade: reserved, must be NULL".to_owned());
    }
    let limits = request_limits(c)?;
    // SAFETY: promised to us, here and in all that follows.
    let (method, url) = unsafe { (text(c.method, c.method_len), text(c.url, c.url_len)) };
    let method = match method.or_refuse_field("method", Argument::Method)? {
        _ if c.method.is_null() => limits.method.clone(),
        method => match COMMON_METHODS.into_iter().find(|common| common.as_bytes() == method) {
            Some(common) => common.into(),
            None => String::from_utf8(copied(method).or_refuse_field("method", Argument::Method)?)
                .map_err(|_| Status::Method)
                .or_refuse(Argument::Method)?
                .into(),
        },
    };
    let url = match url.or_refuse_field("url", Argument::Url)? {
        [] => return Err(Status::UrlEmpty).or_refuse(Argument::Url),
        url if url.len() > URL_LEN_MAX => return Err(Status::UrlTooLong).or_refuse(Argument::Url),
        url => match std::str::from_utf8(url) {
            Ok(url) => url.into(),
            Err(error) => {
                let at = error.valid_up_to();
                let why = format!("url: the byte {:#04x} at byte {at} is not UTF-8", url.get(at).unwrap_or(&0));
                return refuse(Status::UrlNotUtf8, Argument::Url, why);
            }
        },
    };
    // SAFETY: as above.
    let headers = unsafe { headers(c)? };
    // SAFETY: as above.
    let (body, borrowed) = unsafe { body(c, releases) }.or_refuse_field("body", Argument::Body)?;
    Ok((RequestConfig { method, url, headers, body, ..limits }, borrowed))
}

fn request_limits<'a>(c: &valtron_request_config) -> Refusal<RequestConfig<'a>> {
    let d = RequestConfig::default();
    let most = i64::from(i32::MAX);
    let none = i32::MAX as usize;
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(RequestConfig {
        user_data: c.user_data as usize,
        priority: c.priority,
        idempotent: match c.idempotent {
            0 => None,
            1 => Some(true),
            -1 => Some(false),
            n => return refuse(Status::EnumRange, Argument::Enum, format!("idempotent: {n} is none of -1, 0, 1")),
        },
        redirects_max: match c.redirects_max {
            0 => d.redirects_max,
            -1 => None,
            n @ 1.. => Some(n.unsigned_abs()),
            n => return refuse(Status::LimitRange, Argument::Limit, format!("redirects_max: {n} is below -1")),
        },
        redirect_downgrade_allowed: flag("redirect_downgrade_allowed", c.redirect_downgrade_allowed)?,
        queue_timeout: timeout("queue_timeout_ms", c.queue_timeout_ms, d.queue_timeout)?,
        resolve_timeout: timeout("resolve_timeout_ms", c.resolve_timeout_ms, d.resolve_timeout)?,
        connect_timeout: timeout("connect_timeout_ms", c.connect_timeout_ms, d.connect_timeout)?,
        tls_timeout: timeout("tls_timeout_ms", c.tls_timeout_ms, d.tls_timeout)?,
        send_timeout: timeout("send_timeout_ms", c.send_timeout_ms, d.send_timeout)?,
        first_byte_timeout: timeout("first_byte_timeout_ms", c.first_byte_timeout_ms, d.first_byte_timeout)?,
        idle_timeout: timeout("idle_timeout_ms", c.idle_timeout_ms, d.idle_timeout)?,
        total_timeout: timeout("total_timeout_ms", c.total_timeout_ms, d.total_timeout)?,
        head_bytes_max: count("head_bytes_max", c.head_bytes_max.into(), d.head_bytes_max, none, most)?,
        headers_max: count("headers_max", c.headers_max.into(), d.headers_max, none, most)?,
        interim_max: small(count("interim_max", c.interim_max.into(), d.interim_max as usize, none, most)?),
        body_buffer_bytes: match c.body_buffer_bytes {
            0 => d.body_buffer_bytes,
            bytes => Some(count("body_buffer_bytes", bytes, 0, usize::MAX >> 1, i64::MAX >> 1)?),
        },
        ..d
    })
}

/// # Safety
/// As for [`bytes`].
unsafe fn text<'a>(start: *const c_char, len: usize) -> Result<&'a [u8], Status> {
    // SAFETY: promised to us.
    unsafe { bytes(start.cast(), len) }
}

/// # Safety
/// As for [`request_config`].
unsafe fn headers(c: &valtron_request_config) -> Refusal<Vec<(Vec<u8>, Vec<u8>)>> {
    if c.headers_count > HEADERS_COUNT_MAX {
        return Err(Status::HeaderTooMany).or_refuse(Argument::Headers);
    }
    // SAFETY: promised to us, here and below.
    let lines = unsafe { array_in(c.headers, c.headers_stride, c.headers_count, HEADER_DEFAULT) };
    let lines = lines.map_err(|status| match status {
        Status::Stride => ("headers_stride", status),
        status => ("headers", status),
    });
    let lines = lines.or_else(|(field, status)| Err(status).or_refuse_field(field, Argument::Headers))?;
    let mut copies = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        // SAFETY: as above.
        let copy = unsafe { header(line) };
        copies.push(copy.or_else(|status| {
            let field = format!("headers: header {index}");
            Err(status).or_refuse_field(&field, Argument::Headers).map_err(|error| error.at_index(index))
        })?);
    }
    Ok(copies)
}

/// # Safety
/// Its pointers are NULL or good for their lengths.
unsafe fn header(line: &valtron_header) -> Result<(Vec<u8>, Vec<u8>), Status> {
    // SAFETY: promised to us.
    let (name, value) = unsafe { (text(line.name, line.name_len)?, text(line.value, line.value_len)?) };
    Ok((copied(name)?, copied(value)?))
}

/// # Safety
/// As for [`request_config`].
unsafe fn body(
    c: &valtron_request_config,
    releases: &Arc<Releases>,
) -> Result<(Option<Body>, Option<Arc<Borrowed>>), Status> {
    // SAFETY: promised to us, here and below.
    let bytes = unsafe { bytes(c.body, c.body_len)? };
    match c.body_release {
        _ if c.body.is_null() => Ok((None, None)),
        None => Ok((Some(Arc::new(CopiedBody::new(copied(bytes)?))), None)),
        Some(release) => {
            // SAFETY: as above.
            let borrowed = unsafe { Borrowed::new(release, c.body_release_user, c.body, c.body_len, releases.clone()) };
            let borrowed = Arc::new(borrowed);
            Ok((Some(borrowed.clone()), Some(borrowed)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: 0 is the default, -1 none, anything below or absurd names its field. Method: the values around each
    /// border.
    #[test]
    fn limits_have_borders() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(timeout("x_ms", 0, second).unwrap(), second);
        assert_eq!(timeout("x_ms", -1, second).unwrap(), None);
        assert_eq!(timeout("x_ms", 1, second).unwrap(), Some(Duration::from_millis(1)));
        for bad in [-2, i64::MIN, TIMEOUT_MS_MAX + 1, i64::MAX] {
            let error = timeout("x_ms", bad, second).unwrap_err();
            assert_eq!((error.status, error.argument), (Status::LimitRange, Argument::Timeout));
            assert!(error.text.starts_with("x_ms"), "{}", error.text);
        }
        assert_eq!(count("n", -1, 5, 9, 10).unwrap(), 9);
        assert!(count("n", 11, 5, 9, 10).is_err() && count("n", -2, 5, 9, 10).is_err());
        assert_eq!(call_timeout(-2), Err(Status::LimitRange));
    }
}
