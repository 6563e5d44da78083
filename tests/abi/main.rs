//! The C interface, called as C calls it: bad input of every kind answers a code and touches nothing; good input
//! fetches.

use std::ffi::{c_void, CStr};
use std::io::{Read, Write};
use std::mem::size_of;
use std::net::TcpListener;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use valtron_http::ffi::*;

// Everything below calls the interface with pointers that are NULL or good for their types, which is all it asks;
// each block says only what is special about it.

fn zeroed<T>() -> T {
    // SAFETY: used for the structs of the header, whose fields are numbers, raw pointers and optional functions.
    unsafe { std::mem::zeroed() }
}

macro_rules! init {
    ($type:ident) => {
        $type { struct_size: size_of::<$type>(), ..zeroed() }
    };
}

mod counts;
mod layout;
mod performs;
mod spawns;

struct TestClient(*mut valtron_client);

impl TestClient {
    fn new() -> Self {
        Self::with(valtron_client_config { worker_threads: -1, ..init!(valtron_client_config) })
    }

    fn with(config: valtron_client_config) -> Self {
        let mut client = null_mut();
        // SAFETY: see above.
        assert_eq!(unsafe { valtron_client_create(&config, &mut client) }, VALTRON_OK);
        Self(client)
    }

    fn create(&self, config: &valtron_request_config) -> (valtron_status, valtron_request) {
        let mut request = 77;
        // SAFETY: see above.
        let status = unsafe { valtron_request_create(self.0, config, &mut request) };
        assert!(status == VALTRON_OK || request == 77, "an output was written by a call that failed");
        (status, request)
    }

    fn refusal(&self, mut config: valtron_request_config) -> (valtron_status, valtron_error_detail) {
        let mut detail = init!(valtron_error_detail);
        config.error = &mut detail;
        let (status, _) = self.create(&config);
        (status, detail)
    }
}

impl Drop for TestClient {
    fn drop(&mut self) {
        // SAFETY: see above.
        unsafe { valtron_client_free(self.0) }
    }
}

fn get(url: &str) -> valtron_request_config {
    valtron_request_config { url: url.as_ptr().cast(), url_len: url.len(), ..init!(valtron_request_config) }
}

fn text(detail: &valtron_error_detail) -> &str {
    // SAFETY: it promises a NUL.
    let text = unsafe { CStr::from_ptr(detail.text.as_ptr()) }.to_str().unwrap();
    assert_eq!(text.len(), detail.text_len);
    text
}

/// Answers every connection with `response` after its request's head; how many bytes of body it got.
fn server(response: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut seen = Vec::new();
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    seen.extend_from_slice(&buffer[..count]);
                    if seen.windows(4).any(|window| window == b"\r\n\r\n") {
                        let _ = stream.write_all(response);
                        seen.clear();
                    }
                }
            });
        }
    });
    url
}

/// Goal: NULL in every pointer answers a code. Method: one call each.
#[test]
fn null_everywhere() {
    let client = TestClient::new();
    let c = client.0;
    let (mut p, mut i, mut request) = (null_mut(), init!(valtron_request_info), 0);
    let (mut count, mut byte, mut bytes, mut chars) = (0, 0, null(), null());
    let (mut event, mut spawn, mut entry) = (zeroed::<valtron_event>(), zeroed::<valtron_spawn>(), zeroed());
    let config = get("http://127.0.0.1:1/");
    let (status, live) = client.create(&config);
    assert_eq!(status, VALTRON_OK);
    let n = null_mut::<valtron_client>();
    // SAFETY: see above.
    unsafe {
        assert_eq!(valtron_client_create(null(), null_mut()), VALTRON_E_NULL_OUTPUT);
        assert_eq!(valtron_client_create(null(), &mut p), VALTRON_OK);
        valtron_client_free(p);
        let no_client = [
            valtron_client_poll(n, 0, null_mut()),
            valtron_client_wait(n, 0, null_mut()),
            valtron_client_wakeup(n),
            valtron_client_wait_handle(n, null_mut()),
            valtron_client_next_events(n, &mut event, size_of::<valtron_event>(), 1, &mut count),
            valtron_client_next_spawns(n, &mut spawn, size_of::<valtron_spawn>(), 1, &mut count),
            valtron_client_stats(n, null_mut()),
            valtron_client_hitches(n, 0, null_mut()),
            valtron_client_shutdown(n, 0),
            valtron_request_create(n, &config, &mut request),
            valtron_request_poll(n, live, 0, &mut i),
            valtron_request_wait(n, live, 0, 0, &mut i),
            valtron_client_perform(n, &config, 0, 0, &mut request, &mut i),
            valtron_request_head(n, live, 0, null_mut()),
            valtron_request_read(n, live, &mut byte, 1, &mut count),
            valtron_request_peek(n, live, &mut bytes, &mut count),
            valtron_request_consume(n, live, 0),
            valtron_request_error(n, live, null_mut()),
            valtron_request_trace(n, live, &mut entry, size_of::<valtron_trace_entry>(), 1, &mut count),
            valtron_request_url(n, live, &mut chars, &mut count),
            valtron_request_cancel(n, live),
            valtron_action_decide(n, 1, 0, null_mut()),
        ];
        assert!(no_client.iter().all(|status| *status == VALTRON_E_NULL_CLIENT), "{no_client:?}");
        let no_output = [
            valtron_client_wait_handle(c, null_mut()),
            valtron_client_next_events(c, &mut event, size_of::<valtron_event>(), 1, null_mut()),
            valtron_client_next_spawns(c, &mut spawn, size_of::<valtron_spawn>(), 1, null_mut()),
            valtron_client_stats(c, null_mut()),
            valtron_client_hitches(c, 0, null_mut()),
            valtron_request_create(c, &config, null_mut()),
            valtron_request_poll(c, live, 0, null_mut()),
            valtron_request_wait(c, live, 0, 0, null_mut()),
            valtron_client_perform(c, &config, 0, 0, null_mut(), &mut i),
            valtron_client_perform(c, &config, 0, 0, &mut request, null_mut()),
            valtron_request_head(c, live, 0, null_mut()),
            valtron_request_read(c, live, &mut byte, 1, null_mut()),
            valtron_request_peek(c, live, null_mut(), &mut count),
            valtron_request_peek(c, live, &mut bytes, null_mut()),
            valtron_request_error(c, live, null_mut()),
            valtron_request_trace(c, live, &mut entry, size_of::<valtron_trace_entry>(), 1, null_mut()),
            valtron_request_url(c, live, null_mut(), &mut count),
            valtron_request_url(c, live, &mut chars, null_mut()),
        ];
        assert!(no_output.iter().all(|status| *status == VALTRON_E_NULL_OUTPUT), "{no_output:?}");
        let no_buffer = [
            valtron_client_next_events(c, null_mut(), size_of::<valtron_event>(), 1, &mut count),
            valtron_client_next_spawns(c, null_mut(), size_of::<valtron_spawn>(), 1, &mut count),
            valtron_request_read(c, live, null_mut(), 1, &mut count),
            valtron_request_trace(c, live, null_mut(), size_of::<valtron_trace_entry>(), 1, &mut count),
        ];
        assert!(no_buffer.iter().all(|status| *status == VALTRON_E_NULL_BUFFER), "{no_buffer:?}");
        assert_eq!(valtron_request_create(c, null(), &mut request), VALTRON_E_NULL_CONFIG);
        assert_eq!(valtron_client_perform(c, null(), 0, 0, &mut request, &mut i), VALTRON_E_NULL_CONFIG);
        assert_eq!(valtron_job_run(null_mut()), VALTRON_E_NULL_JOB);
        assert_eq!(valtron_set_allocator(null()), VALTRON_E_NULL_CONFIG);
        valtron_job_free(null_mut());
        valtron_client_free(null_mut());
        valtron_request_free(null_mut(), live);
        valtron_request_free(c, 0);
        assert_eq!(valtron_client_poll(c, 0, null_mut()), VALTRON_OK);
    }
    assert_eq!((request, count, byte), (0, 0, 0), "an output was written by a call that failed");
}

/// Goal: a struct's size is checked, bounds what is read and what is written. Method: sizes around the true one,
/// and guards behind it.
#[test]
fn struct_sizes() {
    let client = TestClient::new();
    for size in [0, 1, 7, 8, size_of::<valtron_poll_info>() - 1, 64 * 1024 + 1, usize::MAX] {
        let mut info = valtron_poll_info { struct_size: size, work_left: 99, ..zeroed() };
        let mut stats = valtron_stats { struct_size: size.min(100), turns: 99, ..zeroed() };
        let mut created = null_mut();
        // SAFETY: see above; a refused size is not used.
        unsafe {
            assert_eq!(valtron_client_poll(client.0, 0, &mut info), VALTRON_E_STRUCT_SIZE, "{size}");
            assert_eq!(valtron_client_stats(client.0, &mut stats), VALTRON_E_STRUCT_SIZE, "{size}");
            let config = valtron_client_config { struct_size: size, ..zeroed() };
            assert_eq!(valtron_client_create(&config, &mut created), VALTRON_E_STRUCT_SIZE, "{size}");
        }
        assert_eq!((info.work_left, stats.turns, created), (99, 99, null_mut()));
        let config = valtron_request_config { struct_size: size, ..get("http://a/") };
        assert_eq!(client.create(&config).0, VALTRON_E_STRUCT_SIZE, "{size}");
        let mut detail = valtron_error_detail { struct_size: size.min(200), ..zeroed() };
        assert_eq!(client.create(&valtron_request_config { error: &mut detail, ..get("x") }).0, VALTRON_E_STRUCT_SIZE);
    }
    // A newer program's larger struct: only what this library knows is written.
    let mut larger = (init!(valtron_poll_info), [0xa5u8; 64]);
    larger.0.struct_size += 64;
    // SAFETY: see above.
    assert_eq!(unsafe { valtron_client_poll(client.0, 0, &mut larger.0) }, VALTRON_OK);
    assert_eq!((larger.0.struct_size, larger.1), (size_of::<valtron_poll_info>() + 64, [0xa5; 64]));
    // Strides.
    let (mut event, mut count) = (zeroed::<valtron_event>(), 5);
    for stride in [0, size_of::<valtron_event>() - 1, 1 << 20] {
        // SAFETY: see above.
        let status = unsafe { valtron_client_next_events(client.0, &mut event, stride, 1, &mut count) };
        assert_eq!((status, count), (VALTRON_E_STRIDE, 5));
    }
    let line = valtron_header { name: c"A".as_ptr(), name_len: 1, value: c"b".as_ptr(), value_len: 1 };
    let config = valtron_request_config { headers: &line, headers_count: 1, headers_stride: 8, ..get("http://a/") };
    assert_eq!(client.refusal(config).0, VALTRON_E_STRIDE);
}

/// Goal: values out of range answer a code that names them. Method: one field each.
#[test]
fn values_out_of_range() {
    type Set<T> = fn(&mut T);
    let client_fields: [(Set<valtron_client_config>, valtron_status); 14] = [
        (|c| c.worker_threads = -2, VALTRON_E_LIMIT_RANGE),
        (|c| c.worker_threads = i32::MAX, VALTRON_E_LIMIT_RANGE),
        (|c| c.spawn_ask = 8, VALTRON_E_ENUM_RANGE),
        (|c| c.spawn_timeout_ms = -2, VALTRON_E_LIMIT_RANGE),
        (|c| c.job_timeout_ms = i64::MAX, VALTRON_E_LIMIT_RANGE),
        (|c| c.trust = 3, VALTRON_E_ENUM_RANGE),
        (|c| c.trust = -1, VALTRON_E_ENUM_RANGE),
        (|c| c.tls_verify_off = 2, VALTRON_E_ENUM_RANGE),
        (|c| c.ca_pem_len = 1, VALTRON_E_NULL_BUFFER),
        (|c| c.user_agent_len = 1, VALTRON_E_NULL_BUFFER),
        (|c| c.requests_max = -2, VALTRON_E_LIMIT_RANGE),
        (|c| c.requests_max = i32::MAX, VALTRON_E_LIMIT_RANGE),
        (|c| (c.user_agent, c.user_agent_len) = (c"a\r\nb: c".as_ptr(), 7), VALTRON_E_HEADER_VALUE),
        (|c| (c.ca_pem, c.ca_pem_len) = (c"no certificate".as_ptr(), 14), VALTRON_E_CA_PEM),
    ];
    for (index, (set, expected)) in client_fields.into_iter().enumerate() {
        let mut config = init!(valtron_client_config);
        set(&mut config);
        let mut client = null_mut();
        // SAFETY: see above.
        assert_eq!(unsafe { valtron_client_create(&config, &mut client) }, expected, "{index}");
        assert!(client.is_null());
    }
    let client = TestClient::new();
    let request_fields: [(Set<valtron_request_config>, valtron_status, &str); 15] = [
        (|c| c.idempotent = 2, VALTRON_E_ENUM_RANGE, "idempotent"),
        (|c| c.redirects_max = -2, VALTRON_E_LIMIT_RANGE, "redirects_max"),
        (|c| c.redirect_downgrade_allowed = 7, VALTRON_E_ENUM_RANGE, "redirect_downgrade_allowed"),
        (|c| c.queue_timeout_ms = -2, VALTRON_E_LIMIT_RANGE, "queue_timeout_ms"),
        (|c| c.resolve_timeout_ms = i64::MIN, VALTRON_E_LIMIT_RANGE, "resolve_timeout_ms"),
        (|c| c.connect_timeout_ms = i64::MAX, VALTRON_E_LIMIT_RANGE, "connect_timeout_ms"),
        (|c| c.tls_timeout_ms = -3, VALTRON_E_LIMIT_RANGE, "tls_timeout_ms"),
        (|c| c.send_timeout_ms = -3, VALTRON_E_LIMIT_RANGE, "send_timeout_ms"),
        (|c| c.total_timeout_ms = -3, VALTRON_E_LIMIT_RANGE, "total_timeout_ms"),
        (|c| c.head_bytes_max = -2, VALTRON_E_LIMIT_RANGE, "head_bytes_max"),
        (|c| c.headers_max = -2, VALTRON_E_LIMIT_RANGE, "headers_max"),
        (|c| c.interim_max = -2, VALTRON_E_LIMIT_RANGE, "interim_max"),
        (|c| c.body_buffer_bytes = -2, VALTRON_E_LIMIT_RANGE, "body_buffer_bytes"),
        (|c| c.upgrade = c"websocket".as_ptr(), VALTRON_E_UNSUPPORTED, "upgrade"),
        (|c| c.body_len = 1, VALTRON_E_NULL_BUFFER, "body"),
    ];
    for (set, expected, named) in request_fields {
        let mut config = get("http://a/");
        set(&mut config);
        let (status, detail) = client.refusal(config);
        assert_eq!((status, detail.status), (expected, expected), "{named}");
        assert!(text(&detail).starts_with(&format!("{named}: ")), "{named}: {}", text(&detail));
        assert_ne!(detail.argument, VALTRON_ARGUMENT_NONE, "{named}");
    }
    let mut info = init!(valtron_request_info);
    let (_, live) = client.create(&get("http://127.0.0.1:1/"));
    // SAFETY: see above.
    unsafe {
        assert_eq!(valtron_client_wait(client.0, -2, null_mut()), VALTRON_E_LIMIT_RANGE);
        assert_eq!(valtron_client_shutdown(client.0, -2), VALTRON_E_LIMIT_RANGE);
        assert_eq!(valtron_request_wait(client.0, live, 8, 0, &mut info), VALTRON_E_ENUM_RANGE);
        assert_eq!(valtron_request_wait(client.0, live, 0, -2, &mut info), VALTRON_E_LIMIT_RANGE);
        let mut head = init!(valtron_head);
        for which in [2, -1, 0x30000, i32::MIN] {
            assert_eq!(valtron_request_head(client.0, live, which, &mut head), VALTRON_E_ENUM_RANGE);
        }
        for which in [VALTRON_HEAD_FINAL, VALTRON_HEAD_TRAILERS, 0x10000, 0x20005] {
            assert_eq!(valtron_request_head(client.0, live, which, &mut head), VALTRON_E_NO_HEAD);
        }
        let mut job = null_mut();
        assert_eq!(valtron_action_decide(client.0, 1, 4, &mut job), VALTRON_E_ENUM_RANGE);
        assert_eq!(valtron_action_decide(client.0, 1, VALTRON_DECISION_TAKE, null_mut()), VALTRON_E_DECISION);
        assert_eq!(valtron_action_decide(client.0, 1, VALTRON_DECISION_LATER, &mut job), VALTRON_E_DECISION);
        assert_eq!(valtron_action_decide(client.0, 1, VALTRON_DECISION_TAKE, &mut job), VALTRON_E_NO_SPAWN);
        assert!(job.is_null());
    }
}

/// Goal: URLs, methods and headers that are none answer each its code. Method: a table.
#[test]
fn bad_urls_methods_headers() {
    let client = TestClient::new();
    let long = format!("http://a/{}", "x".repeat(70_000));
    let urls: [(&[u8], valtron_status); 10] = [
        (b"", VALTRON_E_URL_EMPTY),
        (b"http://\xff/", VALTRON_E_URL_NOT_UTF8),
        (b"/path", VALTRON_E_URL_RELATIVE),
        (b"//host/path", VALTRON_E_URL_RELATIVE),
        (b"ftp://host/", VALTRON_E_URL_SCHEME),
        (b"http://", VALTRON_E_URL_HOST),
        (b"http://a b/", VALTRON_E_URL_SYNTAX),
        (b"http://host:99999/", VALTRON_E_URL_PORT),
        (b"http://host:x/", VALTRON_E_URL_PORT),
        (long.as_bytes(), VALTRON_E_URL_TOO_LONG),
    ];
    for (url, expected) in urls {
        let config = valtron_request_config { url: url.as_ptr().cast(), url_len: url.len(), ..get("") };
        let (status, detail) = client.refusal(config);
        let shown = String::from_utf8_lossy(&url[..url.len().min(40)]);
        assert_eq!((status, detail.argument), (expected, VALTRON_ARGUMENT_URL), "{shown}");
        assert!(text(&detail).contains("url"), "{shown}: {}", text(&detail));
    }
    let no_url = valtron_request_config { url: null(), url_len: 3, ..get("") };
    assert_eq!(client.refusal(no_url).0, VALTRON_E_NULL_BUFFER);
    let methods: [(&[u8], valtron_status); 6] = [
        (b"", VALTRON_E_METHOD),
        (b"GE T", VALTRON_E_METHOD),
        (b"GET\r\n", VALTRON_E_METHOD),
        (b"G\0T", VALTRON_E_METHOD),
        (b"\xff", VALTRON_E_METHOD),
        (b"CONNECT", VALTRON_E_METHOD_UNSUPPORTED),
    ];
    for (method, expected) in methods {
        let start = if method.is_empty() { b"x".as_ptr() } else { method.as_ptr() };
        let config = valtron_request_config { method: start.cast(), method_len: method.len(), ..get("http://a/") };
        let (status, detail) = client.refusal(config);
        assert_eq!((status, detail.argument), (expected, VALTRON_ARGUMENT_METHOD), "{method:?}");
    }
    let headers: [(&[u8], &[u8], valtron_status); 8] = [
        (b"", b"x", VALTRON_E_HEADER_NAME),
        (b"a b", b"x", VALTRON_E_HEADER_NAME),
        (b"a:", b"x", VALTRON_E_HEADER_NAME),
        (b"a\r\nb", b"x", VALTRON_E_HEADER_NAME),
        (b"a", b"x\r\ny: z", VALTRON_E_HEADER_VALUE),
        (b"a", b"x\ny", VALTRON_E_HEADER_VALUE),
        (b"a", b"x\0", VALTRON_E_HEADER_VALUE),
        (b"Content-Length", b"5", VALTRON_E_HEADER_FORBIDDEN),
    ];
    for (name, value, expected) in headers {
        let good = valtron_header { name: c"ok".as_ptr(), name_len: 2, value: null(), value_len: 0 };
        let bad = valtron_header {
            name: name.as_ptr().cast(),
            name_len: name.len(),
            value: value.as_ptr().cast(),
            value_len: value.len(),
        };
        let both = [good, bad];
        let config = valtron_request_config { headers: both.as_ptr(), headers_count: 2, ..get("http://a/") };
        let (status, detail) = client.refusal(config);
        assert_eq!(
            (status, detail.argument, detail.argument_index),
            (expected, VALTRON_ARGUMENT_HEADERS, 1),
            "{name:?}"
        );
    }
}

/// Goal: zero, made-up, stale and foreign handles answer a code. Method: every function that takes one.
#[test]
fn bad_handles() {
    let (client, other) = (TestClient::new(), TestClient::new());
    let (_, stale) = client.create(&get("http://127.0.0.1:1/"));
    let (_, foreign) = other.create(&get("http://127.0.0.1:1/"));
    // SAFETY: see above.
    unsafe {
        valtron_request_free(client.0, stale);
        valtron_request_free(client.0, stale);
        valtron_request_free(client.0, foreign);
    }
    for (handle, expected) in
        [(0, VALTRON_E_HANDLE), (stale, VALTRON_E_HANDLE_STALE), (foreign, VALTRON_E_HANDLE_FOREIGN)]
    {
        let (mut info, mut head, mut detail) =
            (init!(valtron_request_info), init!(valtron_head), init!(valtron_error_detail));
        let (mut byte, mut count, mut bytes, mut chars, mut entry) = (0, 0, null(), null(), zeroed());
        // SAFETY: see above.
        let answers = unsafe {
            [
                valtron_request_poll(client.0, handle, 0, &mut info),
                valtron_request_wait(client.0, handle, 0, 0, &mut info),
                valtron_request_head(client.0, handle, 0, &mut head),
                valtron_request_read(client.0, handle, &mut byte, 1, &mut count),
                valtron_request_peek(client.0, handle, &mut bytes, &mut count),
                valtron_request_consume(client.0, handle, 0),
                valtron_request_error(client.0, handle, &mut detail),
                valtron_request_trace(client.0, handle, &mut entry, size_of::<valtron_trace_entry>(), 1, &mut count),
                valtron_request_url(client.0, handle, &mut chars, &mut count),
                valtron_request_cancel(client.0, handle),
            ]
        };
        assert!(answers.iter().all(|status| *status == expected), "{handle:#x}: {answers:?}");
    }
    let mut info = init!(valtron_request_info);
    // SAFETY: see above.
    assert_eq!(unsafe { valtron_request_poll(other.0, foreign, 0, &mut info) }, VALTRON_OK);
}

/// Goal: a whole request by `perform`, and what it leaves to read. Method: a server on this machine.
#[test]
fn perform_and_read() {
    let url = server(b"HTTP/1.1 200 Fine\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello");
    let client = TestClient::new();
    let (mut request, mut info, mut head) = (0, init!(valtron_request_info), init!(valtron_head));
    let config = valtron_request_config { user_data: 7 as *mut c_void, ..get(&url) };
    let (mut buffer, mut count) = ([0; 16], 99);
    // SAFETY: see above; the head's pointers are good until the free below.
    unsafe {
        let status = valtron_client_perform(client.0, &config, VALTRON_UNTIL_DONE, 10_000, &mut request, &mut info);
        assert_eq!((status, info.status, info.http_status), (VALTRON_OK, VALTRON_OK, 200));
        assert_eq!((info.terminal, info.body_total, info.user_data), (1, 5, 7 as *mut c_void));
        assert_eq!(valtron_request_head(client.0, request, VALTRON_HEAD_FINAL, &mut head), VALTRON_OK);
        let bytes = std::slice::from_raw_parts(head.bytes, head.bytes_len);
        let at = |offset: u32, len: u32| &bytes[offset as usize..][..len as usize];
        let field = head.fields.cast::<u8>().add(head.field_stride).cast::<valtron_field>().read();
        assert_eq!((head.http_status, head.fields_count), (200, 2));
        assert_eq!(at(field.name_offset, field.name_len), b"X-A");
        assert_eq!(at(field.value_offset, field.value_len), b"b");
        assert_eq!(at(head.reason_offset, head.reason_len), b"Fine");
        assert_eq!(std::slice::from_raw_parts(head.url.cast::<u8>(), head.url_len), url.as_bytes());
        let (mut peeked, mut len) = (null(), 0);
        assert_eq!(valtron_request_peek(client.0, request, &mut peeked, &mut len), VALTRON_OK);
        assert_eq!(std::slice::from_raw_parts(peeked, len), b"hello");
        assert_eq!(valtron_request_consume(client.0, request, 6), VALTRON_E_NOT_CONSUMED);
        assert_eq!(valtron_request_consume(client.0, request, 2), VALTRON_OK);
        assert_eq!(valtron_request_read(client.0, request, buffer.as_mut_ptr(), 16, &mut count), VALTRON_OK);
        assert_eq!(&buffer[..count], b"llo");
        assert_eq!(valtron_request_read(client.0, request, buffer.as_mut_ptr(), 16, &mut count), VALTRON_OK);
        assert_eq!(count, 0);
        let mut trace = [zeroed::<valtron_trace_entry>(); 32];
        let stride = size_of::<valtron_trace_entry>();
        assert_eq!(valtron_request_trace(client.0, request, trace.as_mut_ptr(), stride, 32, &mut count), VALTRON_OK);
        let states: Vec<_> = trace[..count].iter().map(|entry| entry.state).collect();
        assert_eq!((states.first(), states.last()), (Some(&VALTRON_STATE_INIT), Some(&VALTRON_STATE_DONE)));
        valtron_request_free(client.0, request);
        assert_eq!(valtron_client_shutdown(client.0, 10_000), VALTRON_OK);
    }
}

unsafe extern "C" fn released(user: *mut c_void, _: *const u8, len: usize) {
    // SAFETY: each user of this passes an AtomicUsize that outlives the client.
    unsafe { &*user.cast::<AtomicUsize>() }.fetch_add(len, Ordering::SeqCst);
}

/// Goal: a borrowed body is released once if the request was made, never if it was refused. Method: both, and a
/// client that is freed at once.
#[test]
fn borrowed_bodies_are_released_once() {
    let url = server(b"HTTP/1.1 204 No\r\n\r\n");
    let counter = AtomicUsize::new(0);
    let body = b"12345";
    let with_body = |url: &str| valtron_request_config {
        method: c"POST".as_ptr(),
        method_len: 4,
        body: body.as_ptr(),
        body_len: body.len(),
        body_release: Some(released),
        body_release_user: (&raw const counter).cast_mut().cast(),
        ..get(url)
    };
    let client = TestClient::new();
    let (mut request, mut info) = (0, init!(valtron_request_info));
    assert_eq!(client.create(&with_body("ftp://x/")).0, VALTRON_E_URL_SCHEME);
    let config = valtron_request_config { idempotent: 5, ..with_body(&url) };
    assert_eq!(client.create(&config).0, VALTRON_E_ENUM_RANGE);
    // SAFETY: see above.
    unsafe {
        let config = with_body(&url);
        assert_eq!(valtron_client_perform(client.0, &config, 9, 0, &mut request, &mut info), VALTRON_E_ENUM_RANGE);
        assert_eq!(valtron_client_poll(client.0, 0, null_mut()), VALTRON_OK);
        assert_eq!(counter.load(Ordering::SeqCst), 0, "released though refused");
        assert_eq!(valtron_client_perform(client.0, &config, 0, 10_000, &mut request, &mut info), VALTRON_OK);
        assert_eq!((info.status, info.body_sent), (VALTRON_OK, 5));
        valtron_request_free(client.0, request);
        assert_eq!(valtron_client_poll(client.0, 0, null_mut()), VALTRON_OK);
        assert_eq!(counter.load(Ordering::SeqCst), 5);
    }
    assert_eq!(client.create(&with_body(&url)).0, VALTRON_OK);
    // SAFETY: see above.
    assert_eq!(unsafe { valtron_client_shutdown(client.0, 10_000) }, VALTRON_OK);
    drop(client);
    assert_eq!(counter.load(Ordering::SeqCst), 10);
}

/// Goal: free takes a borrowed body back before it returns, also from a worker in the middle of sending it. Method: a
/// body that no socket takes whole, and a peer that does not read.
#[test]
fn free_takes_borrowed_bodies_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let body = vec![7; 8 << 20];
    for round in 0..20 {
        let counter = AtomicUsize::new(0);
        let client = TestClient::new();
        let (status, request) = client.create(&valtron_request_config {
            method: c"POST".as_ptr(),
            method_len: 4,
            body: body.as_ptr(),
            body_len: body.len(),
            body_release: Some(released),
            body_release_user: (&raw const counter).cast_mut().cast(),
            ..get(&url)
        });
        assert_eq!(status, VALTRON_OK);
        let mut info = init!(valtron_request_info);
        while info.body_sent == 0 {
            // SAFETY: see above.
            assert_eq!(unsafe { valtron_request_poll(client.0, request, 100, &mut info) }, VALTRON_OK);
        }
        drop(client);
        assert_eq!(counter.load(Ordering::SeqCst), body.len(), "{round}");
    }
}

/// Goal: in a forked child every call answers FORKED, free is harmless, and the parent goes on. Method: fork, and
/// let the child's exit status tell.
#[cfg(unix)]
#[test]
fn forked() {
    let url = server(b"HTTP/1.1 204 No\r\n\r\n");
    let client = TestClient::new();
    let (_, request) = client.create(&get(&url));
    let mut info = init!(valtron_request_info);
    // SAFETY: the child only calls the interface, which takes no lock that another thread may hold, and leaves by
    // _exit.
    unsafe {
        assert_eq!(valtron_client_poll(client.0, 0, null_mut()), VALTRON_OK);
        let child = libc::fork();
        if child == 0 {
            let refused = valtron_client_poll(client.0, 0, null_mut()) == VALTRON_E_FORKED
                && valtron_request_cancel(client.0, request) == VALTRON_E_FORKED
                && valtron_client_shutdown(client.0, 0) == VALTRON_E_FORKED;
            valtron_request_free(client.0, request);
            valtron_client_free(client.0);
            libc::_exit(if refused { 0 } else { 1 });
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert_eq!(status, 0);
        assert_eq!(valtron_request_wait(client.0, request, 0, 10_000, &mut info), VALTRON_OK);
        assert_eq!((info.status, info.http_status), (VALTRON_OK, 204));
    }
}

/// Goal: the allocator is refused once the library was called. Method: call it late.
#[test]
fn allocator_too_late() {
    unsafe extern "C" fn allocate(_: *mut c_void, _: usize, _: usize) -> *mut c_void {
        null_mut()
    }
    unsafe extern "C" fn reallocate(_: *mut c_void, _: *mut c_void, _: usize, _: usize, _: usize) -> *mut c_void {
        null_mut()
    }
    unsafe extern "C" fn deallocate(_: *mut c_void, _: *mut c_void, _: usize, _: usize) {}
    let mut allocator = init!(valtron_allocator);
    // SAFETY: see above; the functions are never called, since it is too late.
    unsafe {
        valtron_version();
        if valtron_features() & VALTRON_FEATURE_ALLOCATOR == 0 {
            assert_eq!(valtron_set_allocator(&allocator), VALTRON_E_UNSUPPORTED);
            return;
        }
        assert_eq!(valtron_set_allocator(&allocator), VALTRON_E_NULL_CALLBACK);
        allocator.allocate = Some(allocate);
        allocator.reallocate = Some(reallocate);
        allocator.deallocate = Some(deallocate);
        assert_eq!(valtron_set_allocator(&allocator), VALTRON_E_TOO_LATE);
    }
}

/// Goal: names and messages are there, for unknown numbers too. Method: ask.
#[test]
fn names() {
    // SAFETY: they answer static strings.
    let string = |text| unsafe { CStr::from_ptr(text) }.to_str().unwrap();
    // SAFETY: as above.
    unsafe {
        assert_eq!(string(valtron_status_name(VALTRON_E_BUSY)), "VALTRON_E_BUSY");
        assert_eq!(string(valtron_status_name(1)), "VALTRON_E_UNKNOWN");
        assert!(string(valtron_status_message(VALTRON_E_NULL_CLIENT)).starts_with("client:"));
        assert!(!string(valtron_status_message(i32::MIN)).is_empty());
        assert_eq!(string(valtron_state_name(VALTRON_STATE_RECEIVING_BODY)), "RECEIVING_BODY");
        assert_eq!(string(valtron_state_name(10)), "UNKNOWN");
        assert_eq!(string(valtron_state_name(-1)), "UNKNOWN");
    }
}
