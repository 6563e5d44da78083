// valtron_http: HTTP for programs that own their main loop.
//
// SPDX-License-Identifier: MIT OR Apache-2.0

#ifndef VALTRON_HTTP_H
#define VALTRON_HTTP_H

// Generated from src/ffi by `cargo xtask header`; change the Rust source, never this file.

#include <stddef.h>
#include <stdint.h>

/* ==== What to know before the first call ==========================================================================

   Shape      Make a client. Create requests in it: that only enqueues. Drive it from your own loop with
              valtron_client_poll, which never blocks, or sleep in valtron_client_wait. Read events, heads and bodies.
              Free the requests and the client. valtron_client_perform does all of one request in one call instead.

   Results    Every call that can fail answers a valtron_status: 0 is good, negative is not. Outputs are written only
              when the call answers VALTRON_OK; the one exception is at valtron_client_perform. No "last error": a
              configuration has a field error, where a refusal says which field was wrong and why.

   Structs    Each that may grow begins with struct_size. Start from its INIT macro. A program compiled against a
              shorter struct keeps working with a newer library. Of an output struct only struct_size is read, and
              no byte beyond it is written.

   Values     Text is pointer and length, UTF-8; a NUL at its end is not needed. In limits and times 0 is the default
              and -1 is none. Flags are 0 or 1.

   Ownership  What you pass in is read during the call only, a body with body_release excepted. What the library points
              you to says how long it lives. Freeing NULL or the handle 0 does nothing.

   Callbacks  Run only inside the calls that drive (D in the table), on the thread that made the call, no lock held.
              They may call anything, also free their own request and their own client. They must not throw or longjmp.
              The allocator is no such callback: it must not call this library.

   Threads    "any": from any thread, several at once, also from callbacks. A client must not be freed while another
              thread is inside a call with it, or calls later.

              function                        threads                          blocks on
              valtron_version, _abi_version,  any                              nothing
                _features, _status_name,
                _status_message, _state_name
              valtron_set_allocator           before all others                nothing
              valtron_client_create           any                              nothing (reads the system's roots from
                                                                               files if VALTRON_TRUST_SYSTEM)
              valtron_client_poll           D any; while another thread        nothing; uses its budget plus one step
                                              drives: VALTRON_E_BUSY
              valtron_client_wait           D as poll                          events, wakeup, signals, its timeout
              valtron_client_wakeup           any; not in a signal handler     nothing
              valtron_client_wait_handle,     any                              nothing
                _next_events, _next_spawns,
                _stats
              valtron_client_shutdown       D any                              requests, threads, its timeout
              valtron_client_free             any one, last, also a callback   nothing
              valtron_request_create,         any                              nothing
                _cancel, _free, _error,
                _head, _trace, _url
              valtron_request_read, _peek,    any, one thread per request      nothing
                _consume                      at a time: the caller's duty
              valtron_request_poll          D any; while another thread        nothing; uses its budget plus one step
                                              drives it only looks
              valtron_request_wait          D any, several at once             the request, signals, its timeout
              valtron_client_perform        D any, several at once             the request, signals, its timeout
              valtron_action_decide           any                              nothing
              valtron_job_run                 any, not twice at once           a look-up's job: the name service
              valtron_job_free                any                              nothing

   Fork       In a child process every call with a client or job of the parent answers VALTRON_E_FORKED.
              valtron_client_free then closes its descriptors and leaves the parent undisturbed; new clients work.

   Guest      No signal handlers, no SIGPIPE, no output, no environment writes, no exit. Process-wide are only: a
              pthread_atfork handler, the allocator if you set one, and the promise to stay mapped after dlclose.
   ================================================================================================================== */

/* This header's version; valtron_version() tells the library's. */
#define VALTRON_VERSION_MAJOR 0
#define VALTRON_VERSION_MINOR 1
#define VALTRON_VERSION_PATCH 0
#define VALTRON_VERSION "0.1.0"
/* Changes only when programs must be compiled anew; valtron_abi_version() tells the library's. */
#define VALTRON_ABI_VERSION 1

/* Head: interim (1xx) response n, from 0. */
#define VALTRON_HEAD_INTERIM(n) (0x10000 + (int32_t)(n))
/* Head: the response that led to redirect n, from 0. */
#define VALTRON_HEAD_HOP(n) (0x20000 + (int32_t)(n))

/* Initial values: valtron_client_config config = VALTRON_CLIENT_CONFIG_INIT; */
#define VALTRON_CLIENT_CONFIG_INIT                                                                                     \
    { sizeof(valtron_client_config), -1, 0, NULL, NULL, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0, NULL, 0, NULL }
#define VALTRON_REQUEST_CONFIG_INIT                                                                                    \
    { sizeof(valtron_request_config), NULL, NULL, 0, NULL, 0, NULL, 0, 0, NULL, 0, NULL, NULL, 0, 0, 0, 0,             \
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, NULL }
#define VALTRON_ERROR_DETAIL_INIT { sizeof(valtron_error_detail), 0, 0, 0, 0, 0, 0, 0, 0, 0, "" }
#define VALTRON_POLL_INFO_INIT { sizeof(valtron_poll_info), 0, 0, 0, 0, 0, 0, 0 }
#define VALTRON_REQUEST_INFO_INIT                                                                                      \
    { sizeof(valtron_request_info), NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define VALTRON_HEAD_INIT { sizeof(valtron_head), 0, 0, NULL, 0, NULL, 0, 0, NULL, 0, 0, 0 }
#define VALTRON_STATS_INIT { sizeof(valtron_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define VALTRON_HITCHES_INIT { sizeof(valtron_hitches), 0, 0, { 0 }, 0, 0, 0 }
#define VALTRON_ALLOCATOR_INIT { sizeof(valtron_allocator), NULL, NULL, NULL, NULL }


// State: created; nothing has been done.
#define VALTRON_STATE_INIT 0

// State: waits for a connection, looks the name up, or connects.
#define VALTRON_STATE_CONNECTING 1

// State: the TLS handshake.
#define VALTRON_STATE_TLS_HANDSHAKE 2

// State: sends head and body.
#define VALTRON_STATE_SENDING_REQUEST 3

// State: waits for the response's status line.
#define VALTRON_STATE_RECEIVING_INTRO 4

// State: reads the header lines.
#define VALTRON_STATE_RECEIVING_HEADERS 5

// State: reads the body.
#define VALTRON_STATE_RECEIVING_BODY 6

// State: a redirect came and is being decided or followed.
#define VALTRON_STATE_AWAITING_REDIRECT 7

// State: ended well.
#define VALTRON_STATE_DONE 8

// State: failed; see its status.
#define VALTRON_STATE_ERROR 9

// Phase: outside a request's life.
#define VALTRON_PHASE_NONE 0

// Phase: waiting for a connection to be free.
#define VALTRON_PHASE_QUEUE 1

// Phase: the name look-up.
#define VALTRON_PHASE_RESOLVE 2

// Phase: connecting.
#define VALTRON_PHASE_CONNECT 3

// Phase: the TLS handshake.
#define VALTRON_PHASE_TLS 4

// Phase: sending the request.
#define VALTRON_PHASE_SEND 5

// Phase: waiting for and reading the response's head.
#define VALTRON_PHASE_FIRST_BYTE 6

// Phase: reading the body.
#define VALTRON_PHASE_BODY 7

// Phase: following a redirect.
#define VALTRON_PHASE_REDIRECT 8

// Argument: none was wrong.
#define VALTRON_ARGUMENT_NONE 0

// Argument: the client.
#define VALTRON_ARGUMENT_CLIENT 1

// Argument: the configuration as a whole.
#define VALTRON_ARGUMENT_CONFIG 2

// Argument: the URL.
#define VALTRON_ARGUMENT_URL 3

// Argument: the method.
#define VALTRON_ARGUMENT_METHOD 4

// Argument: a header; see argument_index.
#define VALTRON_ARGUMENT_HEADERS 5

// Argument: the body.
#define VALTRON_ARGUMENT_BODY 6

// Argument: a time limit.
#define VALTRON_ARGUMENT_TIMEOUT 7

// Argument: a limit.
#define VALTRON_ARGUMENT_LIMIT 8

// Argument: one of several named values.
#define VALTRON_ARGUMENT_ENUM 9

// Argument: where to write the result.
#define VALTRON_ARGUMENT_OUTPUT 10

// Argument: the request.
#define VALTRON_ARGUMENT_HANDLE 11

// Argument: a reserved field.
#define VALTRON_ARGUMENT_RESERVED 12

// Argument: the certificates.
#define VALTRON_ARGUMENT_CA_PEM 13

// Argument: the client's User-Agent.
#define VALTRON_ARGUMENT_USER_AGENT 14

// Event: the final head can be read.
#define VALTRON_EVENT_HEAD 1

// Event: body bytes can be read.
#define VALTRON_EVENT_BODY 2

// Event: the request ended; comes exactly once, unless the request is freed before.
#define VALTRON_EVENT_DONE 4

// Event: a question waits; see valtron_client_next_spawns.
#define VALTRON_EVENT_SPAWN 8

// Event: a redirect was followed.
#define VALTRON_EVENT_HOP 16

// Event: an interim response came.
#define VALTRON_EVENT_INTERIM 32

// Event: trailers can be read.
#define VALTRON_EVENT_TRAILERS 64

// Event: reserved.
#define VALTRON_EVENT_UPGRADED 128

// Wait until the request ends. That ends every wait.
#define VALTRON_UNTIL_DONE 0

// Wait until the final head can be read.
#define VALTRON_UNTIL_HEAD 1

// Wait until body bytes can be read.
#define VALTRON_UNTIL_BODY 2

// Wait until a question waits.
#define VALTRON_UNTIL_SPAWN 4

// Action: follow a redirect.
#define VALTRON_SPAWN_REDIRECT 1

// Action: one step of a TLS handshake.
#define VALTRON_SPAWN_TLS_UPGRADE 2

// Action: a name look-up.
#define VALTRON_SPAWN_RESOLVE 4

// Step: none was counted.
#define VALTRON_STEP_NONE 0

// Step: a request begins: a kept connection or a new one, the bytes of a handshake, its head.
#define VALTRON_STEP_START 1

// Step: a name is looked up, addresses are tried.
#define VALTRON_STEP_RESOLVE 2

// Step: a TLS handshake begins: keys are made, unless the host took that.
#define VALTRON_STEP_TLS_START 3

// Step: one record of a TLS handshake, certificates and signatures included, unless the host took that.
#define VALTRON_STEP_TLS_HANDSHAKE 4

// Step: head and body go out.
#define VALTRON_STEP_SEND 5

// Step: a response's head comes in, perhaps with all of its body.
#define VALTRON_STEP_HEAD 6

// Step: a body comes in.
#define VALTRON_STEP_BODY 7

// Step: a redirect is followed.
#define VALTRON_STEP_REDIRECT 8

// Step: idle connections are looked after.
#define VALTRON_STEP_IDLE 9

// Trust: the roots compiled in (Mozilla's).
#define VALTRON_TRUST_BUNDLED 0

// Trust: the system's roots.
#define VALTRON_TRUST_SYSTEM 1

// Trust: ca_pem alone.
#define VALTRON_TRUST_PEM_ONLY 2

// Head: the final response.
#define VALTRON_HEAD_FINAL 0

// Head: the trailers. See also VALTRON_HEAD_INTERIM(n) and VALTRON_HEAD_HOP(n).
#define VALTRON_HEAD_TRAILERS 1

// Feature: worker threads.
#define VALTRON_FEATURE_MULTI 1

// Feature: https.
#define VALTRON_FEATURE_TLS 2

// Feature: valtron_set_allocator works.
#define VALTRON_FEATURE_ALLOCATOR 4

// Feature: a test build that can inject faults; never ship it.
#define VALTRON_FEATURE_FAULTS 8

// A client: requests, connections and, in a build with threads, their workers. Opaque.
typedef struct valtron_client valtron_client;

// Work that the library offered and the host took: one look-up or one handshake step. Opaque, reference-counted
// inside: it may outlive its request and its client.
typedef struct valtron_job valtron_job;

// The answer of a call or of a request: VALTRON_OK, or negative. Grouped by whose fault it is: -100s the caller's,
// -200s the environment's, -300s the peer sent malformed bytes, -400s the peer misbehaved, -500s TLS, -600s a time
// limit, -700s ended by somebody's will, -900s a bug of this library. Numbers are only ever added; treat an unknown
// one by its group.
typedef int32_t valtron_status;

// Where the library's memory comes from. Called from any thread of the library and of the host, perhaps several at
// once; must not call this library, must not throw, and must work until the process ends.
typedef struct valtron_allocator {
    // sizeof(valtron_allocator); VALTRON_ALLOCATOR_INIT sets it.
    size_t struct_size;
    // First argument of the three.
    void *user;
    // `size` bytes (never 0) at a multiple of `alignment` (a power of two), or NULL.
    void *(*allocate)(void *user, size_t size, size_t alignment);
    // `p` grown or shrunk to `new_size` bytes (never 0), moved if need be; NULL: impossible, and `p` is as it was.
    void *(*reallocate)(void *user, void *p, size_t old_size, size_t alignment, size_t new_size);
    // Gives `p` back; its size and alignment are those it was asked for with.
    void (*deallocate)(void *user, void *p, size_t size, size_t alignment);
} valtron_allocator;

// The answer to the question about an action: a VALTRON_DECISION_ value.
typedef int32_t valtron_decision;

// A request: client tag, slot and generation in one number. 0 is none. A freed handle is never valid again.
typedef uint64_t valtron_request;

// A question: may the library do this on the driving thread, does the host forbid it, or does the host take the
// work?
typedef struct valtron_spawn {
    // Bytes of this struct that are filled.
    size_t struct_size;
    // What valtron_action_decide is told.
    uint64_t spawn_id;
    // The request that asks.
    valtron_request request;
    // That request's user_data.
    void *user_data;
    // A VALTRON_SPAWN_ value.
    int32_t kind;
    // 0, 1, ...: a TLS handshake asks once per step under one spawn_id.
    uint32_t step;
    // Of a redirect: the status of the response that asked for it. Otherwise 0.
    int32_t http_status;
    // The port it leads to.
    uint32_t port;
    // Of a redirect the target's URL, else the host. UTF-8, not NUL-terminated. In a callback valid until it
    // returns; from valtron_client_next_spawns valid until valtron_action_decide is called for it, or the
    // request or the client freed.
    const char *text;
    // Length of text.
    size_t text_len;
} valtron_spawn;

// Answers the question *spawn* with a VALTRON_DECISION_ value; any other value means VALTRON_DECISION_RUN.
//
// Called inside valtron_client_poll, valtron_client_wait, valtron_request_poll, valtron_request_wait and
// valtron_client_perform, on the thread that called them, with no lock held. It may call any function of this
// header, freeing the request or the client included. *job* points to a job for this work; it becomes the host's
// only with VALTRON_DECISION_TAKE, and is gone after any other answer. It must not throw.
typedef valtron_decision (*valtron_spawn_callback)(void *user,
                                                   const struct valtron_spawn *spawn,
                                                   struct valtron_job **job);

// Everything known about a refused call or a failed request.
typedef struct valtron_error_detail {
    // Set it to sizeof(valtron_error_detail); VALTRON_ERROR_DETAIL_INIT does.
    size_t struct_size;
    // The status, VALTRON_OK when nothing failed.
    valtron_status status;
    // A VALTRON_PHASE_ value: where in the request's life.
    int32_t phase;
    // A VALTRON_ARGUMENT_ value: which argument was wrong.
    int32_t argument;
    // Which element of an array argument, e.g. which header; -1 none.
    int32_t argument_index;
    // The operating system's error number; 0 none.
    int32_t os_errno;
    // The TLS alert the peer sent; -1 none.
    int32_t tls_alert;
    // Of a truncated body: the bytes that came. UINT64_MAX unknown.
    uint64_t received;
    // Of a truncated body: the bytes that were due. UINT64_MAX unknown.
    uint64_t expected;
    // Length of text without its NUL.
    size_t text_len;
    // One sentence for a human: UTF-8, NUL-terminated, cut at a character if need be. Of a configuration that was
    // refused it begins with the field's name, as in "total_timeout_ms: -2 is not within ...".
    char text[256];
} valtron_error_detail;

// How a client is made. Begin with VALTRON_CLIENT_CONFIG_INIT. In limits and times 0 means the default.
typedef struct valtron_client_config {
    // sizeof(valtron_client_config).
    size_t struct_size;
    // Build with threads: how many of them drive; 0 none, the caller's thread drives; -1 the build's default, which
    // is what INIT says. A build without threads ignores it.
    int32_t worker_threads;
    // Mask of VALTRON_SPAWN_ values the host wants to be asked about; 0 never asks.
    uint32_t spawn_ask;
    // Who answers. NULL: the host pulls the questions with valtron_client_next_spawns.
    valtron_spawn_callback spawn_callback;
    // First argument of spawn_callback.
    void *spawn_user;
    // A question unanswered for so long means VALTRON_DECISION_RUN. 0 = 1000, -1 waits for ever.
    int64_t spawn_timeout_ms;
    // A taken job not run for so long expires, and the library does its work. 0 = 1000, -1 never.
    int64_t job_timeout_ms;
    // A VALTRON_TRUST_ value.
    int32_t trust;
    // 1 accepts any certificate: for tests of servers only.
    int32_t tls_verify_off;
    // Certificates to trust besides, or alone with VALTRON_TRUST_PEM_ONLY: PEM text. NULL none. Copied.
    const char *ca_pem;
    // Length of ca_pem.
    size_t ca_pem_len;
    // Threads for name look-ups at most, started when needed. 0 = 4, -1 none: then take look-ups as jobs, or use
    // addresses.
    int32_t resolver_threads;
    // Requests that may exist at once. 0 = 65536, -1 and the largest value: 1048576.
    int32_t requests_max;
    // Connections at once. 0 = no limit, -1 the same. Checked, but without effect in this version.
    int32_t connections_max;
    // Connections at once to one origin. 0 = no limit, -1 the same. Checked, but without effect in this version.
    int32_t connections_per_origin_max;
    // Idle connections kept for the next request. 0 = 128, -1 keeps none.
    int32_t idle_connections_max;
    // How long an idle connection is kept. 0 = 60 seconds, -1 until the peer closes it.
    int64_t idle_timeout_ms;
    // The User-Agent of requests that bring none: UTF-8. NULL: "valtron_http/" and the version. Length 0 and not
    // NULL: none is sent. Copied.
    const char *user_agent;
    // Length of user_agent.
    size_t user_agent_len;
    // Filled when valtron_client_create refuses. May be NULL.
    struct valtron_error_detail *error;
} valtron_client_config;

// How a client stands.
typedef struct valtron_poll_info {
    // Set it to sizeof(valtron_poll_info); VALTRON_POLL_INFO_INIT does.
    size_t struct_size;
    // 1: a further poll has work at once. 0: poll again when the wait handle is readable or the deadline is there.
    int32_t work_left;
    // 0.
    int32_t reserved;
    // Microseconds from now to the next deadline; -1 none.
    int64_t next_deadline_us;
    // Events waiting for valtron_client_next_events.
    uint32_t events_ready;
    // Questions waiting for valtron_client_next_spawns.
    uint32_t spawns_ready;
    // Requests that exist and have not ended.
    uint32_t requests_live;
    // 0.
    uint32_t reserved2;
} valtron_poll_info;

// What happened to a request since its last event.
typedef struct valtron_event {
    // Bytes of this struct that are filled.
    size_t struct_size;
    // The request.
    valtron_request request;
    // Its user_data.
    void *user_data;
    // VALTRON_EVENT_ flags.
    uint32_t flags;
    // A VALTRON_STATE_ value, now.
    int32_t state;
    // VALTRON_OK while it runs and when it ended well.
    valtron_status status;
    // Of the final response's head; 0 before it.
    int32_t http_status;
} valtron_event;

// Counters of a client, since its creation unless said otherwise.
typedef struct valtron_stats {
    // Set it to sizeof(valtron_stats); VALTRON_STATS_INIT does.
    size_t struct_size;
    // How often tasks ran.
    uint64_t task_polls;
    // Turns of the executors.
    uint64_t turns;
    // How often something outside woke a task.
    uint64_t wakes;
    // Waits that ended with nothing to do.
    uint64_t empty_waits;
    // Handshake steps that the library did in a poll because the job that was to do them was not started in time.
    uint64_t hitches;
    // Connections made.
    uint64_t connections_opened;
    // Requests that used a kept one.
    uint64_t connections_reused;
    // Name look-ups begun.
    uint64_t lookups_started;
    // Name look-ups nobody waited for to the end.
    uint64_t lookups_abandoned;
    // Jobs the host took.
    uint64_t jobs_taken;
    // Jobs the host took and did not run in time.
    uint64_t jobs_expired;
    // Requests made.
    uint64_t requests_created;
    // Requests not ended, now.
    uint64_t requests_live;
    // Always 0.
    uint64_t events_lost;
    // The longest poll, in microseconds; see valtron_hitches, and anew when valtron_client_hitches is told to reset.
    uint64_t longest_poll_us;
} valtron_stats;

// How long polls took, in wall time, the host's callbacks not counted: for a host that has frames to keep.
typedef struct valtron_hitches {
    // Set it to sizeof(valtron_hitches); VALTRON_HITCHES_INIT does.
    size_t struct_size;
    // Calls of valtron_client_poll, and of valtron_request_poll with a budget, where that drives: not where worker
    // threads do.
    uint64_t polls;
    // The longest of them, in nanoseconds.
    uint64_t longest_poll_ns;
    // How many took how long: element i counts those shorter than 16 << i microseconds and no shorter than element
    // i - 1 says, the last one all longer ones.
    uint64_t poll_counts[16];
    // The longest step of a task, the least that a poll can do, in nanoseconds. Those of worker threads and of
    // valtron_client_perform count, too.
    uint64_t longest_step_ns;
    // What that step was about: a VALTRON_STEP_ value.
    int32_t longest_step_kind;
    // 0.
    int32_t reserved;
} valtron_hitches;

// One header line of a request. Copied.
typedef struct valtron_header {
    // The name, a token.
    const char *name;
    // Its length.
    size_t name_len;
    // The value; no CR, LF or NUL.
    const char *value;
    // Its length.
    size_t value_len;
} valtron_header;

// The library is done with a borrowed request body.
//
// Called exactly once for each request that was created with it, on a thread that is inside valtron_client_poll,
// valtron_client_wait, valtron_request_poll, valtron_request_wait, valtron_client_perform, valtron_client_shutdown
// or valtron_client_free of this client, with no lock held. It must not throw.
typedef void (*valtron_release_callback)(void *user, const uint8_t *body, size_t body_len);

// One request, whole. Begin with VALTRON_REQUEST_CONFIG_INIT. In limits and times 0 means the default and -1 none.
//
// Everything pointed to is read during the call only, the borrowed body excepted.
typedef struct valtron_request_config {
    // sizeof(valtron_request_config).
    size_t struct_size;
    // Comes back in events, infos and questions. The library never looks at it.
    void *user_data;
    // A token; case matters. NULL: GET.
    const char *method;
    // Length of method.
    size_t method_len;
    // Absolute, http or https. UTF-8: what is not ASCII is sent percent-encoded, in a host as IDNA says. A space, a
    // control character, a backslash and a % that begins no escape are refused; error says which byte and where.
    const char *url;
    // Length of url.
    size_t url_len;
    // Header lines, sent in this order. NULL none.
    const struct valtron_header *headers;
    // How many.
    size_t headers_count;
    // Bytes from one to the next; 0: sizeof(valtron_header).
    size_t headers_stride;
    // The body. NULL: none. Not NULL with length 0: an empty one.
    const uint8_t *body;
    // Length of body.
    size_t body_len;
    // NULL: the body is copied; a large copy lasts until the request is freed. Otherwise it is borrowed, must stay as
    // it is, and this is called when the library is done with it: once if the request was created, never if it was
    // refused or if body is NULL.
    valtron_release_callback body_release;
    // First argument of body_release.
    void *body_release_user;
    // Higher goes first where requests wait for a connection. Without effect in this version, where none waits.
    int32_t priority;
    // May the request be sent twice if a kept connection dies under it? 0 by method (RFC 9110 section 9.2.2), 1 yes,
    // -1 no.
    int32_t idempotent;
    // 0 = 10, -1 follows none: the 3xx is the response.
    int32_t redirects_max;
    // 1 follows a redirect from https to http.
    int32_t redirect_downgrade_allowed;
    // Waiting for a connection to be free. 0 = none. Checked, but without effect in this version, where none waits.
    int64_t queue_timeout_ms;
    // The name look-up. 0 = 10 seconds.
    int64_t resolve_timeout_ms;
    // Connecting, all addresses together. 0 = 10 seconds.
    int64_t connect_timeout_ms;
    // The TLS handshake. 0 = 10 seconds.
    int64_t tls_timeout_ms;
    // Sending without progress. 0 = 30 seconds.
    int64_t send_timeout_ms;
    // From the last byte sent to the end of the response's head. 0 = 60 seconds.
    int64_t first_byte_timeout_ms;
    // Reading the body without progress; stands still while the host leaves the buffer full. 0 = 30 seconds.
    int64_t idle_timeout_ms;
    // Everything, redirects included. 0 = none.
    int64_t total_timeout_ms;
    // Largest head of a response, in bytes. 0 = 65,536.
    int32_t head_bytes_max;
    // Most header lines of a response. 0 = 128.
    int32_t headers_max;
    // Most interim (1xx) responses before the final one. 0 = 16.
    int32_t interim_max;
    // Unread body bytes kept before the peer is slowed down. -1 = all. 0 = 256 KiB, and step by step up to 16 MiB (for
    // all requests of a client 64 MiB more) if the host comes by rarely, as once a frame, and takes all of them then.
    int64_t body_buffer_bytes;
    // Reserved: NULL.
    const char *upgrade;
    // Reserved: 0.
    size_t upgrade_len;
    // Filled when valtron_request_create or valtron_client_perform refuses. May be NULL.
    struct valtron_error_detail *error;
} valtron_request_config;

// How a request stands.
typedef struct valtron_request_info {
    // Set it to sizeof(valtron_request_info); VALTRON_REQUEST_INFO_INIT does.
    size_t struct_size;
    // Its user_data.
    void *user_data;
    // A VALTRON_STATE_ value.
    int32_t state;
    // VALTRON_OK while it runs and when it ended well; otherwise see valtron_request_error.
    valtron_status status;
    // Of the final response's head; 0 before it.
    int32_t http_status;
    // VALTRON_EVENT_ flags seen so far.
    uint32_t flags;
    // 1: it ended. Body bytes may still wait to be read.
    int32_t terminal;
    // Redirects followed.
    uint32_t hops;
    // Interim responses received.
    uint32_t interim_count;
    // The response's HTTP/1 minor version; -1 before its head.
    int32_t http_minor;
    // 1: it used a kept connection.
    int32_t connection_reused;
    // 1: its TLS session was resumed.
    int32_t tls_resumed;
    // Body bytes received.
    uint64_t body_received;
    // Body bytes waiting to be read.
    uint64_t body_buffered;
    // Body bytes sent.
    uint64_t body_sent;
    // Body bytes to expect; -1 unknown.
    int64_t body_total;
    // How often its task ran: a measure of waste.
    uint64_t task_polls;
    // Microseconds from creation to leaving the queue; -1 not reached. So for all the following, of the last hop.
    int64_t time_queued_us;
    // To the addresses known.
    int64_t time_resolved_us;
    // To the connection made.
    int64_t time_connected_us;
    // To the end of the TLS handshake.
    int64_t time_tls_us;
    // To the last byte sent.
    int64_t time_sent_us;
    // To the first byte received.
    int64_t time_first_byte_us;
    // To the end of the head.
    int64_t time_head_us;
    // To the end.
    int64_t time_done_us;
} valtron_request_info;

// Where one header line lies in the bytes of its valtron_head. Read an array of them with its field_stride.
typedef struct valtron_field {
    // Where the name begins, as received.
    uint32_t name_offset;
    // Its length.
    uint32_t name_len;
    // Where the value begins, without the whitespace around it.
    uint32_t value_offset;
    // Its length.
    uint32_t value_len;
} valtron_field;

// A response's head, or trailers. The memory it points to belongs to the library and lives until the request is
// freed.
typedef struct valtron_head {
    // Set it to sizeof(valtron_head); VALTRON_HEAD_INIT does.
    size_t struct_size;
    // 100 to 999; of trailers that of their response.
    int32_t http_status;
    // The HTTP/1 minor version.
    int32_t http_minor;
    // The head as received, but for folded values: they are on one line, the fold replaced by spaces.
    const uint8_t *bytes;
    // Length of bytes.
    size_t bytes_len;
    // The header lines, in the order received.
    const struct valtron_field *fields;
    // How many.
    size_t fields_count;
    // Bytes from one to the next.
    size_t field_stride;
    // The URL this head came from. UTF-8, not NUL-terminated.
    const char *url;
    // Length of url.
    size_t url_len;
    // Where the reason phrase begins in bytes.
    uint32_t reason_offset;
    // Its length.
    uint32_t reason_len;
} valtron_head;

// One step of a request's life.
typedef struct valtron_trace_entry {
    // Microseconds since the request was created.
    int64_t at_us;
    // The VALTRON_STATE_ value entered.
    int32_t state;
    // Redirects followed by then.
    uint32_t hop;
} valtron_trace_entry;

// No error.
#define VALTRON_OK 0

// client: the pointer is NULL.
#define VALTRON_E_NULL_CLIENT -101

// config: the pointer is NULL.
#define VALTRON_E_NULL_CONFIG -102

// output: the pointer to write the result to is NULL.
#define VALTRON_E_NULL_OUTPUT -103

// buffer: the pointer is NULL but its length is not zero.
#define VALTRON_E_NULL_BUFFER -104

// callback: a function pointer that must be set is NULL.
#define VALTRON_E_NULL_CALLBACK -105

// job: the pointer is NULL.
#define VALTRON_E_NULL_JOB -106

// struct_size: smaller than the first version of the struct, or absurdly large; use the INIT macro.
#define VALTRON_E_STRUCT_SIZE -110

// enum: a value is none of the named ones.
#define VALTRON_E_ENUM_RANGE -111

// limit: a limit or timeout is below -1 or too large.
#define VALTRON_E_LIMIT_RANGE -112

// stride: smaller than the array's element.
#define VALTRON_E_STRIDE -113

// request: zero or never issued.
#define VALTRON_E_HANDLE -120

// request: freed already.
#define VALTRON_E_HANDLE_STALE -121

// request: belongs to another client.
#define VALTRON_E_HANDLE_FOREIGN -122

// url: empty.
#define VALTRON_E_URL_EMPTY -130

// url: not UTF-8.
#define VALTRON_E_URL_NOT_UTF8 -131

// url: does not parse.
#define VALTRON_E_URL_SYNTAX -132

// url: relative; it needs a scheme and a host.
#define VALTRON_E_URL_RELATIVE -133

// url: the scheme is neither http nor https.
#define VALTRON_E_URL_SCHEME -134

// url: the host is missing or invalid.
#define VALTRON_E_URL_HOST -135

// url: the port is invalid.
#define VALTRON_E_URL_PORT -136

// url: longer than 65536 bytes.
#define VALTRON_E_URL_TOO_LONG -137

// url: the user name or password is malformed.
#define VALTRON_E_URL_CREDENTIALS -138

// method: not a token (RFC 9110 section 5.6.2).
#define VALTRON_E_METHOD -140

// method: this library does not send it, or not with what the request holds.
#define VALTRON_E_METHOD_UNSUPPORTED -141

// headers: a name is not a token (RFC 9110 section 5.1).
#define VALTRON_E_HEADER_NAME -142

// headers: a value holds CR, LF, NUL or another control character (RFC 9110 section 5.5).
#define VALTRON_E_HEADER_VALUE -143

// headers: a framing or connection header that the library must set itself.
#define VALTRON_E_HEADER_FORBIDDEN -144

// headers: too many, or too large together.
#define VALTRON_E_HEADER_TOO_MANY -145

// config: a reserved field is set.
#define VALTRON_E_UNSUPPORTED -150

// busy: another thread is driving.
#define VALTRON_E_BUSY -160

// Too late: only before any other call.
#define VALTRON_E_TOO_LATE -161

// head: that head is not there, or not yet.
#define VALTRON_E_NO_HEAD -162

// spawn_id: no such question waits for an answer.
#define VALTRON_E_NO_SPAWN -163

// len: more than is there to consume.
#define VALTRON_E_NOT_CONSUMED -164

// ca_pem: holds no valid certificate.
#define VALTRON_E_CA_PEM -170

// decision: not possible for this question, or no place for the job was given.
#define VALTRON_E_DECISION -171

// Nothing yet.
#define VALTRON_E_WOULD_BLOCK -180

// A signal ended the wait.
#define VALTRON_E_INTERRUPTED -181

// Timeout_ms is over; the request lives on.
#define VALTRON_E_WAIT_TIMEOUT -182

// Out of memory.
#define VALTRON_E_NO_MEMORY -201

// Out of descriptors or local ports.
#define VALTRON_E_NO_DESCRIPTORS -202

// The operating system refused; see os_errno.
#define VALTRON_E_SYSTEM -203

// This client belongs to the parent process; free it and make another.
#define VALTRON_E_FORKED -204

// Requests_max requests exist already.
#define VALTRON_E_TOO_MANY_REQUESTS -205

// A thread could not be started.
#define VALTRON_E_NO_THREAD -206

// The host name does not exist or has no address.
#define VALTRON_E_NAME_NOT_FOUND -220

// The look-up of the host name failed.
#define VALTRON_E_NAME_FAILED -221

// No resolver thread is free and nobody took the look-up.
#define VALTRON_E_NO_RESOLVER -222

// Connection refused.
#define VALTRON_E_CONNECT_REFUSED -230

// Host or network unreachable.
#define VALTRON_E_CONNECT_UNREACHABLE -231

// The operating system gave up connecting.
#define VALTRON_E_CONNECT_TIMED_OUT -232

// Could not connect; see os_errno.
#define VALTRON_E_CONNECT_FAILED -233

// The connection was closed or reset before the response was complete.
#define VALTRON_E_CONNECTION_LOST -240

// The response head is malformed.
#define VALTRON_E_HEAD_MALFORMED -301

// The peer does not speak HTTP/1.
#define VALTRON_E_NOT_HTTP -302

// The response head is larger than head_bytes_max.
#define VALTRON_E_HEAD_TOO_LARGE -303

// The response has more header lines than headers_max.
#define VALTRON_E_TOO_MANY_HEADERS -304

// The chunked body is malformed.
#define VALTRON_E_CHUNK_MALFORMED -305

// Chunk extensions or trailers are over their limit.
#define VALTRON_E_CHUNK_TOO_LARGE -306

// The Content-Length is malformed.
#define VALTRON_E_LENGTH_MALFORMED -307

// The peer speaks TLS; use https.
#define VALTRON_E_TLS_ON_PLAIN_PORT -308

// The body ended early.
#define VALTRON_E_BODY_TRUNCATED -401

// The response's framing headers contradict each other (RFC 9112 section 6.3).
#define VALTRON_E_FRAMING_CONFLICT -402

// More interim responses than interim_max.
#define VALTRON_E_TOO_MANY_INTERIM -403

// The peer switched protocols, and nobody asked.
#define VALTRON_E_UNASKED_UPGRADE -404

// More redirects than redirects_max.
#define VALTRON_E_TOO_MANY_REDIRECTS -405

// The redirect's target is not usable.
#define VALTRON_E_BAD_REDIRECT -406

// Redirect from https to http, which is not allowed.
#define VALTRON_E_INSECURE_REDIRECT -407

// The certificate has expired.
#define VALTRON_E_TLS_EXPIRED -501

// The certificate is not valid yet.
#define VALTRON_E_TLS_NOT_YET_VALID -502

// The certificate is for another host.
#define VALTRON_E_TLS_WRONG_HOST -503

// The certificate's issuer is not trusted.
#define VALTRON_E_TLS_UNKNOWN_CA -504

// The certificate is self-signed and not trusted.
#define VALTRON_E_TLS_SELF_SIGNED -505

// The certificate is not acceptable.
#define VALTRON_E_TLS_CERTIFICATE -506

// The peer does not speak TLS on this port.
#define VALTRON_E_TLS_NOT_TLS -507

// The peer refused the TLS handshake with an alert.
#define VALTRON_E_TLS_ALERT -508

// No common TLS version, cipher or protocol.
#define VALTRON_E_TLS_INCOMPATIBLE -509

// The peer broke the TLS protocol.
#define VALTRON_E_TLS_PEER -510

// The peer hung up during the TLS handshake.
#define VALTRON_E_TLS_CLOSED -511

// This build has no TLS.
#define VALTRON_E_TLS_UNAVAILABLE -512

// Timed out waiting for a free connection.
#define VALTRON_E_TIMEOUT_QUEUE -601

// Timed out looking up the host name.
#define VALTRON_E_TIMEOUT_RESOLVE -602

// Timed out connecting.
#define VALTRON_E_TIMEOUT_CONNECT -603

// Timed out in the TLS handshake.
#define VALTRON_E_TIMEOUT_TLS -604

// Timed out sending the request: no progress.
#define VALTRON_E_TIMEOUT_SEND -605

// Timed out waiting for the response's head.
#define VALTRON_E_TIMEOUT_FIRST_BYTE -606

// Timed out reading the body: no progress.
#define VALTRON_E_TIMEOUT_IDLE -607

// The request's total time is over.
#define VALTRON_E_TIMEOUT_TOTAL -608

// Cancelled.
#define VALTRON_E_CANCELLED -701

// The host denied an action that the request needs.
#define VALTRON_E_DENIED -702

// The client was shut down.
#define VALTRON_E_SHUTDOWN -703

// job: was run already.
#define VALTRON_E_JOB_ALREADY_RUN -720

// job: came too late; the library did the work.
#define VALTRON_E_JOB_EXPIRED -721

// job: its request or client is gone.
#define VALTRON_E_JOB_CANCELLED -722

// A bug in the library; the request is over.
#define VALTRON_E_INTERNAL -901

// A bug in the library; this client only answers next_events, shutdown and free.
#define VALTRON_E_POISONED -902

// Decision: the library does it.
#define VALTRON_DECISION_RUN 0

// Decision: not at all. The request ends with VALTRON_E_DENIED; of a redirect the 3xx is the response.
#define VALTRON_DECISION_DENY 1

// Decision: the host does it, by valtron_job_run, on any thread. A redirect has no work to take: as RUN.
#define VALTRON_DECISION_TAKE 2

// Decision: valtron_action_decide will tell. From a callback only.
#define VALTRON_DECISION_LATER 3

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The library's version, "major.minor.patch". Static, NUL-terminated. Any thread. Blocks on nothing, cannot fail.
const char *valtron_version(void);

// The library's VALTRON_ABI_VERSION. If it differs from the header's, the two do not fit together. Any thread.
// Blocks on nothing, cannot fail.
uint32_t valtron_abi_version(void);

// What this build can do: VALTRON_FEATURE_ values, or-ed. Any thread. Blocks on nothing, cannot fail.
uint64_t valtron_features(void);

// The name of *status*, e.g. "VALTRON_E_BUSY"; of an unknown one "VALTRON_E_UNKNOWN". Static, NUL-terminated. Any
// thread. Blocks on nothing, cannot fail.
const char *valtron_status_name(valtron_status status);

// What *status* means, in one sentence; of a caller's mistake it names the argument. Static, NUL-terminated,
// English. Any thread. Blocks on nothing, cannot fail.
const char *valtron_status_message(valtron_status status);

// The name of a VALTRON_STATE_ value, e.g. "RECEIVING_BODY"; of an unknown one "UNKNOWN". Static, NUL-terminated.
// Any thread. Blocks on nothing, cannot fail.
const char *valtron_state_name(int32_t state);

// Makes the library take all its memory from *allocator*, which is copied: for the whole process and for ever.
//
// Before any other call of the library, from one thread. Blocks on nothing. Errors: VALTRON_E_NULL_CONFIG,
// _STRUCT_SIZE, _NULL_CALLBACK, _TOO_LATE after any other call, _UNSUPPORTED without VALTRON_FEATURE_ALLOCATOR.
valtron_status valtron_set_allocator(const struct valtron_allocator *allocator);

// Makes a client and writes it to *client*; the caller owns it and frees it with valtron_client_free.
//
// *config* may be NULL for the defaults; what it points to is copied. Any thread. Blocks on nothing, except that
// VALTRON_TRUST_SYSTEM reads the system's certificates from files. Starts the worker threads of a build that has
// them. If it refuses and config->error is set, that gets the particulars, but not with _STRUCT_SIZE, where *config*
// is not read. Errors: VALTRON_E_NULL_OUTPUT, _NULL_BUFFER, _NULL_CALLBACK, _STRUCT_SIZE, _ENUM_RANGE, _LIMIT_RANGE,
// _CA_PEM, _TLS_UNAVAILABLE, _HEADER_VALUE (user_agent), _NO_MEMORY, _NO_DESCRIPTORS, _NO_THREAD, _SYSTEM.
valtron_status valtron_client_create(const struct valtron_client_config *config, struct valtron_client **client);

// Drives the client without ever blocking, for about *budget_us* microseconds: never longer than the budget and one
// step of one request. 0 is one turn: each request that is ready gets one step, and a few hundred new ones are begun.
//
// *info* may be NULL. It says whether there is work left, and until when nothing needs to be done. Blocks on
// nothing. Any thread; while another one drives: VALTRON_E_BUSY. Callbacks run inside. Errors:
// VALTRON_E_NULL_CLIENT, _STRUCT_SIZE, _BUSY, _FORKED, _POISONED, _INTERNAL.
valtron_status valtron_client_poll(struct valtron_client *client, uint64_t budget_us, struct valtron_poll_info *info);

// Drives the client until there is an event or a question to fetch, valtron_client_wakeup was called, a signal came,
// or *timeout_ms* milliseconds are over; -1: no limit, 0 as valtron_client_poll with 0.
//
// *info* may be NULL. Any thread; while another one drives: VALTRON_E_BUSY. Blocks on what it says above. Callbacks
// run inside. The time's end is no error. Errors: VALTRON_E_NULL_CLIENT, _STRUCT_SIZE, _LIMIT_RANGE, _BUSY,
// _INTERRUPTED, _FORKED, _POISONED, _SYSTEM, _INTERNAL.
valtron_status valtron_client_wait(struct valtron_client *client, int32_t timeout_ms, struct valtron_poll_info *info);

// Ends the present valtron_client_wait, or the next one if there is none; several calls before it count as one.
//
// Any thread, but no signal handler. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _FORKED, _POISONED.
valtron_status valtron_client_wakeup(struct valtron_client *client);

// Writes to *handle* what to watch in a loop of one's own: a descriptor that is readable while valtron_client_poll
// has work. It may be readable without: at first, until the first poll, and now and then when a thread of the
// library was late to tell.
//
// The library owns it: watch it for reading, nothing else, and no longer than the client lives. Deadlines do not
// make it readable: use next_deadline_us of valtron_poll_info as the loop's timeout. Any thread. Blocks on nothing.
// Errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _UNSUPPORTED where there is none, _FORKED, _POISONED.
valtron_status valtron_client_wait_handle(struct valtron_client *client, ptrdiff_t *handle);

// Takes up to *cap* events out and writes them to *events*, an array with *event_size* bytes from one to the next
// (sizeof(valtron_event)); *count* gets how many. A request has at most one event waiting: what happens meanwhile
// joins it.
//
// Fewer than *cap*: none are left. Requests of valtron_client_perform have no events. Any thread; an event goes to
// one caller. Blocks on nothing, and works on a poisoned client. Errors: VALTRON_E_NULL_CLIENT, _NULL_BUFFER,
// _NULL_OUTPUT, _STRIDE, _FORKED.
valtron_status valtron_client_next_events(struct valtron_client *client,
                                          struct valtron_event *events,
                                          size_t event_size,
                                          size_t cap,
                                          size_t *count);

// Hands out up to *cap* questions that no callback answers, each once per step, to *spawns*, an array with
// *spawn_size* bytes from one to the next (sizeof(valtron_spawn)); *count* gets how many. Answer with
// valtron_action_decide.
//
// The text of a question lives until the question is decided, or its request or the client freed. Any thread; a
// question goes to one caller. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _NULL_BUFFER, _NULL_OUTPUT,
// _STRIDE, _FORKED, _POISONED.
valtron_status valtron_client_next_spawns(struct valtron_client *client,
                                          struct valtron_spawn *spawns,
                                          size_t spawn_size,
                                          size_t cap,
                                          size_t *count);

// Writes the client's counters to *stats*.
//
// Any thread. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE, _FORKED.
valtron_status valtron_client_stats(struct valtron_client *client, struct valtron_stats *stats);

// Writes to *hitches* how long polls took and what took longest; *reset* other than 0: and counts anew from here on.
//
// Any thread. Blocks on nothing, and costs no system call. Errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE,
// _FORKED.
valtron_status valtron_client_hitches(struct valtron_client *client, int32_t reset, struct valtron_hitches *hitches);

// Ends every request with VALTRON_E_SHUTDOWN, refuses new ones, and joins the client's threads. Events and bodies
// already there can still be fetched. A second call is harmless.
//
// Any thread. Blocks until that is done, at most *timeout_ms* milliseconds; -1: no limit. Only a look-up that the
// name service holds up can take long. Releases of borrowed bodies run inside. Errors: VALTRON_E_NULL_CLIENT,
// _LIMIT_RANGE, _WAIT_TIMEOUT (call again), _INTERRUPTED, _FORKED, _INTERNAL.
valtron_status valtron_client_shutdown(struct valtron_client *client, int32_t timeout_ms);

// Frees the client and all its requests. NULL does nothing. Handles and pointers got from them are dead afterwards;
// jobs are not: run, they answer VALTRON_E_JOB_CANCELLED, and want their valtron_job_free.
//
// Any one thread, inside a callback of this client too; no other thread may be inside a call with it or make one
// later. Blocks on nothing: threads still busy end by themselves; one that is just sending from a borrowed body is
// waited for until that call of the system returns, microseconds later. Releases of borrowed bodies run inside. In a
// child process it closes the child's copies of the descriptors and nothing else.
void valtron_client_free(struct valtron_client *client);

// Creates a request and writes its handle to *request*; free it with valtron_request_free. Nothing is looked up or
// connected here: driving the client does that.
//
// Any thread. Blocks on nothing. If it refuses and config->error is set, that gets the particulars, but not with
// _NULL_CLIENT, _NULL_CONFIG and _STRUCT_SIZE, where *config* is not read. Errors: VALTRON_E_NULL_CLIENT,
// _NULL_CONFIG, _NULL_OUTPUT, _NULL_BUFFER, _STRUCT_SIZE, _ENUM_RANGE, _LIMIT_RANGE, _STRIDE, _URL_*, _METHOD*,
// _HEADER_*, _UNSUPPORTED, _TLS_UNAVAILABLE, _TOO_MANY_REQUESTS, _NO_MEMORY, _SHUTDOWN, _FORKED, _POISONED, _INTERNAL.
valtron_status valtron_request_create(struct valtron_client *client,
                                      const struct valtron_request_config *config,
                                      valtron_request *request);

// Drives this request for about *budget_us* microseconds without blocking, and writes how it stands to *info*; 0
// only looks.
//
// Blocks on nothing. Any thread; while another one drives it only looks. Callbacks run inside. Errors:
// VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE, _HANDLE*, _FORKED, _POISONED, _INTERNAL. That the request
// failed is no error of this call: see info->status.
valtron_status valtron_request_poll(struct valtron_client *client,
                                    valtron_request request,
                                    uint64_t budget_us,
                                    struct valtron_request_info *info);

// Waits, driving the client, until the request got as far as *until* (VALTRON_UNTIL_ values, or-ed) or ended, and
// writes how it stands to *info*.
//
// Any thread, several at once. Blocks on the request, a signal (VALTRON_E_INTERRUPTED) and *timeout_ms* milliseconds
// (VALTRON_E_WAIT_TIMEOUT; -1: no limit); the request lives on, and the call can be made again. Callbacks run
// inside. Further errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE, _ENUM_RANGE, _LIMIT_RANGE, _HANDLE*,
// _FORKED, _POISONED, _INTERNAL.
valtron_status valtron_request_wait(struct valtron_client *client,
                                    valtron_request request,
                                    uint32_t until,
                                    int32_t timeout_ms,
                                    struct valtron_request_info *info);

// valtron_request_create and valtron_request_wait in one, with all the work on the calling thread. The request has
// no events. It still wants its valtron_request_free.
//
// *request* and *info* are written when the call returns with VALTRON_OK, VALTRON_E_INTERRUPTED or
// VALTRON_E_WAIT_TIMEOUT, and not before: a callback inside does not find the handle there. After the last two
// valtron_request_wait and valtron_request_poll drive the request further, and only they: calls that drive the
// client do not. With any other error there is no request, or no more, as with VALTRON_E_HANDLE_STALE if a callback
// freed it; both are left as they were, and config->error is filled if none was made. VALTRON_OK says that *until*
// was reached or the request ended, well or not: see info->status. Any thread, any number at once. Blocks and runs
// callbacks as valtron_request_wait. Errors: those of both.
valtron_status valtron_client_perform(struct valtron_client *client,
                                      const struct valtron_request_config *config,
                                      uint32_t until,
                                      int32_t timeout_ms,
                                      valtron_request *request,
                                      struct valtron_request_info *info);

// Writes to *head* where one head of the request lies: *which* is VALTRON_HEAD_FINAL, VALTRON_HEAD_TRAILERS,
// VALTRON_HEAD_INTERIM(n) or VALTRON_HEAD_HOP(n).
//
// The library owns what it points to; it never changes, and lives until valtron_request_free. Any thread. Blocks on
// nothing. Errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE, _ENUM_RANGE, _NO_HEAD, _HANDLE*, _FORKED,
// _POISONED.
valtron_status valtron_request_head(struct valtron_client *client,
                                    valtron_request request,
                                    int32_t which,
                                    struct valtron_head *head);

// Copies up to *cap* body bytes to *buffer* and takes them out; *read* gets how many. VALTRON_OK with 0 (and *cap*
// not 0) is the body's end.
//
// Any thread, but only one per request at a time, which is the caller's duty: two at once get the bytes in no order
// that can be told. Blocks on nothing: VALTRON_E_WOULD_BLOCK if nothing is there yet. Once the request failed and
// what came before is read: its own error. Further errors: VALTRON_E_NULL_CLIENT, _NULL_BUFFER, _NULL_OUTPUT,
// _HANDLE*, _FORKED, _POISONED.
valtron_status valtron_request_read(struct valtron_client *client,
                                    valtron_request request,
                                    uint8_t *buffer,
                                    size_t cap,
                                    size_t *read);

// Writes to *bytes* and *len* where body bytes lie that can be read in place; take them out with
// valtron_request_consume. VALTRON_OK with 0 is the body's end.
//
// The library owns them; they live until consume, read or free of this request, so none of these may be called
// elsewhere while they are used. Any thread, one per request at a time. Blocks on nothing. Errors: as
// valtron_request_read.
valtron_status valtron_request_peek(struct valtron_client *client,
                                    valtron_request request,
                                    const uint8_t **bytes,
                                    size_t *len);

// Takes the first *len* body bytes out, which valtron_request_peek showed.
//
// Any thread, one per request at a time. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _NOT_CONSUMED if there
// are fewer, _HANDLE*, _FORKED, _POISONED.
valtron_status valtron_request_consume(struct valtron_client *client, valtron_request request, size_t len);

// Writes to *detail* why the request failed; its status is VALTRON_OK if it did not.
//
// Any thread. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE, _HANDLE*, _FORKED,
// _POISONED.
valtron_status valtron_request_error(struct valtron_client *client,
                                     valtron_request request,
                                     struct valtron_error_detail *detail);

// Writes the states the request went through, oldest first, up to *cap* of them, to *entries*, an array with
// *stride* bytes from one to the next (sizeof(valtron_trace_entry)); *count* gets how many were written.
//
// Any thread. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _NULL_BUFFER, _NULL_OUTPUT, _STRIDE, _HANDLE*,
// _FORKED, _POISONED.
valtron_status valtron_request_trace(struct valtron_client *client,
                                     valtron_request request,
                                     struct valtron_trace_entry *entries,
                                     size_t stride,
                                     size_t cap,
                                     size_t *count);

// Writes to *url* and *len* where the request's present URL lies: after redirects the last one. UTF-8, not
// NUL-terminated.
//
// The library owns it; it lives until valtron_request_free. Any thread. Blocks on nothing. Errors:
// VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _HANDLE*, _FORKED, _POISONED.
valtron_status valtron_request_url(struct valtron_client *client,
                                   valtron_request request,
                                   const char **url,
                                   size_t *len);

// Ends the request with VALTRON_E_CANCELLED, as soon as it is driven. One that ended already stays as it is.
//
// Any thread. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _HANDLE*, _FORKED, _POISONED.
valtron_status valtron_request_cancel(struct valtron_client *client, valtron_request request);

// Frees the request: its handle, its head, its body and all pointers into them are dead, and no event of it comes
// any more. One that runs is cancelled. A handle that is 0, freed already or another client's does nothing; so does
// a NULL client.
//
// Any thread, inside a callback too. Blocks on nothing.
void valtron_request_free(struct valtron_client *client, valtron_request request);

// Answers the question *spawn_id*: one from valtron_client_next_spawns, or one that a callback left with
// VALTRON_DECISION_LATER.
//
// With VALTRON_DECISION_TAKE *job* gets a job that the caller owns: run it with valtron_job_run on any thread, free
// it with valtron_job_free; that of a redirect has nothing to do. With any other decision *job* may be NULL and is
// left as it was. Any thread. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _ENUM_RANGE, _DECISION (TAKE without
// *job*; LATER), _NO_SPAWN (unknown, answered, or too late), _FORKED, _POISONED.
valtron_status valtron_action_decide(struct valtron_client *client,
                                     uint64_t spawn_id,
                                     valtron_decision decision,
                                     struct valtron_job **job);

// Does the job's work on the calling thread: a look-up asks the name service and takes as long as that does; a
// handshake step computes, some milliseconds at most. The client is told; no need to wake it.
//
// Any thread, also while the client is driven elsewhere or after it was freed. Blocks on nothing but that work.
// Errors: VALTRON_E_NULL_JOB, _JOB_ALREADY_RUN, _JOB_EXPIRED (the library did it), _JOB_CANCELLED (request or client
// are gone), _FORKED, _INTERNAL.
valtron_status valtron_job_run(struct valtron_job *job);

// Gives the job back. NULL does nothing. A job not run expires in time, as if it were kept.
//
// Any thread, but not while valtron_job_run is inside it. Blocks on nothing. After it the pointer is dead.
void valtron_job_free(struct valtron_job *job);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VALTRON_HTTP_H */
