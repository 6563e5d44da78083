//! Every answer a call or a request can end with: number, name, message. Append-only: a number keeps its meaning for
//! ever, and a retired one stays here as a comment. Grouped by whose fault it is.

macro_rules! statuses {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal, $message:literal;)*) => {
        /// One answer. The number is what the C API carries.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        #[non_exhaustive]
        #[allow(missing_docs)] // the message beside each is its documentation
        pub enum Status { $($(#[$doc])* $variant = $code,)* }

        impl Status {
            /// All of them, in the order of this file.
            pub const ALL: &'static [Status] = &[$(Status::$variant,)*];

            /// The status with this number.
            pub fn from_code(code: i32) -> Option<Status> {
                match code { $($code => Some(Status::$variant),)* _ => None }
            }

            /// Its name in C.
            pub fn name(self) -> &'static str {
                match self { $(Status::$variant => $name,)* }
            }

            /// One sentence for a human; of a caller's mistake it names the argument.
            pub fn message(self) -> &'static str {
                match self { $(Status::$variant => $message,)* }
            }
        }
    };
}

statuses! {
    Ok = 0, "VALTRON_OK", "no error";
    NullClient = -101, "VALTRON_E_NULL_CLIENT", "client: the pointer is NULL";
    NullConfig = -102, "VALTRON_E_NULL_CONFIG", "config: the pointer is NULL";
    NullOutput = -103, "VALTRON_E_NULL_OUTPUT", "output: the pointer to write the result to is NULL";
    NullBuffer = -104, "VALTRON_E_NULL_BUFFER", "buffer: the pointer is NULL but its length is not zero";
    NullCallback = -105, "VALTRON_E_NULL_CALLBACK", "callback: a function pointer that must be set is NULL";
    NullJob = -106, "VALTRON_E_NULL_JOB", "job: the pointer is NULL";
    StructSize = -110, "VALTRON_E_STRUCT_SIZE",
        "struct_size: smaller than the first version of the struct, or absurdly large; use the INIT macro";
    EnumRange = -111, "VALTRON_E_ENUM_RANGE", "enum: a value is none of the named ones";
    LimitRange = -112, "VALTRON_E_LIMIT_RANGE", "limit: a limit or timeout is below -1 or too large";
    Stride = -113, "VALTRON_E_STRIDE", "stride: smaller than the array's element";
    Handle = -120, "VALTRON_E_HANDLE", "request: zero or never issued";
    HandleStale = -121, "VALTRON_E_HANDLE_STALE", "request: freed already";
    HandleForeign = -122, "VALTRON_E_HANDLE_FOREIGN", "request: belongs to another client";
    UrlEmpty = -130, "VALTRON_E_URL_EMPTY", "url: empty";
    UrlNotUtf8 = -131, "VALTRON_E_URL_NOT_UTF8", "url: not UTF-8";
    UrlSyntax = -132, "VALTRON_E_URL_SYNTAX", "url: does not parse";
    UrlRelative = -133, "VALTRON_E_URL_RELATIVE", "url: relative; it needs a scheme and a host";
    UrlScheme = -134, "VALTRON_E_URL_SCHEME", "url: the scheme is neither http nor https";
    UrlHost = -135, "VALTRON_E_URL_HOST", "url: the host is missing or invalid";
    UrlPort = -136, "VALTRON_E_URL_PORT", "url: the port is invalid";
    UrlTooLong = -137, "VALTRON_E_URL_TOO_LONG", "url: longer than 65536 bytes";
    UrlCredentials = -138, "VALTRON_E_URL_CREDENTIALS", "url: the user name or password is malformed";
    Method = -140, "VALTRON_E_METHOD", "method: not a token (RFC 9110 section 5.6.2)";
    MethodUnsupported = -141, "VALTRON_E_METHOD_UNSUPPORTED",
        "method: this library does not send it, or not with what the request holds";
    HeaderName = -142, "VALTRON_E_HEADER_NAME", "headers: a name is not a token (RFC 9110 section 5.1)";
    HeaderValue = -143, "VALTRON_E_HEADER_VALUE",
        "headers: a value holds CR, LF, NUL or another control character (RFC 9110 section 5.5)";
    HeaderForbidden = -144, "VALTRON_E_HEADER_FORBIDDEN",
        "headers: a framing or connection header that the library must set itself";
    HeaderTooMany = -145, "VALTRON_E_HEADER_TOO_MANY", "headers: too many, or too large together";
    Unsupported = -150, "VALTRON_E_UNSUPPORTED", "config: a reserved field is set";
    Busy = -160, "VALTRON_E_BUSY", "busy: another thread is driving";
    TooLate = -161, "VALTRON_E_TOO_LATE", "too late: only before any other call";
    NoHead = -162, "VALTRON_E_NO_HEAD", "head: that head is not there, or not yet";
    NoSpawn = -163, "VALTRON_E_NO_SPAWN", "spawn_id: no such question waits for an answer";
    NotConsumed = -164, "VALTRON_E_NOT_CONSUMED", "len: more than is there to consume";
    CaPem = -170, "VALTRON_E_CA_PEM", "ca_pem: holds no valid certificate";
    Decision = -171, "VALTRON_E_DECISION",
        "decision: not possible for this question, or no place for the job was given";
    WouldBlock = -180, "VALTRON_E_WOULD_BLOCK", "nothing yet";
    Interrupted = -181, "VALTRON_E_INTERRUPTED", "a signal ended the wait";
    WaitTimeout = -182, "VALTRON_E_WAIT_TIMEOUT", "timeout_ms is over; the request lives on";
    NoMemory = -201, "VALTRON_E_NO_MEMORY", "out of memory";
    NoDescriptors = -202, "VALTRON_E_NO_DESCRIPTORS", "out of descriptors or local ports";
    System = -203, "VALTRON_E_SYSTEM", "the operating system refused; see os_errno";
    Forked = -204, "VALTRON_E_FORKED", "this client belongs to the parent process; free it and make another";
    TooManyRequests = -205, "VALTRON_E_TOO_MANY_REQUESTS", "requests_max requests exist already";
    NoThread = -206, "VALTRON_E_NO_THREAD", "a thread could not be started";
    NameNotFound = -220, "VALTRON_E_NAME_NOT_FOUND", "the host name does not exist or has no address";
    NameFailed = -221, "VALTRON_E_NAME_FAILED", "the look-up of the host name failed";
    NoResolver = -222, "VALTRON_E_NO_RESOLVER", "no resolver thread is free and nobody took the look-up";
    ConnectRefused = -230, "VALTRON_E_CONNECT_REFUSED", "connection refused";
    ConnectUnreachable = -231, "VALTRON_E_CONNECT_UNREACHABLE", "host or network unreachable";
    ConnectTimedOut = -232, "VALTRON_E_CONNECT_TIMED_OUT", "the operating system gave up connecting";
    ConnectFailed = -233, "VALTRON_E_CONNECT_FAILED", "could not connect; see os_errno";
    ConnectionLost = -240, "VALTRON_E_CONNECTION_LOST",
        "the connection was closed or reset before the response was complete";
    HeadMalformed = -301, "VALTRON_E_HEAD_MALFORMED", "the response head is malformed";
    NotHttp = -302, "VALTRON_E_NOT_HTTP", "the peer does not speak HTTP/1";
    HeadTooLarge = -303, "VALTRON_E_HEAD_TOO_LARGE", "the response head is larger than head_bytes_max";
    TooManyHeaders = -304, "VALTRON_E_TOO_MANY_HEADERS", "the response has more header lines than headers_max";
    ChunkMalformed = -305, "VALTRON_E_CHUNK_MALFORMED", "the chunked body is malformed";
    ChunkTooLarge = -306, "VALTRON_E_CHUNK_TOO_LARGE", "chunk extensions or trailers are over their limit";
    LengthMalformed = -307, "VALTRON_E_LENGTH_MALFORMED", "the Content-Length is malformed";
    TlsOnPlainPort = -308, "VALTRON_E_TLS_ON_PLAIN_PORT", "the peer speaks TLS; use https";
    BodyTruncated = -401, "VALTRON_E_BODY_TRUNCATED", "the body ended early";
    FramingConflict = -402, "VALTRON_E_FRAMING_CONFLICT",
        "the response's framing headers contradict each other (RFC 9112 section 6.3)";
    TooManyInterim = -403, "VALTRON_E_TOO_MANY_INTERIM", "more interim responses than interim_max";
    UnaskedUpgrade = -404, "VALTRON_E_UNASKED_UPGRADE", "the peer switched protocols, and nobody asked";
    TooManyRedirects = -405, "VALTRON_E_TOO_MANY_REDIRECTS", "more redirects than redirects_max";
    BadRedirect = -406, "VALTRON_E_BAD_REDIRECT", "the redirect's target is not usable";
    InsecureRedirect = -407, "VALTRON_E_INSECURE_REDIRECT", "redirect from https to http, which is not allowed";
    TlsExpired = -501, "VALTRON_E_TLS_EXPIRED", "the certificate has expired";
    TlsNotYetValid = -502, "VALTRON_E_TLS_NOT_YET_VALID", "the certificate is not valid yet";
    TlsWrongHost = -503, "VALTRON_E_TLS_WRONG_HOST", "the certificate is for another host";
    TlsUnknownCa = -504, "VALTRON_E_TLS_UNKNOWN_CA", "the certificate's issuer is not trusted";
    TlsSelfSigned = -505, "VALTRON_E_TLS_SELF_SIGNED", "the certificate is self-signed and not trusted";
    TlsCertificate = -506, "VALTRON_E_TLS_CERTIFICATE", "the certificate is not acceptable";
    TlsNotTls = -507, "VALTRON_E_TLS_NOT_TLS", "the peer does not speak TLS on this port";
    TlsAlert = -508, "VALTRON_E_TLS_ALERT", "the peer refused the TLS handshake with an alert";
    TlsIncompatible = -509, "VALTRON_E_TLS_INCOMPATIBLE", "no common TLS version, cipher or protocol";
    TlsPeer = -510, "VALTRON_E_TLS_PEER", "the peer broke the TLS protocol";
    TlsClosed = -511, "VALTRON_E_TLS_CLOSED", "the peer hung up during the TLS handshake";
    TlsUnavailable = -512, "VALTRON_E_TLS_UNAVAILABLE", "this build has no TLS";
    TimeoutQueue = -601, "VALTRON_E_TIMEOUT_QUEUE", "timed out waiting for a free connection";
    TimeoutResolve = -602, "VALTRON_E_TIMEOUT_RESOLVE", "timed out looking up the host name";
    TimeoutConnect = -603, "VALTRON_E_TIMEOUT_CONNECT", "timed out connecting";
    TimeoutTls = -604, "VALTRON_E_TIMEOUT_TLS", "timed out in the TLS handshake";
    TimeoutSend = -605, "VALTRON_E_TIMEOUT_SEND", "timed out sending the request: no progress";
    TimeoutFirstByte = -606, "VALTRON_E_TIMEOUT_FIRST_BYTE", "timed out waiting for the response's head";
    TimeoutIdle = -607, "VALTRON_E_TIMEOUT_IDLE", "timed out reading the body: no progress";
    TimeoutTotal = -608, "VALTRON_E_TIMEOUT_TOTAL", "the request's total time is over";
    Cancelled = -701, "VALTRON_E_CANCELLED", "cancelled";
    Denied = -702, "VALTRON_E_DENIED", "the host denied an action that the request needs";
    Shutdown = -703, "VALTRON_E_SHUTDOWN", "the client was shut down";
    JobAlreadyRun = -720, "VALTRON_E_JOB_ALREADY_RUN", "job: was run already";
    JobExpired = -721, "VALTRON_E_JOB_EXPIRED", "job: came too late; the library did the work";
    JobCancelled = -722, "VALTRON_E_JOB_CANCELLED", "job: its request or client is gone";
    Internal = -901, "VALTRON_E_INTERNAL", "a bug in the library; the request is over";
    Poisoned = -902, "VALTRON_E_POISONED",
        "a bug in the library; this client only answers next_events, shutdown and free";
}
