"""``Response``: a whole one in memory, or one whose body is still to come."""

from __future__ import annotations

from _thread import RLock

from . import _native, exceptions
from ._codes import codes
from ._exchange import READ_BYTES, Exchange, RawHead, host_of, steps
from ._models import Headers, Request, Step, Timings, redacted
from .exceptions import HTTPError, HTTPStatusError, ResponseNotRead, StreamClosed, StreamConsumed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta
    from types import TracebackType
    from typing import Any


class Response:
    """What a server answered. Headers, text and the rest are worked out when asked for; pickles once read.

    ``history`` holds the redirects followed, oldest first; ``timings`` and ``trace`` tell how the time was spent. Threads may share
    one: of several that ``read`` each gets the whole body; of several that iterate one gets it, the others get StreamConsumed. A
    ``close`` ends what another thread reads with Cancelled.
    """

    status_code: int
    url: str
    request: Request
    history: list[Response]

    def __init__(self, head: RawHead, request: Request, exchange: Exchange | None = None) -> None:
        self.status_code = head.status
        self.request = request
        self.history = []
        self.url = head.url.decode("utf-8", "replace") if head.url else request.url
        self._head = head
        self._exchange = exchange
        # Whoever holds it may begin to take the body.
        self._lock: Any = RLock() if exchange is not None else None
        self._content: bytes | None = None
        self._iterated = False
        self._headers: Headers | None = None
        self._encoding: str | None = None
        self._trailers: Headers | None = None
        self._times: tuple[int, ...] = ()
        self._trace: list[tuple[int, int, int]] | None = None
        self._sizes = (0, 0, -1)
        self._reused = False
        self.default_encoding: str | Callable[[bytes], str | None] = "utf-8"

    # The head.

    @property
    def http_version(self) -> str:
        return f"HTTP/1.{self._head.minor}"

    @property
    def reason_phrase(self) -> str:
        return self._head.reason()

    @property
    def reason(self) -> str:
        return self.reason_phrase

    @property
    def headers(self) -> Headers:
        if self._headers is None:
            self._headers = Headers._from_raw(self._head.pairs())
        return self._headers

    @property
    def trailers(self) -> Headers:
        """Header lines after the body. Empty before the body was read."""
        return self._trailers if self._trailers is not None else Headers()

    @property
    def is_informational(self) -> bool:
        return 100 <= self.status_code < 200

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300

    @property
    def is_redirect(self) -> bool:
        """A redirect that says where to: it was not followed, or is part of a history."""
        return self.status_code in (301, 302, 303, 307, 308) and "location" in self.headers

    @property
    def has_redirect_location(self) -> bool:
        return self.is_redirect

    @property
    def is_permanent_redirect(self) -> bool:
        return self.status_code in (301, 308) and "location" in self.headers

    @property
    def is_client_error(self) -> bool:
        return 400 <= self.status_code < 500

    @property
    def is_server_error(self) -> bool:
        return 500 <= self.status_code < 600

    @property
    def is_error(self) -> bool:
        return 400 <= self.status_code < 600

    @property
    def ok(self) -> bool:
        return self.status_code < 400

    def raise_for_status(self) -> Response:
        """Raises HTTPStatusError for 4xx and 5xx; otherwise returns the response."""
        if not self.is_error:
            return self
        side = "Client" if self.status_code < 500 else "Server"
        phrase = self.reason_phrase or codes.get_reason_phrase(self.status_code)
        error = HTTPStatusError(f"{side} error {self.status_code} {phrase} for {redacted(self.url)}", response=self)
        error.request, error.host, error.elapsed = self.request, host_of(self.url), self.elapsed.total_seconds()
        raise error

    @property
    def links(self) -> dict[str, dict[str, str]]:
        """The ``Link`` header (RFC 8288) by ``rel``, or by URL where there is none."""
        from ._links import parse

        return {link.get("rel", link["url"]): link for link in parse(self.headers.get("link", ""))}

    # The body.

    @property
    def content(self) -> bytes:
        if self._content is None:
            if self._exchange is None and not self._iterated:
                raise ResponseNotRead()
            # requests reads on; httpx wants read() first. The friendlier one.
            return self.read()
        return self._content

    def read(self) -> bytes:
        """The whole body, kept as ``content``."""
        content = self._content
        if content is not None:
            return content
        with self._turn():
            # Another thread may have been quicker.
            if self._content is not None:
                return self._content
            exchange = self._claim()
            try:
                content = exchange.read_all()
                self._end(exchange)
            except BaseException as error:
                self._fail(error)
                raise
            self._content = content
        return content

    @property
    def charset_encoding(self) -> str | None:
        for part in self.headers.get("content-type", "").split(";")[1:]:
            name, _, value = part.partition("=")
            if name.strip().lower() == "charset":
                return value.strip().strip("\"'") or None
        return None

    @property
    def encoding(self) -> str:
        """The charset of the content type if Python knows it, else ``default_encoding``. Settable."""
        if self._encoding is None:
            self._encoding = _known(self.charset_encoding) or self._guess()
        return self._encoding

    @encoding.setter
    def encoding(self, encoding: str | None) -> None:
        self._encoding = None if encoding is None else text_encoding(encoding)

    @property
    def apparent_encoding(self) -> str:
        return self.encoding

    def _guess(self) -> str:
        default = self.default_encoding
        return _known(default if isinstance(default, str) else default(self._content or b"")) or "utf-8"

    @property
    def text(self) -> str:
        return self.content.decode(self.encoding, "replace")

    def json(self, *, loads: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
        """The body as JSON: UTF-8, UTF-16 or UTF-32 by its first bytes, else by its charset. ``loads`` replaces ``json.loads``."""
        if loads is not None:
            return loads(self.content, **kwargs)
        import json

        try:
            try:
                return json.loads(self.content, **kwargs)
            except UnicodeDecodeError:
                return json.loads(self.text, **kwargs)
        except json.JSONDecodeError as error:
            raise exceptions.JSONDecodeError(error.msg, error.doc, error.pos, response=self) from None

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """The body in pieces: of exactly ``chunk_size`` (the last may be shorter), or of what there is, up to 256 KiB."""
        return self._pieces(_checked_size(chunk_size))

    def _pieces(self, chunk_size: int | None) -> Iterator[bytes]:
        if self._content is None:
            with self._turn():
                if self._content is None:
                    exchange = self._claim()
        if self._content is not None:
            content, step = self._content, chunk_size or READ_BYTES
            for start in range(0, len(content), step):
                yield content[start : start + step]
            return
        # As large as what comes at a time, not as what is asked for; small pieces are cut from it.
        buffer = bytearray(READ_BYTES)
        parts: list[bytes] = []
        held = 0
        try:
            while True:
                count = exchange.read_into(buffer)
                if not count:
                    break
                with memoryview(buffer) as view:
                    piece = bytes(view[:count])
                if chunk_size is None:
                    yield piece
                    continue
                parts.append(piece)
                held += count
                if held < chunk_size:
                    continue
                piece, start = b"".join(parts), 0
                while held >= chunk_size:
                    yield piece[start : start + chunk_size]
                    start += chunk_size
                    held -= chunk_size
                parts = [piece[start:]]
            self._end(exchange)
            if held:
                yield b"".join(parts)
        except GeneratorExit:
            self.close()
            raise
        except BaseException as error:
            self._fail(error)
            raise

    iter_raw = iter_bytes

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        """``iter_bytes`` under its requests name."""
        return self.iter_text(chunk_size) if decode_unicode else self.iter_bytes(chunk_size)

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        return self._texts(_checked_size(chunk_size))

    def _texts(self, chunk_size: int | None) -> Iterator[str]:
        decoder = _decoder(self.encoding)
        for piece in self._pieces(chunk_size):
            text = decoder.decode(piece)
            if text:
                yield text
        text = decoder.decode(b"", True)
        if text:
            yield text

    def iter_lines(
        self, chunk_size: int | None = None, decode_unicode: bool = True, delimiter: str | bytes | None = None
    ) -> Iterator[str]:
        """Lines without their ends; LF, CR LF and CR end one, or else *delimiter*.

        Always ``str``, whatever ``decode_unicode`` of requests says.
        """
        size = _checked_size(chunk_size)
        if delimiter is None:
            return self._lines(size)
        if isinstance(delimiter, bytes):
            delimiter = delimiter.decode(self.encoding)
        if not isinstance(delimiter, str):
            raise TypeError(f"delimiter is a str or bytes, not {delimiter!r}")
        if not delimiter:
            raise ValueError("delimiter is empty")
        return self._delimited(size, delimiter)

    def _delimited(self, chunk_size: int | None, delimiter: str) -> Iterator[str]:
        rest: list[str] = []
        # The end of what came of the present line, which may be the beginning of a delimiter.
        tail, tail_max = "", len(delimiter) - 1
        for text in self._texts(chunk_size):
            first, *others = (tail + text).split(delimiter)
            if others:
                yield "".join(rest) + first
                yield from others[:-1]
                rest, first = [], others[-1]
            cut = max(0, len(first) - tail_max)
            rest.append(first[:cut])
            tail = first[cut:]
        last = "".join(rest) + tail
        if last:
            yield last

    def _lines(self, chunk_size: int | None) -> Iterator[str]:
        rest: list[str] = []
        carriage = False
        for text in self._texts(chunk_size):
            if carriage and text.startswith("\n"):
                text = text[1:]
            carriage = False
            if not text:
                continue
            carriage = text.endswith("\r")
            lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            if len(lines) > 1:
                yield "".join(rest) + lines[0]
                yield from lines[1:-1]
                rest = [lines[-1]] if lines[-1] else []
            else:
                rest.append(lines[0])
        if rest:
            yield "".join(rest)

    def __iter__(self) -> Iterator[bytes]:
        return self.iter_bytes()

    # How it went.

    @property
    def elapsed(self) -> timedelta:
        """From the request's creation to the end of the body; before that, to the end of the head."""
        from datetime import timedelta

        times = self._now()
        return timedelta(microseconds=max(0, times[7] if times[7] >= 0 else times[6]) if times else 0)

    @property
    def timings(self) -> Timings:
        return Timings(self._now())

    @property
    def trace(self) -> list[Step]:
        """The states passed so far."""
        exchange = self._exchange
        live = exchange.trace() if exchange is not None and exchange.handle.value else []
        return steps(live or self._trace or [])

    @property
    def num_bytes_downloaded(self) -> int:
        return self._size()[1]

    @property
    def body_total(self) -> int | None:
        """The body's size as the head promises it; None: unknown."""
        total = self._size()[2]
        return total if total >= 0 else None

    @property
    def connection_reused(self) -> bool:
        return self._reused

    @property
    def is_closed(self) -> bool:
        return self._exchange is None

    @property
    def is_stream_consumed(self) -> bool:
        return self._iterated or self._content is not None

    def close(self) -> None:
        """Frees the request; one still under way is cancelled. What was read stays."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._keep(exchange)
            exchange.close()

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        phrase = self.reason_phrase
        return f"<Response [{self.status_code}{' ' + phrase if phrase else ''}]>"

    def __getstate__(self) -> dict[str, Any]:
        if self._content is None and self._exchange is not None:
            self.read()
        state = dict(self.__dict__)
        state["_exchange"] = state["_lock"] = None
        return state

    # Inside.

    def _turn(self) -> Any:
        """The lock to hold while one begins to take the body."""
        exchange = self._exchange
        if exchange is not None and exchange.foreign():
            # A thread of the parent may have held the lock, for ever.
            raise exchange.error(_native.E_FORKED)
        if self._lock is None:
            raise StreamConsumed() if self._iterated else StreamClosed()
        return self._lock

    def _claim(self) -> Exchange:
        """The body is the caller's, whose turn it is."""
        exchange = self._exchange
        if self._iterated:
            raise StreamConsumed()
        if exchange is None:
            raise StreamClosed()
        self._iterated = True
        return exchange

    def _end(self, exchange: Exchange) -> None:
        """The body is complete."""
        if self._exchange is None:
            return
        exchange.finish()
        exchange.raise_if_failed()
        self.close()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, HTTPError):
            error.response = self
        self.close()

    def _keep(self, exchange: Exchange) -> None:
        """Copies what the library forgets with the request."""
        if exchange.handle.value and not exchange.foreign():
            self._take_info(exchange, exchange.look())

    def _take_info(self, exchange: Exchange, info: Any) -> None:
        self._times = (
            info.time_queued_us,
            info.time_resolved_us,
            info.time_connected_us,
            info.time_tls_us,
            info.time_sent_us,
            info.time_first_byte_us,
            info.time_head_us,
            info.time_done_us,
        )
        self._sizes = (info.body_sent, info.body_received, info.body_total)
        self._reused = bool(info.connection_reused)
        self._trace = exchange.trace() or self._trace
        if info.flags & _native.EVENT_TRAILERS and self._trailers is None:
            head = exchange.head(_native.HEAD_TRAILERS)
            if head is not None:
                self._trailers = Headers._from_raw(head.pairs())

    def _now(self) -> tuple[int, ...]:
        exchange = self._exchange
        if exchange is not None and exchange.handle.value:
            self._keep(exchange)
        return self._times

    def _size(self) -> tuple[int, int, int]:
        self._now()
        return self._sizes


def _checked_size(chunk_size: int | None) -> int | None:
    """At once, not when the first piece is asked for."""
    if chunk_size is not None:
        if not isinstance(chunk_size, int) or isinstance(chunk_size, bool):
            raise TypeError(f"chunk_size is an int or None, not {chunk_size!r}")
        if chunk_size < 1:
            raise ValueError(f"chunk_size is at least 1, not {chunk_size}")
    return chunk_size


# Python's own, made for source texts and host names. Not meant for what a server sends, and some take very long.
_NO_CHARSETS = frozenset("idna punycode undefined unicode_escape unicode-escape raw_unicode_escape raw-unicode-escape".split())


def text_encoding(encoding: str) -> str:
    """*encoding*, if text can be had by it, piece by piece and whatever the bytes are. LookupError if not."""
    from codecs import lookup

    try:
        info = lookup(encoding)
        fit = info.name not in _NO_CHARSETS and getattr(info, "_is_text_encoding", True)
        # Codecs that are not Python's own may promise less than they look like.
        if fit and isinstance(info.decode(b"a\xff", "replace")[0], str):
            _decoder(encoding).decode(b"a\xff", True)
            return encoding
    except Exception:  # noqa: BLE001
        pass
    raise LookupError(f"{encoding!r} is no encoding of text that Python knows")


def _known(encoding: str | None) -> str | None:
    try:
        return text_encoding(encoding) if encoding else None
    except LookupError:
        return None


def _decoder(encoding: str) -> Any:
    from codecs import getincrementaldecoder, lookup

    name = lookup(encoding).name
    return _MarkedDecoder(name) if name in _MARKS else getincrementaldecoder(encoding)("replace")


_MARKS = {
    "utf-16": (b"\xff\xfe", b"\xfe\xff"),
    "utf-32": (b"\xff\xfe\0\0", b"\0\0\xfe\xff"),
}


class _MarkedDecoder:
    """UTF-16 and UTF-32 whose byte order stands at their beginning. Where none does it is this machine's, as ``bytes.decode`` has
    it; Python's own incremental decoders raise instead, whatever they were told of errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._start = b""
        self._inner: Any = None

    def decode(self, piece: bytes, final: bool = False) -> str:
        from codecs import getincrementaldecoder

        if self._inner is None:
            self._start += piece
            if len(self._start) < 4 and not final:
                return ""
            piece, name = self._start, self._name
            if not piece.startswith(_MARKS[name]):
                from sys import byteorder

                name = f"{name}-{byteorder[0]}e"
            self._inner = getincrementaldecoder(name)("replace")
        return self._inner.decode(piece, final)  # type: ignore[no-any-return]
