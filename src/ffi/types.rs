//! The types of the header. `repr(C)`, fields only ever appended: a program compiled against fewer of them keeps
//! working, since every struct that may grow begins with its size.
#![allow(non_camel_case_types)]

use std::ffi::{c_char, c_void};

use super::callbacks::Pending;
use super::held::Held;

/// The answer of a call or of a request: VALTRON_OK, or negative. Grouped by whose fault it is: -100s the caller's,
/// -200s the environment's, -300s the peer sent malformed bytes, -400s the peer misbehaved, -500s TLS, -600s a time
/// limit, -700s ended by somebody's will, -900s a bug of this library. Numbers are only ever added; treat an unknown
/// one by its group.
pub type valtron_status = i32;

/// A request: client tag, slot and generation in one number. 0 is none. A freed handle is never valid again.
pub type valtron_request = u64;

/// The answer to the question about an action: a VALTRON_DECISION_ value.
pub type valtron_decision = i32;

/// A client: requests, connections and, in a build with threads, their workers. Opaque.
pub struct valtron_client(pub(super) Held);

/// Work that the library offered and the host took: one look-up or one handshake step. Opaque, reference-counted
/// inside: it may outlive its request and its client.
pub struct valtron_job(pub(super) Pending);

/// Everything known about a refused call or a failed request.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_error_detail {
    /// Set it to sizeof(valtron_error_detail); VALTRON_ERROR_DETAIL_INIT does.
    pub struct_size: usize,
    /// The status, VALTRON_OK when nothing failed.
    pub status: valtron_status,
    /// A VALTRON_PHASE_ value: where in the request's life.
    pub phase: i32,
    /// A VALTRON_ARGUMENT_ value: which argument was wrong.
    pub argument: i32,
    /// Which element of an array argument, e.g. which header; -1 none.
    pub argument_index: i32,
    /// The operating system's error number; 0 none.
    pub os_errno: i32,
    /// The TLS alert the peer sent; -1 none.
    pub tls_alert: i32,
    /// Of a truncated body: the bytes that came. UINT64_MAX unknown.
    pub received: u64,
    /// Of a truncated body: the bytes that were due. UINT64_MAX unknown.
    pub expected: u64,
    /// Length of text without its NUL.
    pub text_len: usize,
    /// One sentence for a human: UTF-8, NUL-terminated, cut at a character if need be. Of a configuration that was
    /// refused it begins with the field's name, as in "total_timeout_ms: -2 is not within ...".
    pub text: [c_char; 256],
}

/// A question: may the library do this on the driving thread, does the host forbid it, or does the host take the
/// work?
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_spawn {
    /// Bytes of this struct that are filled.
    pub struct_size: usize,
    /// What valtron_action_decide is told.
    pub spawn_id: u64,
    /// The request that asks.
    pub request: valtron_request,
    /// That request's user_data.
    pub user_data: *mut c_void,
    /// A VALTRON_SPAWN_ value.
    pub kind: i32,
    /// 0, 1, ...: a TLS handshake asks once per step under one spawn_id.
    pub step: u32,
    /// Of a redirect: the status of the response that asked for it. Otherwise 0.
    pub http_status: i32,
    /// The port it leads to.
    pub port: u32,
    /// Of a redirect the target's URL, else the host. UTF-8, not NUL-terminated. In a callback valid until it
    /// returns; from valtron_client_next_spawns valid until valtron_action_decide is called for it, or the
    /// request or the client freed.
    pub text: *const c_char,
    /// Length of text.
    pub text_len: usize,
}

/// Answers the question *spawn* with a VALTRON_DECISION_ value; any other value means VALTRON_DECISION_RUN.
///
/// Called inside valtron_client_poll, valtron_client_wait, valtron_request_poll, valtron_request_wait and
/// valtron_client_perform, on the thread that called them, with no lock held. It may call any function of this
/// header, freeing the request or the client included. *job* points to a job for this work; it becomes the host's
/// only with VALTRON_DECISION_TAKE, and is gone after any other answer. It must not throw.
pub type valtron_spawn_callback = Option<
    unsafe extern "C" fn(
        user: *mut c_void,
        spawn: *const valtron_spawn,
        job: *mut *mut valtron_job,
    ) -> valtron_decision,
>;

/// The library is done with a borrowed request body.
///
/// Called exactly once for each request that was created with it, on a thread that is inside valtron_client_poll,
/// valtron_client_wait, valtron_request_poll, valtron_request_wait, valtron_client_perform, valtron_client_shutdown
/// or valtron_client_free of this client, with no lock held. It must not throw.
pub type valtron_release_callback = Option<unsafe extern "C" fn(user: *mut c_void, body: *const u8, body_len: usize)>;

/// How a client is made. Begin with VALTRON_CLIENT_CONFIG_INIT. In limits and times 0 means the default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_client_config {
    /// sizeof(valtron_client_config).
    pub struct_size: usize,
    /// Build with threads: how many of them drive; 0 none, the caller's thread drives; -1 the build's default, which
    /// is what INIT says. A build without threads ignores it.
    pub worker_threads: i32,
    /// Mask of VALTRON_SPAWN_ values the host wants to be asked about; 0 never asks.
    pub spawn_ask: u32,
    /// Who answers. NULL: the host pulls the questions with valtron_client_next_spawns.
    pub spawn_callback: valtron_spawn_callback,
    /// First argument of spawn_callback.
    pub spawn_user: *mut c_void,
    /// A question unanswered for so long means VALTRON_DECISION_RUN. 0 = 1000, -1 waits for ever.
    pub spawn_timeout_ms: i64,
    /// A taken job not run for so long expires, and the library does its work. 0 = 1000, -1 never.
    pub job_timeout_ms: i64,
    /// A VALTRON_TRUST_ value.
    pub trust: i32,
    /// 1 accepts any certificate: for tests of servers only.
    pub tls_verify_off: i32,
    /// Certificates to trust besides, or alone with VALTRON_TRUST_PEM_ONLY: PEM text. NULL none. Copied.
    pub ca_pem: *const c_char,
    /// Length of ca_pem.
    pub ca_pem_len: usize,
    /// Threads for name look-ups at most, started when needed. 0 = 4, -1 none: then take look-ups as jobs, or use
    /// addresses.
    pub resolver_threads: i32,
    /// Requests that may exist at once. 0 = 65536, -1 and the largest value: 1048576.
    pub requests_max: i32,
    /// Connections at once. 0 = no limit, -1 the same. Checked, but without effect in this version.
    pub connections_max: i32,
    /// Connections at once to one origin. 0 = no limit, -1 the same. Checked, but without effect in this version.
    pub connections_per_origin_max: i32,
    /// Idle connections kept for the next request. 0 = 128, -1 keeps none.
    pub idle_connections_max: i32,
    /// How long an idle connection is kept. 0 = 60 seconds, -1 until the peer closes it.
    pub idle_timeout_ms: i64,
    /// The User-Agent of requests that bring none: UTF-8. NULL: "valtron_http/" and the version. Length 0 and not
    /// NULL: none is sent. Copied.
    pub user_agent: *const c_char,
    /// Length of user_agent.
    pub user_agent_len: usize,
    /// Filled when valtron_client_create refuses. May be NULL.
    pub error: *mut valtron_error_detail,
}

/// One header line of a request. Copied.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_header {
    /// The name, a token.
    pub name: *const c_char,
    /// Its length.
    pub name_len: usize,
    /// The value; no CR, LF or NUL.
    pub value: *const c_char,
    /// Its length.
    pub value_len: usize,
}

/// One request, whole. Begin with VALTRON_REQUEST_CONFIG_INIT. In limits and times 0 means the default and -1 none.
///
/// Everything pointed to is read during the call only, the borrowed body excepted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_request_config {
    /// sizeof(valtron_request_config).
    pub struct_size: usize,
    /// Comes back in events, infos and questions. The library never looks at it.
    pub user_data: *mut c_void,
    /// A token; case matters. NULL: GET.
    pub method: *const c_char,
    /// Length of method.
    pub method_len: usize,
    /// Absolute, http or https. UTF-8: what is not ASCII is sent percent-encoded, in a host as IDNA says. A space, a
    /// control character, a backslash and a % that begins no escape are refused; error says which byte and where.
    pub url: *const c_char,
    /// Length of url.
    pub url_len: usize,
    /// Header lines, sent in this order. NULL none.
    pub headers: *const valtron_header,
    /// How many.
    pub headers_count: usize,
    /// Bytes from one to the next; 0: sizeof(valtron_header).
    pub headers_stride: usize,
    /// The body. NULL: none. Not NULL with length 0: an empty one.
    pub body: *const u8,
    /// Length of body.
    pub body_len: usize,
    /// NULL: the body is copied; a large copy lasts until the request is freed. Otherwise it is borrowed, must stay as
    /// it is, and this is called when the library is done with it: once if the request was created, never if it was
    /// refused or if body is NULL.
    pub body_release: valtron_release_callback,
    /// First argument of body_release.
    pub body_release_user: *mut c_void,
    /// Higher goes first where requests wait for a connection. Without effect in this version, where none waits.
    pub priority: i32,
    /// May the request be sent twice if a kept connection dies under it? 0 by method (RFC 9110 section 9.2.2), 1 yes,
    /// -1 no.
    pub idempotent: i32,
    /// 0 = 10, -1 follows none: the 3xx is the response.
    pub redirects_max: i32,
    /// 1 follows a redirect from https to http.
    pub redirect_downgrade_allowed: i32,
    /// Waiting for a connection to be free. 0 = none. Checked, but without effect in this version, where none waits.
    pub queue_timeout_ms: i64,
    /// The name look-up. 0 = 10 seconds.
    pub resolve_timeout_ms: i64,
    /// Connecting, all addresses together. 0 = 10 seconds.
    pub connect_timeout_ms: i64,
    /// The TLS handshake. 0 = 10 seconds.
    pub tls_timeout_ms: i64,
    /// Sending without progress. 0 = 30 seconds.
    pub send_timeout_ms: i64,
    /// From the last byte sent to the end of the response's head. 0 = 60 seconds.
    pub first_byte_timeout_ms: i64,
    /// Reading the body without progress; stands still while the host leaves the buffer full. 0 = 30 seconds.
    pub idle_timeout_ms: i64,
    /// Everything, redirects included. 0 = none.
    pub total_timeout_ms: i64,
    /// Largest head of a response, in bytes. 0 = 65,536.
    pub head_bytes_max: i32,
    /// Most header lines of a response. 0 = 128.
    pub headers_max: i32,
    /// Most interim (1xx) responses before the final one. 0 = 16.
    pub interim_max: i32,
    /// Unread body bytes kept before the peer is slowed down. -1 = all. 0 = 256 KiB, and step by step up to 16 MiB (for
    /// all requests of a client 64 MiB more) if the host comes by rarely, as once a frame, and takes all of them then.
    pub body_buffer_bytes: i64,
    /// Reserved: NULL.
    pub upgrade: *const c_char,
    /// Reserved: 0.
    pub upgrade_len: usize,
    /// Filled when valtron_request_create or valtron_client_perform refuses. May be NULL.
    pub error: *mut valtron_error_detail,
}

/// How a client stands.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_poll_info {
    /// Set it to sizeof(valtron_poll_info); VALTRON_POLL_INFO_INIT does.
    pub struct_size: usize,
    /// 1: a further poll has work at once. 0: poll again when the wait handle is readable or the deadline is there.
    pub work_left: i32,
    /// 0.
    pub reserved: i32,
    /// Microseconds from now to the next deadline; -1 none.
    pub next_deadline_us: i64,
    /// Events waiting for valtron_client_next_events.
    pub events_ready: u32,
    /// Questions waiting for valtron_client_next_spawns.
    pub spawns_ready: u32,
    /// Requests that exist and have not ended.
    pub requests_live: u32,
    /// 0.
    pub reserved2: u32,
}

/// What happened to a request since its last event.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_event {
    /// Bytes of this struct that are filled.
    pub struct_size: usize,
    /// The request.
    pub request: valtron_request,
    /// Its user_data.
    pub user_data: *mut c_void,
    /// VALTRON_EVENT_ flags.
    pub flags: u32,
    /// A VALTRON_STATE_ value, now.
    pub state: i32,
    /// VALTRON_OK while it runs and when it ended well.
    pub status: valtron_status,
    /// Of the final response's head; 0 before it.
    pub http_status: i32,
}

/// How a request stands.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_request_info {
    /// Set it to sizeof(valtron_request_info); VALTRON_REQUEST_INFO_INIT does.
    pub struct_size: usize,
    /// Its user_data.
    pub user_data: *mut c_void,
    /// A VALTRON_STATE_ value.
    pub state: i32,
    /// VALTRON_OK while it runs and when it ended well; otherwise see valtron_request_error.
    pub status: valtron_status,
    /// Of the final response's head; 0 before it.
    pub http_status: i32,
    /// VALTRON_EVENT_ flags seen so far.
    pub flags: u32,
    /// 1: it ended. Body bytes may still wait to be read.
    pub terminal: i32,
    /// Redirects followed.
    pub hops: u32,
    /// Interim responses received.
    pub interim_count: u32,
    /// The response's HTTP/1 minor version; -1 before its head.
    pub http_minor: i32,
    /// 1: it used a kept connection.
    pub connection_reused: i32,
    /// 1: its TLS session was resumed.
    pub tls_resumed: i32,
    /// Body bytes received.
    pub body_received: u64,
    /// Body bytes waiting to be read.
    pub body_buffered: u64,
    /// Body bytes sent.
    pub body_sent: u64,
    /// Body bytes to expect; -1 unknown.
    pub body_total: i64,
    /// How often its task ran: a measure of waste.
    pub task_polls: u64,
    /// Microseconds from creation to leaving the queue; -1 not reached. So for all the following, of the last hop.
    pub time_queued_us: i64,
    /// To the addresses known.
    pub time_resolved_us: i64,
    /// To the connection made.
    pub time_connected_us: i64,
    /// To the end of the TLS handshake.
    pub time_tls_us: i64,
    /// To the last byte sent.
    pub time_sent_us: i64,
    /// To the first byte received.
    pub time_first_byte_us: i64,
    /// To the end of the head.
    pub time_head_us: i64,
    /// To the end.
    pub time_done_us: i64,
}

/// Where one header line lies in the bytes of its valtron_head. Read an array of them with its field_stride.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_field {
    /// Where the name begins, as received.
    pub name_offset: u32,
    /// Its length.
    pub name_len: u32,
    /// Where the value begins, without the whitespace around it.
    pub value_offset: u32,
    /// Its length.
    pub value_len: u32,
}

/// A response's head, or trailers. The memory it points to belongs to the library and lives until the request is
/// freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_head {
    /// Set it to sizeof(valtron_head); VALTRON_HEAD_INIT does.
    pub struct_size: usize,
    /// 100 to 999; of trailers that of their response.
    pub http_status: i32,
    /// The HTTP/1 minor version.
    pub http_minor: i32,
    /// The head as received, but for folded values: they are on one line, the fold replaced by spaces.
    pub bytes: *const u8,
    /// Length of bytes.
    pub bytes_len: usize,
    /// The header lines, in the order received.
    pub fields: *const valtron_field,
    /// How many.
    pub fields_count: usize,
    /// Bytes from one to the next.
    pub field_stride: usize,
    /// The URL this head came from. UTF-8, not NUL-terminated.
    pub url: *const c_char,
    /// Length of url.
    pub url_len: usize,
    /// Where the reason phrase begins in bytes.
    pub reason_offset: u32,
    /// Its length.
    pub reason_len: u32,
}

/// One step of a request's life.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_trace_entry {
    /// Microseconds since the request was created.
    pub at_us: i64,
    /// The VALTRON_STATE_ value entered.
    pub state: i32,
    /// Redirects followed by then.
    pub hop: u32,
}

/// Counters of a client, since its creation unless said otherwise.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_stats {
    /// Set it to sizeof(valtron_stats); VALTRON_STATS_INIT does.
    pub struct_size: usize,
    /// How often tasks ran.
    pub task_polls: u64,
    /// Turns of the executors.
    pub turns: u64,
    /// How often something outside woke a task.
    pub wakes: u64,
    /// Waits that ended with nothing to do.
    pub empty_waits: u64,
    /// Handshake steps that the library did in a poll because the job that was to do them was not started in time.
    pub hitches: u64,
    /// Connections made.
    pub connections_opened: u64,
    /// Requests that used a kept one.
    pub connections_reused: u64,
    /// Name look-ups begun.
    pub lookups_started: u64,
    /// Name look-ups nobody waited for to the end.
    pub lookups_abandoned: u64,
    /// Jobs the host took.
    pub jobs_taken: u64,
    /// Jobs the host took and did not run in time.
    pub jobs_expired: u64,
    /// Requests made.
    pub requests_created: u64,
    /// Requests not ended, now.
    pub requests_live: u64,
    /// Always 0.
    pub events_lost: u64,
    /// The longest poll, in microseconds; see valtron_hitches, and anew when valtron_client_hitches is told to reset.
    pub longest_poll_us: u64,
}

/// How long polls took, in wall time, the host's callbacks not counted: for a host that has frames to keep.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_hitches {
    /// Set it to sizeof(valtron_hitches); VALTRON_HITCHES_INIT does.
    pub struct_size: usize,
    /// Calls of valtron_client_poll, and of valtron_request_poll with a budget, where that drives: not where worker
    /// threads do.
    pub polls: u64,
    /// The longest of them, in nanoseconds.
    pub longest_poll_ns: u64,
    /// How many took how long: element i counts those shorter than 16 << i microseconds and no shorter than element
    /// i - 1 says, the last one all longer ones.
    pub poll_counts: [u64; 16],
    /// The longest step of a task, the least that a poll can do, in nanoseconds. Those of worker threads and of
    /// valtron_client_perform count, too.
    pub longest_step_ns: u64,
    /// What that step was about: a VALTRON_STEP_ value.
    pub longest_step_kind: i32,
    /// 0.
    pub reserved: i32,
}

/// Where the library's memory comes from. Called from any thread of the library and of the host, perhaps several at
/// once; must not call this library, must not throw, and must work until the process ends.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct valtron_allocator {
    /// sizeof(valtron_allocator); VALTRON_ALLOCATOR_INIT sets it.
    pub struct_size: usize,
    /// First argument of the three.
    pub user: *mut c_void,
    /// `size` bytes (never 0) at a multiple of `alignment` (a power of two), or NULL.
    pub allocate: Option<unsafe extern "C" fn(user: *mut c_void, size: usize, alignment: usize) -> *mut c_void>,
    /// `p` grown or shrunk to `new_size` bytes (never 0), moved if need be; NULL: impossible, and `p` is as it was.
    pub reallocate: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            p: *mut c_void,
            old_size: usize,
            alignment: usize,
            new_size: usize,
        ) -> *mut c_void,
    >,
    /// Gives `p` back; its size and alignment are those it was asked for with.
    pub deallocate: Option<unsafe extern "C" fn(user: *mut c_void, p: *mut c_void, size: usize, alignment: usize)>,
}
