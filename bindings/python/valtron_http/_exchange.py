"""One request in the native library: started, waited for, read, freed.

A wait runs on the calling thread without the GIL. On the main thread it comes back in slices, because a signal that lands just
before the native wait begins would otherwise be noticed only at its end; a signal during the wait ends it at once.
"""

from __future__ import annotations

import sys
from _thread import RLock, get_ident
from ctypes import addressof, byref, c_char, c_size_t, c_uint64, c_void_p, string_at
from struct import iter_unpack
from time import monotonic

from . import _native
from ._models import Progress, Request, Step, authority_of
from .exceptions import TABLE, Busy, HTTPError, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ._client import NativeClient

SLICE_MS = 200
PROGRESS_SLICE_MS = 20
READ_BYTES = 256 * 1024
TRACE_MAX = 512

# The bytes of a fresh info; copying them is cheaper than setting the size.
_INFO = bytes(_native.RequestInfo(struct_size=_native.REQUEST_INFO_SIZE))
_HEAD = bytes(_native.Head(struct_size=_native.HEAD_SIZE))
_new_info = _native.RequestInfo.from_buffer_copy
_new_head = _native.Head.from_buffer_copy

_perform = _native.client_perform
_wait = _native.request_wait
_free = _native.request_free

main_thread = get_ident()
if "threading" in sys.modules:
    main_thread = sys.modules["threading"].main_thread().ident


class RawHead:
    """A head copied out of the library, not yet parsed."""

    __slots__ = ("status", "minor", "raw", "fields", "stride", "url", "reason_offset", "reason_len")

    def __init__(self, head: Any) -> None:
        self.status: int = head.http_status
        self.minor: int = head.http_minor
        self.raw: bytes = string_at(head.bytes, head.bytes_len) if head.bytes_len else b""
        self.stride: int = head.field_stride
        count = head.fields_count
        self.fields: bytes = string_at(head.fields, count * self.stride) if count else b""
        self.url: bytes = string_at(head.url, head.url_len) if head.url_len else b""
        self.reason_offset: int = head.reason_offset
        self.reason_len: int = head.reason_len

    def pairs(self) -> list[tuple[bytes, bytes]]:
        raw = self.raw
        padding = f"{self.stride - 16}x" if self.stride > 16 else ""
        return [(raw[n : n + nl], raw[v : v + vl]) for n, nl, v, vl in iter_unpack("=IIII" + padding, self.fields)]

    def reason(self) -> str:
        return self.raw[self.reason_offset : self.reason_offset + self.reason_len].decode("latin-1")


class Exchange:
    """Owns one native request; ``close`` frees it, and so does the garbage collector.

    Any thread may close it at any time. What the library points to is copied under a lock; a close that comes meanwhile waits for
    nobody (a signal handler may be its caller) but leaves the freeing to the thread that copies.
    """

    __slots__ = (
        "native",
        "handle",
        "info",
        "request",
        "started",
        "on_progress",
        "closing",
        "_lock",
        "_copying",
        "_seen",
        "_next",
    )

    def __init__(self, native: NativeClient, request: Request, on_progress: Callable[[Progress], object] | None) -> None:
        self.native = native
        self.request = request
        self.handle = c_uint64()
        self.info = _new_info(_INFO)
        self.started = 0.0
        self.on_progress = on_progress
        self.closing = False
        self._lock = RLock()
        self._copying = 0
        self._seen = 0
        self._next = 0.0

    # Starting and waiting.

    def perform(self, config: Any, until: int) -> None:
        """Creates the request and waits. The handle is written as soon as the request exists, also when this raises."""
        self.started = monotonic()
        native = self.native
        timeout = self._slice()
        status = _perform(native.pointer, byref(config), until, timeout, byref(self.handle), byref(self.info))
        if native.errors:
            self._raise_hook_error()
        if status == 0:
            if self.on_progress is not None:
                self._report()
            return
        if status == _native.E_INTERRUPTED or status == _native.E_WAIT_TIMEOUT:
            if self.on_progress is not None:
                self._report()
            self.wait(until)
            return
        detail = None
        if config.error:
            detail = config.error.contents
        raise self._error(status, detail)

    def wait(self, until: int) -> None:
        """Drives until *until* or the end. Between slices and after a signal Python's own handlers run."""
        pointer_, handle, info = self.native.pointer, self.handle.value, byref(self.info)
        timeout = self._slice()
        while True:
            status = _wait(pointer_, handle, until, timeout, info)
            if self.native.errors:
                self._raise_hook_error()
            if self.on_progress is not None:
                self._report()
            if status == 0:
                return
            if status != _native.E_INTERRUPTED and status != _native.E_WAIT_TIMEOUT:
                raise self._error(status, None)

    def _slice(self) -> int:
        if self.on_progress is not None:
            return PROGRESS_SLICE_MS
        return SLICE_MS if get_ident() == main_thread else -1

    def refresh(self) -> None:
        """Only looks, drives nothing. For the thread that drives."""
        _native.request_poll(self.native.pointer, self.handle.value, 0, byref(self.info))

    def look(self) -> Any:
        """A fresh info, for any thread."""
        info = _new_info(_INFO)
        _native.request_poll(self.native.pointer, self.handle.value, 0, byref(info))
        return info

    # What came.

    def head(self, which: int, shared: bool = True) -> RawHead | None:
        """*shared*: other threads may know this exchange."""
        status, found = self._copied(self._head, which) if shared else self._head(which)
        if status and status != _native.E_NO_HEAD:
            raise self._error(status, None)
        return found

    def _head(self, which: int) -> tuple[int, RawHead | None]:
        head = _new_head(_HEAD)
        status = _native.request_head(self.native.pointer, self.handle.value, which, byref(head))
        return status, RawHead(head) if status == 0 else None

    def url(self) -> str:
        """Where the request is now: after redirects the last URL. Without credentials."""
        return self._copied(self._url)[1] or self.request.url

    def _url(self) -> tuple[int, str]:
        start, length = c_void_p(), c_size_t()
        status = _native.request_url(self.native.pointer, self.handle.value, byref(start), byref(length))
        return status, string_at(start.value or 0, length.value).decode("utf-8", "replace") if status == 0 else ""

    def sent(self, hops: int) -> tuple[list[RawHead], list[Request]]:
        """The heads of the redirects followed; the requests that they answered, and the one that followed the last of them."""
        heads = [head for head in (self.head(_native.HEAD_HOP + hop) for hop in range(hops)) if head is not None]
        places = [head.url.decode("utf-8", "replace") for head in heads] + [self.url()]
        requests = [self.request]
        for head, here, there in zip(heads, places, places[1:]):
            requests.append(requests[-1].redirected(head.status, here, there))
        return heads, requests

    def _copied(self, copy: Callable[..., tuple[int, Any]], *arguments: int) -> tuple[int, Any]:
        if self.foreign():
            return _native.E_FORKED, None
        with self._lock:
            self._copying += 1
            try:
                answer = (_native.E_CANCELLED, None) if self.closing else copy(*arguments)
            finally:
                self._copying -= 1
        if self.closing:
            self._release()
        return answer

    def foreign(self) -> bool:
        """In a forked child the request is the parent's."""
        return self.native.generation != _native.generation

    def read_buffered(self) -> bytes | None:
        """The whole body in one piece, if it all lies there: the common case of a small response."""
        start, length = c_void_p(), c_size_t()
        size = self.info.body_buffered
        if size == 0:
            return b""
        status = _native.request_peek(self.native.pointer, self.handle.value, byref(start), byref(length))
        if status or length.value != size:
            return None
        return string_at(start.value or 0, size)

    def read_all(self) -> bytes:
        """The rest of the body. Its size is what came, whatever the head promised."""
        # Pieces and one join: cheaper than one buffer that grows, whose new pages are touched once more each time.
        total = self.info.body_total
        buffer = bytearray(min(max(total, 1), READ_BYTES) if total >= 0 else READ_BYTES)
        pieces: list[bytes] = []
        while True:
            count = self.read_into(buffer)
            if count == 0:
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.append(bytes(memoryview(buffer)[:count]))

    def read_into(self, buffer: bytearray) -> int:
        """Fills *buffer* from its beginning; waits for at least one byte; 0 is the end of the body."""
        size = len(buffer)
        # The export ends at once; the buffer is not resized before the call returns.
        address = addressof(c_char.from_buffer(buffer))
        count = c_size_t()
        while True:
            status = _native.request_read(self.native.pointer, self.handle.value, address, size, byref(count))
            if status == 0:
                if self.on_progress is not None and monotonic() >= self._next:
                    self.refresh()
                    self._report()
                return count.value
            if status != _native.E_WOULD_BLOCK:
                raise self._error(status, None)
            self.wait(_native.UNTIL_BODY)

    def finish(self) -> None:
        """After the end of the body: the last step of the request, so that its connection is kept."""
        if not self.info.terminal:
            self.refresh()
            if not self.info.terminal:
                self.wait(_native.UNTIL_DONE)
                return
        if self.on_progress is not None:
            self._report()

    def trace(self) -> list[tuple[int, int, int]]:
        """(microseconds, state, hop) for each state entered."""
        cap = 32
        while True:
            entries = (_native.TraceEntry * cap)()
            count = c_size_t()
            status = _native.request_trace(
                self.native.pointer, self.handle.value, entries, _native.TRACE_ENTRY_SIZE, cap, byref(count)
            )
            if status:
                return []
            if count.value < cap or cap >= TRACE_MAX:
                return [(e.at_us, e.state, e.hop) for e in entries[: min(count.value, cap)]]
            cap *= 4

    def raise_if_failed(self) -> None:
        if self.info.terminal and self.info.status:
            raise self._error(self.info.status, None)

    def close(self) -> None:
        self.closing = True
        self._release()

    def _release(self) -> None:
        # In a forked child the request goes with its client.
        if self.foreign():
            self.handle.value = 0
        # Whoever holds the lock looks at ``closing`` afterwards.
        elif self._lock.acquire(False):
            try:
                if self._copying:
                    return
                handle, self.handle.value = self.handle.value, 0
                if handle:
                    self.native.errors.pop(handle, None)
                    _free(self.native.pointer, handle)
            finally:
                self._lock.release()

    def __del__(self) -> None:
        if self.handle.value and _native is not None:
            self.close()

    # Errors and progress.

    def _raise_hook_error(self) -> None:
        error = self.native.errors.pop(self.handle.value, None)
        if error is not None:
            raise error

    def error(self, status: int) -> HTTPError:
        return self._error(status, None)

    def _error(self, status: int, detail: Any) -> HTTPError:
        elapsed = monotonic() - self.started
        if self.closing and not self.foreign():
            error = describe(kind_of(_native.E_CANCELLED), _native.E_CANCELLED, None, self.request, elapsed)
            error.message = f"{error.host}: the response was closed while it was read ({error.status_name})"
            return error
        request, url = self.request, None
        if detail is None and self.handle.value and not self.foreign():
            detail = _native.ErrorDetail(struct_size=_native.ERROR_DETAIL_SIZE)
            if _native.request_error(self.native.pointer, self.handle.value, byref(detail)):
                detail = None
            url = self.url()
            request = self.sent(self.look().hops)[1][-1]
        if status == _native.E_BUSY:
            return describe(Busy, status, detail, request, None, url)
        return describe(kind_of(status), status, detail, request, elapsed, url)

    def _report(self) -> None:
        on_progress, info = self.on_progress, self.info
        if on_progress is None or not self.handle.value:
            return
        sent, received = info.body_sent, info.body_received
        total = info.body_total if info.body_total >= 0 else None
        trace = self.trace()
        fresh = trace[self._seen :]
        self._seen = len(trace)
        for at, state, hop in fresh:
            on_progress(Progress(state_name(state), at / 1e6, hop, sent, received, total))
        now = monotonic()
        if fresh:
            self._next = now + PROGRESS_SLICE_MS / 1000
        elif trace and now >= self._next:
            self._next = now + PROGRESS_SLICE_MS / 1000
            on_progress(Progress(state_name(trace[-1][1]), now - self.started, trace[-1][2], sent, received, total))


def state_name(state: int) -> str:
    return _native.STATES[state] if 0 <= state < len(_native.STATES) else f"Unknown({state})"


def steps(trace: list[tuple[int, int, int]]) -> list[Step]:
    return [Step(state_name(state), at / 1e6, hop) for at, state, hop in trace]


def describe(
    kind: type[HTTPError],
    status: int,
    detail: Any,
    request: Request | None,
    elapsed: float | None,
    url: str | None = None,
) -> HTTPError:
    """The exception for a code: host, phase and the library's own sentence. *url* is where it happened, if not the request's."""
    name, _, phase = TABLE.get(status, ("UNKNOWN", kind, None))
    text = ""
    if detail is not None and detail.status == status:
        if 0 < detail.phase < len(_native.PHASES):
            phase = _native.PHASES[detail.phase]
        text = detail.text.decode("utf-8", "replace")
    if not text:
        text = (_native.status_message(status) or b"").decode("utf-8", "replace")
    host = host_of(url or request.url) if request is not None else ""
    # The library's sentence begins with the same words: the phase, then the host, with its port where connecting failed.
    if phase and text.startswith(phase + ": "):
        text = text[len(phase) + 2 :]
    host_shown = host
    first, colon, rest = text.partition(": ")
    if host and colon and any(first == name or first.startswith(name + ":") for name in (host, f"[{host}]")):
        host_shown, text = first, rest
    where = ": ".join(part for part in (host_shown, phase) if part)
    error = kind(f"{where}: {text} ({name})" if where else f"{text} ({name})")
    error.request, error.status, error.status_name = request, status, name
    error.phase, error.host, error.elapsed = phase, host, elapsed
    if detail is not None and detail.status == status:
        if 0 < detail.argument < len(_native.ARGUMENTS):
            error.argument = _native.ARGUMENTS[detail.argument]
        error.os_errno, error.tls_alert = detail.os_errno, detail.tls_alert
        unknown = 2**64 - 1
        error.received = None if detail.received == unknown else detail.received
        error.expected = None if detail.expected == unknown else detail.expected
    return error


def host_of(url: str) -> str:
    """The host of a URL that may be no URL, for messages: no credentials, no failure."""
    host = authority_of(url).rpartition("@")[2]
    host = host if host.endswith("]") else host.rpartition(":")[0] or host
    # It may be anything: no line of a log is forged by it, and none is filled (a name has 253 characters at most).
    host = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in host)
    return host if len(host) <= 255 else host[:252] + "..."
