"""Everything the package raises: one tree with two ancestries.

The names are those of httpx (``HTTPError`` is the root, ``TransportError``, ``TimeoutException``, ...) and, beside them, those of
requests (``RequestException``, ``ConnectionError``, ``Timeout``, ``InvalidSchema``, ...), so that ``except`` clauses written for
either keep working. Each error knows ``request``, ``status`` (the library's code), ``status_name``, ``phase`` ("queue",
"resolve", "connect", "tls", "send", "first byte", "body", "redirect" or None), ``host`` and ``elapsed`` (seconds), and
pickles.
"""

from __future__ import annotations

import builtins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ._models import Request
    from ._response import Response

__all__ = [
    "BadRedirect",
    "BodyTruncated",
    "Busy",
    "Cancelled",
    "CertificateError",
    "ChunkedEncodingError",
    "ClientClosed",
    "CloseError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionError",
    "ConnectionLost",
    "ContentDecodingError",
    "DecodingError",
    "Denied",
    "Forked",
    "HTTPError",
    "HTTPStatusError",
    "InsecureRedirect",
    "InternalError",
    "InvalidArgument",
    "InvalidCA",
    "InvalidHeader",
    "InvalidMethod",
    "InvalidSchema",
    "InvalidURL",
    "JobError",
    "LocalProtocolError",
    "MissingSchema",
    "NetworkError",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "RequestError",
    "RequestException",
    "ResolveError",
    "ResolveTimeout",
    "ResourceExhausted",
    "ResponseNotRead",
    "SSLError",
    "StreamClosed",
    "StreamConsumed",
    "StreamError",
    "TLSTimeout",
    "TimeoutException",
    "TooManyRedirects",
    "TotalTimeout",
    "TransportError",
    "UnsupportedProtocol",
    "WriteError",
    "WriteTimeout",
]


def _rebuild(kind: type[HTTPError], message: str, state: dict[str, Any]) -> HTTPError:
    error = kind(message)
    error.__dict__.update(state)
    return error


class HTTPError(OSError):
    """The root. ``RequestException`` is the same class."""

    request: Request | None = None
    response: Response | None = None
    status = 0
    status_name = ""
    phase: str | None = None
    host = ""
    elapsed: float | None = None
    argument: str | None = None
    os_errno = 0
    tls_alert = -1
    received: int | None = None
    expected: int | None = None

    def __init__(self, message: str = "", *, request: Request | None = None, response: Response | None = None) -> None:
        super().__init__(message)
        self.message = message
        if request is not None:
            self.request = request
        if response is not None:
            self.response = response
            if request is None:
                self.request = response.request

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))


class HTTPStatusError(HTTPError):
    """``raise_for_status`` of a 4xx or 5xx; ``response`` is set."""


class RequestError(HTTPError):
    """No response came of it, or not all of one."""


class TransportError(RequestError):
    pass


class TimeoutException(TransportError, builtins.TimeoutError):
    """A limit of ``Timeout`` was reached; ``phase`` says where."""


class TotalTimeout(TimeoutException):
    """``Timeout(total=...)``: the limit for everything, redirects included."""


class PoolTimeout(TimeoutException):
    pass


class ReadTimeout(TimeoutException):
    pass


class WriteTimeout(TimeoutException):
    pass


class NetworkError(TransportError, builtins.ConnectionError):
    """``ConnectionError`` of requests is the same class."""


class ConnectError(NetworkError):
    pass


class ResolveError(ConnectError):
    """The name has no address, or the look-up failed."""


class ConnectTimeout(ConnectError, TimeoutException):
    pass


class ResolveTimeout(ConnectTimeout):
    pass


class TLSTimeout(ConnectTimeout):
    pass


class SSLError(ConnectError):
    """The TLS handshake or session failed."""


class CertificateError(SSLError):
    """The server's certificate is not to be trusted; the message says why."""


class InvalidCA(SSLError, ValueError):
    """``verify=`` holds no usable certificates."""


class ProxyError(ConnectError):
    pass


class ReadError(NetworkError):
    pass


class WriteError(NetworkError):
    pass


class CloseError(NetworkError):
    pass


class ProtocolError(TransportError):
    pass


class LocalProtocolError(ProtocolError):
    pass


class InvalidMethod(LocalProtocolError, ValueError):
    pass


class InvalidHeader(LocalProtocolError, ValueError):
    """A name that is no token, a value with CR, LF or NUL, a framing header that contradicts the body."""


class RemoteProtocolError(ProtocolError):
    pass


class ConnectionLost(ReadError, RemoteProtocolError):
    """The connection was closed or reset before the response's head was complete."""


class ChunkedEncodingError(RemoteProtocolError):
    pass


class BodyTruncated(ChunkedEncodingError, ReadError):
    """The body ended early: ``received`` of ``expected`` bytes came (None: unknown)."""


class UnsupportedProtocol(TransportError, ValueError):
    """``InvalidSchema`` and ``MissingSchema`` of requests are the same class."""


class InvalidURL(RequestError, ValueError):
    pass


class InvalidArgument(RequestError, ValueError):
    pass


class TooManyRedirects(RequestError):
    pass


class BadRedirect(RemoteProtocolError):
    """The response redirects to something that is no usable URL."""


class InsecureRedirect(BadRedirect):
    """From https to http, which was not allowed."""


class Cancelled(RequestError):
    """The response was closed while another thread read it."""


class Forked(RequestError, RuntimeError):
    """The response belongs to the parent process; a child makes requests of its own."""


class Denied(RequestError):
    """The ``on_spawn`` hook refused."""


class ClientClosed(RequestError, RuntimeError):
    pass


class Busy(RequestError):
    """Another thread reads this very response."""


class ResourceExhausted(RequestError):
    """No memory, descriptors, threads or request slots."""


class InternalError(RequestError):
    """A bug of the library or of this package. Please report it."""


class JobError(HTTPError):
    """``Job.run``: the job was already run, has expired, or its request was cancelled; see ``status_name``."""


class DecodingError(RequestError):
    pass


class StreamError(RuntimeError):
    pass


class StreamConsumed(StreamError):
    def __init__(self, message: str = "the body was already iterated over and is not kept") -> None:
        super().__init__(message)


class StreamClosed(StreamError):
    def __init__(self, message: str = "the response is closed") -> None:
        super().__init__(message)


class ResponseNotRead(StreamError):
    def __init__(self, message: str = "a streamed response: call read() or iterate first") -> None:
        super().__init__(message)


# The names of requests.
RequestException = HTTPError
ConnectionError = NetworkError
Timeout = TimeoutException
InvalidSchema = MissingSchema = UnsupportedProtocol
ContentDecodingError = DecodingError
StreamConsumedError = StreamConsumed


def __getattr__(name: str) -> Any:
    if name == "JSONDecodeError":
        return _json_error()
    raise AttributeError(name)


def _json_error() -> Any:
    """Made when it is first asked for: few programs want it, and ``json`` takes its time to load."""
    import json

    class JSONDecodeError(DecodingError, json.JSONDecodeError):
        """``Response.json``: the body is no JSON. Both a ``RequestException`` and ``json.JSONDecodeError``."""

        def __init__(self, msg: str, doc: str = "", pos: int = 0, *, response: Response | None = None) -> None:
            plain = json.JSONDecodeError(msg, doc, pos)
            DecodingError.__init__(self, str(plain), response=response)
            self.__dict__.update(plain.__dict__)

    JSONDecodeError.__qualname__ = "JSONDecodeError"
    globals()["JSONDecodeError"] = JSONDecodeError
    return JSONDecodeError


# Every code of the header: name without VALTRON_E_, class, phase where the code alone tells it.
TABLE: dict[int, tuple[str, type[HTTPError], str | None]] = {
    -101: ("NULL_CLIENT", InternalError, None),
    -102: ("NULL_CONFIG", InternalError, None),
    -103: ("NULL_OUTPUT", InternalError, None),
    -104: ("NULL_BUFFER", InternalError, None),
    -105: ("NULL_CALLBACK", InternalError, None),
    -106: ("NULL_JOB", InternalError, None),
    -110: ("STRUCT_SIZE", InternalError, None),
    -111: ("ENUM_RANGE", InternalError, None),
    -112: ("LIMIT_RANGE", InvalidArgument, None),
    -113: ("STRIDE", InternalError, None),
    -120: ("HANDLE", InternalError, None),
    -121: ("HANDLE_STALE", Cancelled, None),
    -122: ("HANDLE_FOREIGN", InternalError, None),
    -130: ("URL_EMPTY", InvalidURL, None),
    -131: ("URL_NOT_UTF8", InvalidURL, None),
    -132: ("URL_SYNTAX", InvalidURL, None),
    -133: ("URL_RELATIVE", UnsupportedProtocol, None),
    -134: ("URL_SCHEME", UnsupportedProtocol, None),
    -135: ("URL_HOST", InvalidURL, None),
    -136: ("URL_PORT", InvalidURL, None),
    -137: ("URL_TOO_LONG", InvalidURL, None),
    -138: ("URL_CREDENTIALS", InvalidURL, None),
    -140: ("METHOD", InvalidMethod, None),
    -141: ("METHOD_UNSUPPORTED", InvalidMethod, None),
    -142: ("HEADER_NAME", InvalidHeader, None),
    -143: ("HEADER_VALUE", InvalidHeader, None),
    -144: ("HEADER_FORBIDDEN", InvalidHeader, None),
    -145: ("HEADER_TOO_MANY", InvalidHeader, None),
    -150: ("UNSUPPORTED", InvalidArgument, None),
    -160: ("BUSY", Busy, None),
    -161: ("TOO_LATE", InternalError, None),
    -162: ("NO_HEAD", InternalError, None),
    -163: ("NO_SPAWN", InternalError, None),
    -164: ("NOT_CONSUMED", InternalError, None),
    -170: ("CA_PEM", InvalidCA, None),
    -171: ("DECISION", InternalError, None),
    -180: ("WOULD_BLOCK", InternalError, None),
    -181: ("INTERRUPTED", InternalError, None),
    -182: ("WAIT_TIMEOUT", TimeoutException, None),
    -201: ("NO_MEMORY", ResourceExhausted, None),
    -202: ("NO_DESCRIPTORS", ResourceExhausted, None),
    -203: ("SYSTEM", TransportError, None),
    -204: ("FORKED", Forked, None),
    -205: ("TOO_MANY_REQUESTS", ResourceExhausted, None),
    -206: ("NO_THREAD", ResourceExhausted, None),
    -220: ("NAME_NOT_FOUND", ResolveError, "resolve"),
    -221: ("NAME_FAILED", ResolveError, "resolve"),
    -222: ("NO_RESOLVER", ResolveError, "resolve"),
    -230: ("CONNECT_REFUSED", ConnectError, "connect"),
    -231: ("CONNECT_UNREACHABLE", ConnectError, "connect"),
    -232: ("CONNECT_TIMED_OUT", ConnectTimeout, "connect"),
    -233: ("CONNECT_FAILED", ConnectError, "connect"),
    -240: ("CONNECTION_LOST", ConnectionLost, None),
    -301: ("HEAD_MALFORMED", RemoteProtocolError, "first byte"),
    -302: ("NOT_HTTP", RemoteProtocolError, "first byte"),
    -303: ("HEAD_TOO_LARGE", RemoteProtocolError, "first byte"),
    -304: ("TOO_MANY_HEADERS", RemoteProtocolError, "first byte"),
    -305: ("CHUNK_MALFORMED", ChunkedEncodingError, "body"),
    -306: ("CHUNK_TOO_LARGE", ChunkedEncodingError, "body"),
    -307: ("LENGTH_MALFORMED", RemoteProtocolError, "first byte"),
    -308: ("TLS_ON_PLAIN_PORT", RemoteProtocolError, "first byte"),
    -401: ("BODY_TRUNCATED", BodyTruncated, "body"),
    -402: ("FRAMING_CONFLICT", RemoteProtocolError, "first byte"),
    -403: ("TOO_MANY_INTERIM", RemoteProtocolError, "first byte"),
    -404: ("UNASKED_UPGRADE", RemoteProtocolError, "first byte"),
    -405: ("TOO_MANY_REDIRECTS", TooManyRedirects, "redirect"),
    -406: ("BAD_REDIRECT", BadRedirect, "redirect"),
    -407: ("INSECURE_REDIRECT", InsecureRedirect, "redirect"),
    -501: ("TLS_EXPIRED", CertificateError, "tls"),
    -502: ("TLS_NOT_YET_VALID", CertificateError, "tls"),
    -503: ("TLS_WRONG_HOST", CertificateError, "tls"),
    -504: ("TLS_UNKNOWN_CA", CertificateError, "tls"),
    -505: ("TLS_SELF_SIGNED", CertificateError, "tls"),
    -506: ("TLS_CERTIFICATE", CertificateError, "tls"),
    -507: ("TLS_NOT_TLS", SSLError, "tls"),
    -508: ("TLS_ALERT", SSLError, "tls"),
    -509: ("TLS_INCOMPATIBLE", SSLError, "tls"),
    -510: ("TLS_PEER", SSLError, "tls"),
    -511: ("TLS_CLOSED", SSLError, "tls"),
    -512: ("TLS_UNAVAILABLE", SSLError, "tls"),
    -601: ("TIMEOUT_QUEUE", PoolTimeout, "queue"),
    -602: ("TIMEOUT_RESOLVE", ResolveTimeout, "resolve"),
    -603: ("TIMEOUT_CONNECT", ConnectTimeout, "connect"),
    -604: ("TIMEOUT_TLS", TLSTimeout, "tls"),
    -605: ("TIMEOUT_SEND", WriteTimeout, "send"),
    -606: ("TIMEOUT_FIRST_BYTE", ReadTimeout, "first byte"),
    -607: ("TIMEOUT_IDLE", ReadTimeout, "body"),
    -608: ("TIMEOUT_TOTAL", TotalTimeout, None),
    -701: ("CANCELLED", Cancelled, None),
    -702: ("DENIED", Denied, None),
    -703: ("SHUTDOWN", ClientClosed, None),
    -720: ("JOB_ALREADY_RUN", JobError, None),
    -721: ("JOB_EXPIRED", JobError, None),
    -722: ("JOB_CANCELLED", JobError, None),
    -901: ("INTERNAL", InternalError, None),
    -902: ("POISONED", InternalError, None),
}

# A code of a later library, by its hundred.
_GROUPS: dict[int, type[HTTPError]] = {
    1: InvalidArgument,
    2: NetworkError,
    3: RemoteProtocolError,
    4: RemoteProtocolError,
    5: SSLError,
    6: TimeoutException,
    7: Cancelled,
    9: InternalError,
}


def kind_of(status: int) -> type[HTTPError]:
    """The class for a code, also for one this package does not know."""
    known = TABLE.get(status)
    return known[1] if known else _GROUPS.get(-status // 100, RequestError)
