//! The numbers of the header. Append-only: a number keeps its meaning for ever, and a retired one stays as a comment.

use super::types::{valtron_decision, valtron_status};

/// No error.
pub const VALTRON_OK: valtron_status = 0;
/// client: the pointer is NULL.
pub const VALTRON_E_NULL_CLIENT: valtron_status = -101;
/// config: the pointer is NULL.
pub const VALTRON_E_NULL_CONFIG: valtron_status = -102;
/// output: the pointer to write the result to is NULL.
pub const VALTRON_E_NULL_OUTPUT: valtron_status = -103;
/// buffer: the pointer is NULL but its length is not zero.
pub const VALTRON_E_NULL_BUFFER: valtron_status = -104;
/// callback: a function pointer that must be set is NULL.
pub const VALTRON_E_NULL_CALLBACK: valtron_status = -105;
/// job: the pointer is NULL.
pub const VALTRON_E_NULL_JOB: valtron_status = -106;
/// struct_size: smaller than the first version of the struct, or absurdly large; use the INIT macro.
pub const VALTRON_E_STRUCT_SIZE: valtron_status = -110;
/// enum: a value is none of the named ones.
pub const VALTRON_E_ENUM_RANGE: valtron_status = -111;
/// limit: a limit or timeout is below -1 or too large.
pub const VALTRON_E_LIMIT_RANGE: valtron_status = -112;
/// stride: smaller than the array's element.
pub const VALTRON_E_STRIDE: valtron_status = -113;
/// request: zero or never issued.
pub const VALTRON_E_HANDLE: valtron_status = -120;
/// request: freed already.
pub const VALTRON_E_HANDLE_STALE: valtron_status = -121;
/// request: belongs to another client.
pub const VALTRON_E_HANDLE_FOREIGN: valtron_status = -122;
/// url: empty.
pub const VALTRON_E_URL_EMPTY: valtron_status = -130;
/// url: not UTF-8.
pub const VALTRON_E_URL_NOT_UTF8: valtron_status = -131;
/// url: does not parse.
pub const VALTRON_E_URL_SYNTAX: valtron_status = -132;
/// url: relative; it needs a scheme and a host.
pub const VALTRON_E_URL_RELATIVE: valtron_status = -133;
/// url: the scheme is neither http nor https.
pub const VALTRON_E_URL_SCHEME: valtron_status = -134;
/// url: the host is missing or invalid.
pub const VALTRON_E_URL_HOST: valtron_status = -135;
/// url: the port is invalid.
pub const VALTRON_E_URL_PORT: valtron_status = -136;
/// url: longer than 65536 bytes.
pub const VALTRON_E_URL_TOO_LONG: valtron_status = -137;
/// url: the user name or password is malformed.
pub const VALTRON_E_URL_CREDENTIALS: valtron_status = -138;
/// method: not a token (RFC 9110 section 5.6.2).
pub const VALTRON_E_METHOD: valtron_status = -140;
/// method: this library does not send it, or not with what the request holds.
pub const VALTRON_E_METHOD_UNSUPPORTED: valtron_status = -141;
/// headers: a name is not a token (RFC 9110 section 5.1).
pub const VALTRON_E_HEADER_NAME: valtron_status = -142;
/// headers: a value holds CR, LF, NUL or another control character (RFC 9110 section 5.5).
pub const VALTRON_E_HEADER_VALUE: valtron_status = -143;
/// headers: a framing or connection header that the library must set itself.
pub const VALTRON_E_HEADER_FORBIDDEN: valtron_status = -144;
/// headers: too many, or too large together.
pub const VALTRON_E_HEADER_TOO_MANY: valtron_status = -145;
/// config: a reserved field is set.
pub const VALTRON_E_UNSUPPORTED: valtron_status = -150;
/// busy: another thread is driving.
pub const VALTRON_E_BUSY: valtron_status = -160;
/// Too late: only before any other call.
pub const VALTRON_E_TOO_LATE: valtron_status = -161;
/// head: that head is not there, or not yet.
pub const VALTRON_E_NO_HEAD: valtron_status = -162;
/// spawn_id: no such question waits for an answer.
pub const VALTRON_E_NO_SPAWN: valtron_status = -163;
/// len: more than is there to consume.
pub const VALTRON_E_NOT_CONSUMED: valtron_status = -164;
/// ca_pem: holds no valid certificate.
pub const VALTRON_E_CA_PEM: valtron_status = -170;
/// decision: not possible for this question, or no place for the job was given.
pub const VALTRON_E_DECISION: valtron_status = -171;
/// Nothing yet.
pub const VALTRON_E_WOULD_BLOCK: valtron_status = -180;
/// A signal ended the wait.
pub const VALTRON_E_INTERRUPTED: valtron_status = -181;
/// Timeout_ms is over; the request lives on.
pub const VALTRON_E_WAIT_TIMEOUT: valtron_status = -182;
/// Out of memory.
pub const VALTRON_E_NO_MEMORY: valtron_status = -201;
/// Out of descriptors or local ports.
pub const VALTRON_E_NO_DESCRIPTORS: valtron_status = -202;
/// The operating system refused; see os_errno.
pub const VALTRON_E_SYSTEM: valtron_status = -203;
/// This client belongs to the parent process; free it and make another.
pub const VALTRON_E_FORKED: valtron_status = -204;
/// Requests_max requests exist already.
pub const VALTRON_E_TOO_MANY_REQUESTS: valtron_status = -205;
/// A thread could not be started.
pub const VALTRON_E_NO_THREAD: valtron_status = -206;
/// The host name does not exist or has no address.
pub const VALTRON_E_NAME_NOT_FOUND: valtron_status = -220;
/// The look-up of the host name failed.
pub const VALTRON_E_NAME_FAILED: valtron_status = -221;
/// No resolver thread is free and nobody took the look-up.
pub const VALTRON_E_NO_RESOLVER: valtron_status = -222;
/// Connection refused.
pub const VALTRON_E_CONNECT_REFUSED: valtron_status = -230;
/// Host or network unreachable.
pub const VALTRON_E_CONNECT_UNREACHABLE: valtron_status = -231;
/// The operating system gave up connecting.
pub const VALTRON_E_CONNECT_TIMED_OUT: valtron_status = -232;
/// Could not connect; see os_errno.
pub const VALTRON_E_CONNECT_FAILED: valtron_status = -233;
/// The connection was closed or reset before the response was complete.
pub const VALTRON_E_CONNECTION_LOST: valtron_status = -240;
/// The response head is malformed.
pub const VALTRON_E_HEAD_MALFORMED: valtron_status = -301;
/// The peer does not speak HTTP/1.
pub const VALTRON_E_NOT_HTTP: valtron_status = -302;
/// The response head is larger than head_bytes_max.
pub const VALTRON_E_HEAD_TOO_LARGE: valtron_status = -303;
/// The response has more header lines than headers_max.
pub const VALTRON_E_TOO_MANY_HEADERS: valtron_status = -304;
/// The chunked body is malformed.
pub const VALTRON_E_CHUNK_MALFORMED: valtron_status = -305;
/// Chunk extensions or trailers are over their limit.
pub const VALTRON_E_CHUNK_TOO_LARGE: valtron_status = -306;
/// The Content-Length is malformed.
pub const VALTRON_E_LENGTH_MALFORMED: valtron_status = -307;
/// The peer speaks TLS; use https.
pub const VALTRON_E_TLS_ON_PLAIN_PORT: valtron_status = -308;
/// The body ended early.
pub const VALTRON_E_BODY_TRUNCATED: valtron_status = -401;
/// The response's framing headers contradict each other (RFC 9112 section 6.3).
pub const VALTRON_E_FRAMING_CONFLICT: valtron_status = -402;
/// More interim responses than interim_max.
pub const VALTRON_E_TOO_MANY_INTERIM: valtron_status = -403;
/// The peer switched protocols, and nobody asked.
pub const VALTRON_E_UNASKED_UPGRADE: valtron_status = -404;
/// More redirects than redirects_max.
pub const VALTRON_E_TOO_MANY_REDIRECTS: valtron_status = -405;
/// The redirect's target is not usable.
pub const VALTRON_E_BAD_REDIRECT: valtron_status = -406;
/// Redirect from https to http, which is not allowed.
pub const VALTRON_E_INSECURE_REDIRECT: valtron_status = -407;
/// The certificate has expired.
pub const VALTRON_E_TLS_EXPIRED: valtron_status = -501;
/// The certificate is not valid yet.
pub const VALTRON_E_TLS_NOT_YET_VALID: valtron_status = -502;
/// The certificate is for another host.
pub const VALTRON_E_TLS_WRONG_HOST: valtron_status = -503;
/// The certificate's issuer is not trusted.
pub const VALTRON_E_TLS_UNKNOWN_CA: valtron_status = -504;
/// The certificate is self-signed and not trusted.
pub const VALTRON_E_TLS_SELF_SIGNED: valtron_status = -505;
/// The certificate is not acceptable.
pub const VALTRON_E_TLS_CERTIFICATE: valtron_status = -506;
/// The peer does not speak TLS on this port.
pub const VALTRON_E_TLS_NOT_TLS: valtron_status = -507;
/// The peer refused the TLS handshake with an alert.
pub const VALTRON_E_TLS_ALERT: valtron_status = -508;
/// No common TLS version, cipher or protocol.
pub const VALTRON_E_TLS_INCOMPATIBLE: valtron_status = -509;
/// The peer broke the TLS protocol.
pub const VALTRON_E_TLS_PEER: valtron_status = -510;
/// The peer hung up during the TLS handshake.
pub const VALTRON_E_TLS_CLOSED: valtron_status = -511;
/// This build has no TLS.
pub const VALTRON_E_TLS_UNAVAILABLE: valtron_status = -512;
/// Timed out waiting for a free connection.
pub const VALTRON_E_TIMEOUT_QUEUE: valtron_status = -601;
/// Timed out looking up the host name.
pub const VALTRON_E_TIMEOUT_RESOLVE: valtron_status = -602;
/// Timed out connecting.
pub const VALTRON_E_TIMEOUT_CONNECT: valtron_status = -603;
/// Timed out in the TLS handshake.
pub const VALTRON_E_TIMEOUT_TLS: valtron_status = -604;
/// Timed out sending the request: no progress.
pub const VALTRON_E_TIMEOUT_SEND: valtron_status = -605;
/// Timed out waiting for the response's head.
pub const VALTRON_E_TIMEOUT_FIRST_BYTE: valtron_status = -606;
/// Timed out reading the body: no progress.
pub const VALTRON_E_TIMEOUT_IDLE: valtron_status = -607;
/// The request's total time is over.
pub const VALTRON_E_TIMEOUT_TOTAL: valtron_status = -608;
/// Cancelled.
pub const VALTRON_E_CANCELLED: valtron_status = -701;
/// The host denied an action that the request needs.
pub const VALTRON_E_DENIED: valtron_status = -702;
/// The client was shut down.
pub const VALTRON_E_SHUTDOWN: valtron_status = -703;
/// job: was run already.
pub const VALTRON_E_JOB_ALREADY_RUN: valtron_status = -720;
/// job: came too late; the library did the work.
pub const VALTRON_E_JOB_EXPIRED: valtron_status = -721;
/// job: its request or client is gone.
pub const VALTRON_E_JOB_CANCELLED: valtron_status = -722;
/// A bug in the library; the request is over.
pub const VALTRON_E_INTERNAL: valtron_status = -901;
/// A bug in the library; this client only answers next_events, shutdown and free.
pub const VALTRON_E_POISONED: valtron_status = -902;

/// State: created; nothing has been done.
pub const VALTRON_STATE_INIT: i32 = 0;
/// State: waits for a connection, looks the name up, or connects.
pub const VALTRON_STATE_CONNECTING: i32 = 1;
/// State: the TLS handshake.
pub const VALTRON_STATE_TLS_HANDSHAKE: i32 = 2;
/// State: sends head and body.
pub const VALTRON_STATE_SENDING_REQUEST: i32 = 3;
/// State: waits for the response's status line.
pub const VALTRON_STATE_RECEIVING_INTRO: i32 = 4;
/// State: reads the header lines.
pub const VALTRON_STATE_RECEIVING_HEADERS: i32 = 5;
/// State: reads the body.
pub const VALTRON_STATE_RECEIVING_BODY: i32 = 6;
/// State: a redirect came and is being decided or followed.
pub const VALTRON_STATE_AWAITING_REDIRECT: i32 = 7;
/// State: ended well.
pub const VALTRON_STATE_DONE: i32 = 8;
/// State: failed; see its status.
pub const VALTRON_STATE_ERROR: i32 = 9;

/// Phase: outside a request's life.
pub const VALTRON_PHASE_NONE: i32 = 0;
/// Phase: waiting for a connection to be free.
pub const VALTRON_PHASE_QUEUE: i32 = 1;
/// Phase: the name look-up.
pub const VALTRON_PHASE_RESOLVE: i32 = 2;
/// Phase: connecting.
pub const VALTRON_PHASE_CONNECT: i32 = 3;
/// Phase: the TLS handshake.
pub const VALTRON_PHASE_TLS: i32 = 4;
/// Phase: sending the request.
pub const VALTRON_PHASE_SEND: i32 = 5;
/// Phase: waiting for and reading the response's head.
pub const VALTRON_PHASE_FIRST_BYTE: i32 = 6;
/// Phase: reading the body.
pub const VALTRON_PHASE_BODY: i32 = 7;
/// Phase: following a redirect.
pub const VALTRON_PHASE_REDIRECT: i32 = 8;

/// Argument: none was wrong.
pub const VALTRON_ARGUMENT_NONE: i32 = 0;
/// Argument: the client.
pub const VALTRON_ARGUMENT_CLIENT: i32 = 1;
/// Argument: the configuration as a whole.
pub const VALTRON_ARGUMENT_CONFIG: i32 = 2;
/// Argument: the URL.
pub const VALTRON_ARGUMENT_URL: i32 = 3;
/// Argument: the method.
pub const VALTRON_ARGUMENT_METHOD: i32 = 4;
/// Argument: a header; see argument_index.
pub const VALTRON_ARGUMENT_HEADERS: i32 = 5;
/// Argument: the body.
pub const VALTRON_ARGUMENT_BODY: i32 = 6;
/// Argument: a time limit.
pub const VALTRON_ARGUMENT_TIMEOUT: i32 = 7;
/// Argument: a limit.
pub const VALTRON_ARGUMENT_LIMIT: i32 = 8;
/// Argument: one of several named values.
pub const VALTRON_ARGUMENT_ENUM: i32 = 9;
/// Argument: where to write the result.
pub const VALTRON_ARGUMENT_OUTPUT: i32 = 10;
/// Argument: the request.
pub const VALTRON_ARGUMENT_HANDLE: i32 = 11;
/// Argument: a reserved field.
pub const VALTRON_ARGUMENT_RESERVED: i32 = 12;
/// Argument: the certificates.
pub const VALTRON_ARGUMENT_CA_PEM: i32 = 13;
/// Argument: the client's User-Agent.
pub const VALTRON_ARGUMENT_USER_AGENT: i32 = 14;

/// Event: the final head can be read.
pub const VALTRON_EVENT_HEAD: u32 = 1;
/// Event: body bytes can be read.
pub const VALTRON_EVENT_BODY: u32 = 2;
/// Event: the request ended; comes exactly once, unless the request is freed before.
pub const VALTRON_EVENT_DONE: u32 = 4;
/// Event: a question waits; see valtron_client_next_spawns.
pub const VALTRON_EVENT_SPAWN: u32 = 8;
/// Event: a redirect was followed.
pub const VALTRON_EVENT_HOP: u32 = 16;
/// Event: an interim response came.
pub const VALTRON_EVENT_INTERIM: u32 = 32;
/// Event: trailers can be read.
pub const VALTRON_EVENT_TRAILERS: u32 = 64;
/// Event: reserved.
pub const VALTRON_EVENT_UPGRADED: u32 = 128;

/// Wait until the request ends. That ends every wait.
pub const VALTRON_UNTIL_DONE: u32 = 0;
/// Wait until the final head can be read.
pub const VALTRON_UNTIL_HEAD: u32 = 1;
/// Wait until body bytes can be read.
pub const VALTRON_UNTIL_BODY: u32 = 2;
/// Wait until a question waits.
pub const VALTRON_UNTIL_SPAWN: u32 = 4;

/// Action: follow a redirect.
pub const VALTRON_SPAWN_REDIRECT: u32 = 1;
/// Action: one step of a TLS handshake.
pub const VALTRON_SPAWN_TLS_UPGRADE: u32 = 2;
/// Action: a name look-up.
pub const VALTRON_SPAWN_RESOLVE: u32 = 4;

/// Step: none was counted.
pub const VALTRON_STEP_NONE: i32 = 0;
/// Step: a request begins: a kept connection or a new one, the bytes of a handshake, its head.
pub const VALTRON_STEP_START: i32 = 1;
/// Step: a name is looked up, addresses are tried.
pub const VALTRON_STEP_RESOLVE: i32 = 2;
/// Step: a TLS handshake begins: keys are made, unless the host took that.
pub const VALTRON_STEP_TLS_START: i32 = 3;
/// Step: one record of a TLS handshake, certificates and signatures included, unless the host took that.
pub const VALTRON_STEP_TLS_HANDSHAKE: i32 = 4;
/// Step: head and body go out.
pub const VALTRON_STEP_SEND: i32 = 5;
/// Step: a response's head comes in, perhaps with all of its body.
pub const VALTRON_STEP_HEAD: i32 = 6;
/// Step: a body comes in.
pub const VALTRON_STEP_BODY: i32 = 7;
/// Step: a redirect is followed.
pub const VALTRON_STEP_REDIRECT: i32 = 8;
/// Step: idle connections are looked after.
pub const VALTRON_STEP_IDLE: i32 = 9;

/// Decision: the library does it.
pub const VALTRON_DECISION_RUN: valtron_decision = 0;
/// Decision: not at all. The request ends with VALTRON_E_DENIED; of a redirect the 3xx is the response.
pub const VALTRON_DECISION_DENY: valtron_decision = 1;
/// Decision: the host does it, by valtron_job_run, on any thread. A redirect has no work to take: as RUN.
pub const VALTRON_DECISION_TAKE: valtron_decision = 2;
/// Decision: valtron_action_decide will tell. From a callback only.
pub const VALTRON_DECISION_LATER: valtron_decision = 3;

/// Trust: the roots compiled in (Mozilla's).
pub const VALTRON_TRUST_BUNDLED: i32 = 0;
/// Trust: the system's roots.
pub const VALTRON_TRUST_SYSTEM: i32 = 1;
/// Trust: ca_pem alone.
pub const VALTRON_TRUST_PEM_ONLY: i32 = 2;

/// Head: the final response.
pub const VALTRON_HEAD_FINAL: i32 = 0;
/// Head: the trailers. See also VALTRON_HEAD_INTERIM(n) and VALTRON_HEAD_HOP(n).
pub const VALTRON_HEAD_TRAILERS: i32 = 1;

/// Feature: worker threads.
pub const VALTRON_FEATURE_MULTI: u64 = 1;
/// Feature: https.
pub const VALTRON_FEATURE_TLS: u64 = 2;
/// Feature: valtron_set_allocator works.
pub const VALTRON_FEATURE_ALLOCATOR: u64 = 4;
/// Feature: a test build that can inject faults; never ship it.
pub const VALTRON_FEATURE_FAULTS: u64 = 8;
