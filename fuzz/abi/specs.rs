//! Configurations, good and bad, of clients and requests.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::mem::{offset_of, size_of};
use std::ptr::null;

use arbitrary::Arbitrary;
use valtron_http::ffi::*;

use super::world::World;

/// A struct's size as a caller may give it; most are right.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Size(u8);

impl Size {
    pub fn of<T>(self) -> usize {
        let exact = size_of::<T>();
        match self.0 {
            240..=246 => exact + 64,
            247..=249 => exact - 8,
            250 => 0,
            251 => 8,
            252 => 64 * 1024 + 1,
            253 => usize::MAX,
            _ => exact,
        }
    }

    pub fn fits<T>(self) -> bool {
        self.fits_from::<T>(size_of::<T>())
    }

    /// The same, of a struct that was shorter in its first version.
    fn fits_from<T>(self, first: usize) -> bool {
        (first..=64 * 1024).contains(&self.of::<T>())
    }
}

/// A stride, likewise.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Stride(u8);

impl Stride {
    pub fn of<T>(self) -> usize {
        let exact = size_of::<T>();
        match self.0 {
            200..=219 => exact + 8,
            220..=239 => exact + 21,
            240..=245 => exact - 1,
            246..=248 => 0,
            249..=251 => 1 << 20,
            _ => exact,
        }
    }

    pub fn fits<T>(self) -> bool {
        (size_of::<T>()..=64 * 1024).contains(&self.of::<T>())
    }
}

fn zeroed<T: Copy>() -> T {
    // SAFETY: used for the structs of the header, whose fields are numbers, raw pointers and optional functions.
    unsafe { std::mem::zeroed() }
}

#[derive(Arbitrary, Clone, Debug)]
pub struct ClientSpec {
    pub ask: u8,
    pub callback: bool,
    times: u8,
    kind: u8,
    broken: u8,
    size: Size,
}

impl ClientSpec {
    /// Look-ups are off, as jobs run by name are but for localhost: nothing asks a name service.
    pub fn config(&self) -> (valtron_client_config, bool) {
        let mut config = valtron_client_config {
            struct_size: self.size.of::<valtron_client_config>(),
            worker_threads: -1,
            spawn_ask: u32::from(self.ask % 8),
            spawn_timeout_ms: [0, 1, -1, 50][usize::from(self.times % 4)],
            job_timeout_ms: [0, 1, -1, 50][usize::from(self.times / 4 % 4)],
            tls_verify_off: i32::from(self.kind % 2),
            resolver_threads: -1,
            idle_connections_max: [0, -1, 1][usize::from(self.kind / 2 % 3)],
            idle_timeout_ms: [0, -1, 1][usize::from(self.kind / 6 % 3)],
            requests_max: [0, 2, 7][usize::from(self.kind / 18 % 3)],
            ..zeroed()
        };
        match self.broken {
            240 => config.worker_threads = -2,
            241 => config.spawn_ask = 8,
            242 => config.spawn_timeout_ms = -2,
            243 => config.job_timeout_ms = i64::MAX,
            244 => config.trust = 3,
            245 => config.tls_verify_off = 2,
            246 => config.ca_pem_len = 1,
            247 => (config.user_agent, config.user_agent_len) = (c"a\nb".as_ptr(), 3),
            248 => (config.ca_pem, config.ca_pem_len) = (c"none".as_ptr(), 4),
            249 => config.resolver_threads = -2,
            250 => config.requests_max = i32::MIN,
            251 => config.user_agent_len = 1,
            _ => {}
        }
        let fits = self.size.fits_from::<valtron_client_config>(offset_of!(valtron_client_config, error));
        (config, fits && !matches!(self.broken, 240..=251))
    }
}

#[derive(Arbitrary, Clone, Debug)]
pub struct RequestSpec {
    url: u8,
    raw: Vec<u8>,
    method: u8,
    headers: u8,
    body: u8,
    limits: u8,
    broken: u8,
    size: Size,
    pub detail: bool,
    pub detail_size: Size,
}

/// What a configuration points to, while the call lasts.
pub struct Parts {
    url: Vec<u8>,
    headers: Vec<[valtron_header; 2]>,
    /// The URL is the input's own: it may name any host, so the request must never be driven.
    pub wild: bool,
    pub broken: bool,
}

/// A borrowed body: when the library gives it back.
pub struct Lent {
    pub bytes: Vec<u8>,
    pub owed: Cell<bool>,
    pub released: Cell<u32>,
}

unsafe extern "C" fn released(user: *mut c_void, body: *const u8, body_len: usize) {
    // SAFETY: it is a Lent of the run, which outlives all its clients.
    let lent = unsafe { &*user.cast::<Lent>() };
    lent.released.set(lent.released.get() + 1);
    assert_eq!((body, body_len), (lent.bytes.as_ptr(), lent.bytes.len()));
    assert_eq!(lent.released.get(), 1, "released twice");
}

const METHODS: [&str; 8] = ["GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "get", "X-OWN"];
const BAD_METHODS: [&str; 4] = ["", "GE T", "CONNECT", "G\r\n"];
const BAD_URLS: [&str; 8] =
    ["", "/x", "ftp://h/", "http://h:99999/", "http://a b/", "http://", "\u{e9}", "http://u%zz@127.0.0.1:1/"];

impl RequestSpec {
    pub fn parts(&self, world: &World) -> Parts {
        let (a, b) = (world.server.port(0), world.server.port(1));
        let wild = self.url >= 250;
        let url = match self.url % 10 {
            _ if wild => String::new(),
            _ if self.url >= 245 => BAD_URLS[usize::from(self.body % 8)].to_owned(),
            0 | 1 => format!("http://127.0.0.1:{a}/"),
            2 => format!("http://127.0.0.1:{a}/x?y"),
            3 => format!("http://127.0.0.1:{b}/"),
            4 | 5 => format!("http://localhost:{a}/"),
            6 | 7 => format!("https://127.0.0.1:{a}/"),
            8 => "http://127.0.0.1:1/".to_owned(),
            _ => format!("http://user:pass@127.0.0.1:{a}/#f"),
        };
        let url = if wild { self.raw.clone() } else { url.into_bytes() };
        let lines: &[(&str, &str)] = match self.headers {
            0..=99 => &[],
            100..=179 => &[("X-A", "1")],
            180..=239 => &[("Accept", "*/*"), ("User-Agent", "fuzz"), ("X-B", "")],
            240..=244 => &[("Transfer-Encoding", "chunked")],
            245..=249 => &[("X-A", "1"), ("a b", "1")],
            _ => &[("X-A", "1\r\nX-B: 2")],
        };
        let line = |(name, value): &(&'static str, &'static str)| valtron_header {
            name: name.as_ptr().cast(),
            name_len: name.len(),
            value: value.as_ptr().cast(),
            value_len: value.len(),
        };
        // Every other element is the caller's own: a stride of twice the size.
        let headers = lines.iter().map(|pair| [line(pair), zeroed()]).collect();
        let broken = self.url >= 245 && !wild || self.headers >= 240 || matches!(self.broken, 236..=255);
        Parts { url, headers, wild, broken: broken || !self.size.fits::<valtron_request_config>() }
    }

    /// Points into `parts` and `lent`.
    pub fn config(&self, parts: &Parts, lent: &mut Option<Box<Lent>>, user_data: usize) -> valtron_request_config {
        let bytes = vec![b'b'; [5, 0, 70_000, 300][usize::from(self.body % 4)]];
        let mut config = valtron_request_config {
            struct_size: self.size.of::<valtron_request_config>(),
            user_data: user_data as *mut c_void,
            url: parts.url.as_ptr().cast::<c_char>(),
            url_len: parts.url.len(),
            headers: parts.headers.as_ptr().cast(),
            headers_count: parts.headers.len(),
            headers_stride: 2 * size_of::<valtron_header>(),
            ..zeroed()
        };
        let method = METHODS[usize::from(self.method % 8)];
        if self.method < 200 {
            (config.method, config.method_len) = (method.as_ptr().cast(), method.len());
        }
        if self.body >= 100 {
            let kept = lent.insert(Box::new(Lent { bytes, owed: Cell::new(false), released: Cell::new(0) }));
            (config.body, config.body_len) = (kept.bytes.as_ptr(), kept.bytes.len());
            if self.body >= 170 {
                config.body_release = Some(released);
                config.body_release_user = (&raw const **kept).cast_mut().cast();
            }
        }
        self.limit(&mut config);
        self.spoil(&mut config);
        config
    }

    fn limit(&self, config: &mut valtron_request_config) {
        match self.limits {
            100..=109 => config.head_bytes_max = 40,
            110..=119 => config.headers_max = 1,
            120..=129 => config.interim_max = 1,
            130..=149 => config.body_buffer_bytes = 1,
            150..=159 => config.redirects_max = -1,
            160..=169 => config.redirects_max = 1,
            170..=179 => config.total_timeout_ms = 1,
            180..=184 => config.first_byte_timeout_ms = 1,
            185..=189 => config.connect_timeout_ms = 1,
            190..=199 => config.idempotent = 1,
            200..=209 => config.idempotent = -1,
            210..=219 => config.redirect_downgrade_allowed = 1,
            220..=224 => (config.head_bytes_max, config.headers_max, config.interim_max) = (-1, -1, -1),
            225..=229 => config.body_buffer_bytes = -1,
            _ => {}
        }
    }

    fn spoil(&self, config: &mut valtron_request_config) {
        let bad = BAD_METHODS[usize::from(self.method % 4)];
        match self.broken {
            236..=239 => (config.method, config.method_len) = (bad.as_ptr().cast(), bad.len()),
            240 => config.idempotent = 2,
            241 => config.redirects_max = -2,
            242 => config.redirect_downgrade_allowed = -1,
            243 => config.queue_timeout_ms = -2,
            244 => config.total_timeout_ms = i64::MAX,
            245 => config.head_bytes_max = i32::MIN,
            246 => config.headers_max = -2,
            247 => config.body_buffer_bytes = i64::MIN,
            248 => config.upgrade_len = 1,
            249 => (config.body, config.body_len) = (null(), 9),
            250 => (config.headers, config.headers_count) = (null(), 2),
            251 => (config.headers_stride, config.headers_count) = (8, 1),
            252 => (config.url, config.url_len) = (null(), 5),
            253 => config.connect_timeout_ms = -7,
            254 => config.headers_count = usize::MAX,
            255 => config.upgrade = c"websocket".as_ptr(),
            _ => {}
        }
    }
}
