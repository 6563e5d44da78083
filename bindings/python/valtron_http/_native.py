"""The shared library: found, checked, its structs and prototypes.

Nothing here knows HTTP. The structs mirror ``include/valtron_http.h`` field by field; ctypes computes their sizes and the library
checks them at each call. Prototypes are set once, at import, under the import lock.
"""

from __future__ import annotations

import os
import sys
from ctypes import (
    CDLL,
    CFUNCTYPE,
    POINTER,
    PyDLL,
    Structure,
    c_char,
    c_char_p,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
    sizeof,
)

ABI_VERSION = 1
VERSION = "0.1.0"

# Values of the header that the package uses.
E_BUSY, E_NO_HEAD, E_FORKED, E_CANCELLED = -160, -162, -204, -701
E_WOULD_BLOCK, E_INTERRUPTED, E_WAIT_TIMEOUT = -180, -181, -182
UNTIL_DONE, UNTIL_HEAD, UNTIL_BODY = 0, 1, 2
HEAD_FINAL, HEAD_TRAILERS, HEAD_INTERIM, HEAD_HOP = 0, 1, 0x10000, 0x20000
EVENT_TRAILERS = 64
SPAWN_REDIRECT, SPAWN_TLS_UPGRADE, SPAWN_RESOLVE = 1, 2, 4
DECISION_RUN, DECISION_DENY, DECISION_TAKE = 0, 1, 2
TRUST_BUNDLED, TRUST_SYSTEM, TRUST_PEM_ONLY = 0, 1, 2
STATES = (
    "Init",
    "Connecting",
    "TlsHandshake",
    "SendingRequest",
    "ReceivingIntro",
    "ReceivingHeaders",
    "ReceivingBody",
    "AwaitingRedirect",
    "Done",
    "Error",
)
PHASES = (None, "queue", "resolve", "connect", "tls", "send", "first byte", "body", "redirect")
ARGUMENTS = (
    None,
    "client",
    "config",
    "url",
    "method",
    "headers",
    "body",
    "timeout",
    "limit",
    "enum",
    "output",
    "handle",
    "reserved",
    "ca_pem",
    "user_agent",
)


class ErrorDetail(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("status", c_int32),
        ("phase", c_int32),
        ("argument", c_int32),
        ("argument_index", c_int32),
        ("os_errno", c_int32),
        ("tls_alert", c_int32),
        ("received", c_uint64),
        ("expected", c_uint64),
        ("text_len", c_size_t),
        ("text", c_char * 256),
    ]


class SpawnQuestion(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("spawn_id", c_uint64),
        ("request", c_uint64),
        ("user_data", c_void_p),
        ("kind", c_int32),
        ("step", c_uint32),
        ("http_status", c_int32),
        ("port", c_uint32),
        ("text", c_void_p),
        ("text_len", c_size_t),
    ]


SpawnCallback = CFUNCTYPE(c_int32, c_void_p, POINTER(SpawnQuestion), POINTER(c_void_p))


class ClientConfig(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("worker_threads", c_int32),
        ("spawn_ask", c_uint32),
        ("spawn_callback", SpawnCallback),
        ("spawn_user", c_void_p),
        ("spawn_timeout_ms", c_int64),
        ("job_timeout_ms", c_int64),
        ("trust", c_int32),
        ("tls_verify_off", c_int32),
        ("ca_pem", c_char_p),
        ("ca_pem_len", c_size_t),
        ("resolver_threads", c_int32),
        ("requests_max", c_int32),
        ("connections_max", c_int32),
        ("connections_per_origin_max", c_int32),
        ("idle_connections_max", c_int32),
        ("idle_timeout_ms", c_int64),
        ("user_agent", c_char_p),
        ("user_agent_len", c_size_t),
        ("error", POINTER(ErrorDetail)),
    ]


class HeaderLine(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("name_len", c_size_t),
        ("value", c_char_p),
        ("value_len", c_size_t),
    ]


class RequestConfig(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("user_data", c_void_p),
        ("method", c_char_p),
        ("method_len", c_size_t),
        ("url", c_char_p),
        ("url_len", c_size_t),
        ("headers", POINTER(HeaderLine)),
        ("headers_count", c_size_t),
        ("headers_stride", c_size_t),
        ("body", c_char_p),
        ("body_len", c_size_t),
        ("body_release", c_void_p),
        ("body_release_user", c_void_p),
        ("priority", c_int32),
        ("idempotent", c_int32),
        ("redirects_max", c_int32),
        ("redirect_downgrade_allowed", c_int32),
        ("queue_timeout_ms", c_int64),
        ("resolve_timeout_ms", c_int64),
        ("connect_timeout_ms", c_int64),
        ("tls_timeout_ms", c_int64),
        ("send_timeout_ms", c_int64),
        ("first_byte_timeout_ms", c_int64),
        ("idle_timeout_ms", c_int64),
        ("total_timeout_ms", c_int64),
        ("head_bytes_max", c_int32),
        ("headers_max", c_int32),
        ("interim_max", c_int32),
        ("body_buffer_bytes", c_int64),
        ("upgrade", c_char_p),
        ("upgrade_len", c_size_t),
        ("error", POINTER(ErrorDetail)),
    ]


class RequestInfo(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("user_data", c_void_p),
        ("state", c_int32),
        ("status", c_int32),
        ("http_status", c_int32),
        ("flags", c_uint32),
        ("terminal", c_int32),
        ("hops", c_uint32),
        ("interim_count", c_uint32),
        ("http_minor", c_int32),
        ("connection_reused", c_int32),
        ("tls_resumed", c_int32),
        ("body_received", c_uint64),
        ("body_buffered", c_uint64),
        ("body_sent", c_uint64),
        ("body_total", c_int64),
        ("task_polls", c_uint64),
        ("time_queued_us", c_int64),
        ("time_resolved_us", c_int64),
        ("time_connected_us", c_int64),
        ("time_tls_us", c_int64),
        ("time_sent_us", c_int64),
        ("time_first_byte_us", c_int64),
        ("time_head_us", c_int64),
        ("time_done_us", c_int64),
    ]


class Head(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("http_status", c_int32),
        ("http_minor", c_int32),
        ("bytes", c_void_p),
        ("bytes_len", c_size_t),
        ("fields", c_void_p),
        ("fields_count", c_size_t),
        ("field_stride", c_size_t),
        ("url", c_void_p),
        ("url_len", c_size_t),
        ("reason_offset", c_uint32),
        ("reason_len", c_uint32),
    ]


class TraceEntry(Structure):
    _fields_ = [("at_us", c_int64), ("state", c_int32), ("hop", c_uint32)]


class Stats(Structure):
    _fields_ = [("struct_size", c_size_t)] + [
        (name, c_uint64)
        for name in (
            "task_polls turns wakes empty_waits hitches connections_opened connections_reused lookups_started "
            "lookups_abandoned jobs_taken jobs_expired requests_created requests_live events_lost longest_poll_us"
        ).split()
    ]


class Hitches(Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("polls", c_uint64),
        ("longest_poll_ns", c_uint64),
        ("poll_counts", c_uint64 * 16),
        ("longest_step_ns", c_uint64),
        ("longest_step_kind", c_int32),
        ("reserved", c_int32),
    ]


# By number: VALTRON_STEP_.
STEP_KINDS = "none start resolve tls_start tls_handshake send head body redirect idle".split()


def library_name() -> str:
    if sys.platform == "win32":
        return "valtron_http.dll"
    return "libvaltron_http.dylib" if sys.platform == "darwin" else "libvaltron_http.so"


def candidates() -> list[str]:
    """Where the library may be, in the order looked at. The environment variable, if set, is the only place.

    Of a tree's two builds the newer one comes first: it is the one that its source was just tried with.
    """
    named = os.environ.get("VALTRON_HTTP_LIB")
    if named:
        return [named]
    name = library_name()
    here = os.path.dirname(os.path.abspath(__file__))
    places = [os.path.join(here, "_native", name)]
    above = here
    while os.path.dirname(above) != above:
        above = os.path.dirname(above)
        if os.path.exists(os.path.join(above, "Cargo.toml")):
            built = [os.path.join(above, "target", kind, name) for kind in ("release", "debug")]
            places += sorted(built, key=_modified, reverse=True)
    return places


def _modified(place: str) -> float:
    try:
        return os.path.getmtime(place)
    except OSError:
        return 0.0


def find() -> str:
    places = candidates()
    for place in places:
        if os.path.exists(place):
            return place
    raise ImportError(
        "valtron_http: the shared library was not found. Looked at: "
        + ", ".join(places)
        + ". Build it with `cargo build --release`, or name it in the environment variable VALTRON_HTTP_LIB."
    )


def load(path: str) -> tuple[CDLL, PyDLL]:
    """The library twice: calls through the first release the GIL, calls through the second (short ones) keep it."""
    try:
        lib = CDLL(path)
    except OSError as error:
        raise ImportError(f"valtron_http: {path} cannot be loaded: {error}") from error
    try:
        lib.valtron_abi_version.restype = c_uint32
        lib.valtron_abi_version.argtypes = []
        lib.valtron_version.restype = c_char_p
        lib.valtron_version.argtypes = []
    except AttributeError as error:
        raise ImportError(f"valtron_http: {path} is no valtron_http library: {error}") from error
    abi = lib.valtron_abi_version()
    version = (lib.valtron_version() or b"").decode("ascii", "replace")
    if abi != ABI_VERSION or version != VERSION:
        raise ImportError(
            f"valtron_http: {path} is version {version} (ABI {abi}); "
            f"this package wants version {VERSION} (ABI {ABI_VERSION}). Rebuild the library or set VALTRON_HTTP_LIB."
        )
    return lib, PyDLL(path)


_client, _request, _job = c_void_p, c_uint64, c_void_p
_handle_out = POINTER(c_uint64)
_info_out = POINTER(RequestInfo)

# name: (keeps the GIL, result, arguments)
_PROTOTYPES = {
    "features": (True, c_uint64, []),
    "status_name": (True, c_char_p, [c_int32]),
    "status_message": (True, c_char_p, [c_int32]),
    "state_name": (True, c_char_p, [c_int32]),
    "client_create": (False, c_int32, [POINTER(ClientConfig), POINTER(c_void_p)]),
    "client_stats": (False, c_int32, [_client, POINTER(Stats)]),
    "client_hitches": (False, c_int32, [_client, c_int32, POINTER(Hitches)]),
    "client_shutdown": (False, c_int32, [_client, c_int32]),
    "client_free": (False, None, [_client]),
    "client_perform": (
        False,
        c_int32,
        [_client, POINTER(RequestConfig), c_uint32, c_int32, _handle_out, _info_out],
    ),
    "request_wait": (False, c_int32, [_client, _request, c_uint32, c_int32, _info_out]),
    "request_poll": (False, c_int32, [_client, _request, c_uint64, _info_out]),
    "request_head": (True, c_int32, [_client, _request, c_int32, POINTER(Head)]),
    "request_url": (True, c_int32, [_client, _request, POINTER(c_void_p), POINTER(c_size_t)]),
    "request_read": (False, c_int32, [_client, _request, c_void_p, c_size_t, POINTER(c_size_t)]),
    "request_peek": (True, c_int32, [_client, _request, POINTER(c_void_p), POINTER(c_size_t)]),
    "request_error": (True, c_int32, [_client, _request, POINTER(ErrorDetail)]),
    "request_trace": (
        True,
        c_int32,
        [_client, _request, c_void_p, c_size_t, c_size_t, POINTER(c_size_t)],
    ),
    "request_cancel": (True, c_int32, [_client, _request]),
    "request_free": (True, None, [_client, _request]),
    "job_run": (False, c_int32, [_job]),
    "job_free": (False, None, [_job]),
}

path = find()
_released, _held = load(path)
for _name, (_keeps, _result, _arguments) in _PROTOTYPES.items():
    try:
        _function = getattr(_held if _keeps else _released, "valtron_" + _name)
    except AttributeError as _error:
        raise ImportError(f"valtron_http: {path} lacks valtron_{_name}") from _error
    _function.restype = _result
    _function.argtypes = _arguments
    globals()[_name] = _function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    def __getattr__(name: str) -> Any: ...


# How many forks ago the process was another. What belongs to the parent is not touched in a child.
generation = 0

ERROR_DETAIL_SIZE = sizeof(ErrorDetail)
REQUEST_INFO_SIZE = sizeof(RequestInfo)
HEAD_SIZE = sizeof(Head)
TRACE_ENTRY_SIZE = sizeof(TraceEntry)
