"""What goes in and what comes out, as plain Python values: ``Headers``, ``Timeout``, ``Request``, ``Timings``."""

from __future__ import annotations

from .exceptions import InvalidArgument, InvalidHeader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, Union

    HeaderTypes = Union["Headers", Mapping[Any, Any], Iterable[tuple[Any, Any]], None]


def header_bytes(text: Any, what: str) -> bytes:
    """Latin-1 where it suffices, as HTTP has it, else UTF-8. What is not allowed in a header is refused by the library."""
    if isinstance(text, bytes):
        return text
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str):
        raise InvalidHeader(f"headers: a {what} is a str or bytes, not {type(text).__name__}")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8") if not raw.isascii() else raw.decode("ascii")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def is_absolute(url: str) -> bool:
    """It begins with a scheme and a host; a "://" further on, as in a query, says nothing."""
    scheme, mark, _ = url.partition("://")
    return bool(mark) and scheme[:1].isalpha() and scheme.isascii() and all(c.isalnum() or c in "+-." for c in scheme)


def authority_of(url: str, ends: str = "/?#\\") -> str:
    """What lies between "://" and the path: credentials, host and port. Empty if it is no absolute URL."""
    if not is_absolute(url):
        return ""
    rest = url.partition("://")[2]
    for end in ends:
        rest = rest.partition(end)[0]
    return rest


# What a URL may hold as it is (RFC 3986 section 2), the signs of an escape not counted.
_PLAIN = b"!#$&'()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]_abcdefghijklmnopqrstuvwxyz~"
# Nobody means a control character: it is left for the library to refuse.
_LEFT = _PLAIN + bytes(range(0x20)) + b"\x7f"
_HEX = b"0123456789ABCDEFabcdef"


def requoted(url: str) -> str:
    """The URL with whatever its path, query and fragment must not hold as percent-escapes. Those that it has stay as they are."""
    try:
        raw = url.encode("utf-8")
    except UnicodeEncodeError:
        return url
    if not raw.translate(None, _PLAIN) or not is_absolute(url):
        return url
    # Where an authority is mended it may become another.
    start = raw.find(b"://") + 3 + len(authority_of(url, "/?#").encode("utf-8"))
    first, *rest = raw[start:].split(b"%")
    pieces = [raw[:start], _escaped(first)]
    for piece in rest:
        is_escape = len(piece) >= 2 and piece[0] in _HEX and piece[1] in _HEX
        pieces += (b"%" if is_escape else b"%25", _escaped(piece))
    return b"".join(pieces).decode("utf-8")


def _escaped(piece: bytes) -> bytes:
    if not piece.translate(None, _LEFT):
        return piece
    return b"".join(b"%c" % byte if byte in _LEFT else b"%%%02X" % byte for byte in piece)


def redacted(url: str) -> str:
    """The URL without its credentials, for messages. A user's name alone may be a token."""
    authority = authority_of(url)
    credentials, mark, host = authority.rpartition("@")
    if not mark:
        return url
    return url.replace(authority, "[secret]@" + host, 1)


class Headers:
    """A mapping whose keys ignore case and may occur more than once.

    ``headers["a"]`` joins several values by ", "; ``get_list`` and ``multi_items`` keep them apart. A ``None`` value marks a header
    that is not to be sent (it takes away a client's).
    """

    # A change replaces the list of items, never alters it: whoever keeps the list knows by it that nothing changed.
    __slots__ = ("_items",)

    def __init__(self, headers: HeaderTypes = None) -> None:
        self._items: list[tuple[bytes, bytes, bytes | None]] = []
        if headers is None:
            return
        if isinstance(headers, Headers):
            self._items = list(headers._items)
            return
        given: Any = headers.items() if hasattr(headers, "items") else headers
        try:
            pairs = [(name, value) for name, value in given]
        except (TypeError, ValueError):
            raise TypeError(f"headers are a mapping or pairs of a name and a value, not {type(headers).__name__}") from None
        for name, value in pairs:
            raw = header_bytes(name, "name")
            try:
                self._items.append((raw.lower(), raw, None if value is None else header_bytes(value, "value")))
            except InvalidHeader:
                raise InvalidHeader(f"headers: the value of {name!r} is a str or bytes, not {type(value).__name__}") from None

    @classmethod
    def _from_raw(cls, pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
        headers = cls()
        headers._items = [(name.lower(), name, value) for name, value in pairs]
        return headers

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        return [(name, value) for _, name, value in self._items if value is not None]

    def multi_items(self) -> list[tuple[str, str]]:
        return [(_decoded(key), _decoded(value)) for key, _, value in self._items if value is not None]

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:
        wanted = header_bytes(key, "name").lower()
        found = [_decoded(value) for name, _, value in self._items if name == wanted and value is not None]
        if split_commas:
            return [part.strip() for value in found for part in value.split(",")]
        return found

    def get(self, key: str, default: Any = None) -> Any:
        found = self.get_list(key)
        return ", ".join(found) if found else default

    def items(self) -> list[tuple[str, str]]:
        return [(key, self[key]) for key in self.keys()]

    def keys(self) -> list[str]:
        return list(dict.fromkeys(_decoded(key) for key, _, value in self._items if value is not None))

    def values(self) -> list[str]:
        return [self[key] for key in self.keys()]

    def update(self, headers: HeaderTypes = None) -> None:
        """Replaces, name by name. Duplicates inside the argument stay."""
        new = Headers(headers)._items
        names = {key for key, _, _ in new}
        self._items = [item for item in self._items if item[0] not in names] + new

    def copy(self) -> Headers:
        return Headers(self)

    def setdefault(self, key: str, default: str) -> str:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, default: Any = None) -> Any:
        value = self.get(key, default)
        if key in self:
            del self[key]
        return value

    def __getitem__(self, key: str) -> str:
        found = self.get_list(key)
        if not found:
            raise KeyError(key)
        return ", ".join(found)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.update([(key, value)])

    def __delitem__(self, key: str) -> None:
        wanted = header_bytes(key, "name").lower()
        left = [item for item in self._items if item[0] != wanted]
        if len(left) == len(self._items):
            raise KeyError(key)
        self._items = left

    def __contains__(self, key: object) -> bool:
        return isinstance(key, (str, bytes)) and any(
            name == header_bytes(key, "name").lower() and value is not None for name, _, value in self._items
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __eq__(self, other: object) -> bool:
        try:
            theirs = other if isinstance(other, Headers) else Headers(other)  # type: ignore[arg-type]
        except (InvalidHeader, TypeError, ValueError):
            return NotImplemented
        return sorted((k, v or b"") for k, _, v in self._items) == sorted((k, v or b"") for k, _, v in theirs._items)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        secret = ("authorization", "proxy-authorization", "cookie", "set-cookie")
        return f"Headers({[(k, '[secret]' if k in secret else v) for k, v in self.multi_items()]!r})"


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Any = _Unset()

_TIMEOUT_FIELDS = ("resolve", "connect", "tls", "write", "first_byte", "idle", "pool", "total")
_TIMEOUT_DEFAULTS = (10.0, 10.0, 10.0, 30.0, 30.0, 30.0, None, None)


# The library takes no longer ones.
_SECONDS_MAX = 366 * 86400


def milliseconds(seconds: float | None, name: str) -> int:
    """As the library has it; -1 is no limit. *name* is what the caller knows it by."""
    if seconds is None:
        return -1
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise InvalidArgument(f"{name}: seconds as a number or None, not {seconds!r}")
    if not 0 < seconds <= _SECONDS_MAX:
        raise InvalidArgument(
            f"{name}: more than 0 and at most 366 days ({_SECONDS_MAX} seconds), or None for no limit; not {seconds!r}"
        )
    return max(1, int(seconds * 1000 + 0.5))


class Timeout:
    """A limit in seconds for each phase; None: no limit.

    ``Timeout(5)`` sets every phase to 5 seconds; ``total`` alone is a deadline for everything, redirects and name look-up included.
    ``read`` sets both ``first_byte`` (from the last byte sent to the end of the head) and ``idle`` (the body without progress).
    Without arguments: resolve, connect and tls 10 s, write and read 30 s. Attributes may be set; what is set counts from the next
    request on.
    """

    __slots__ = _TIMEOUT_FIELDS + ("_ms",)

    resolve: float | None
    connect: float | None
    tls: float | None
    write: float | None
    first_byte: float | None
    idle: float | None
    pool: float | None
    total: float | None
    # The same, as the library has it.
    _ms: tuple[int, ...]

    def __init__(
        self,
        timeout: Any = UNSET,
        *,
        total: float | None = UNSET,
        resolve: float | None = UNSET,
        connect: float | None = UNSET,
        tls: float | None = UNSET,
        write: float | None = UNSET,
        first_byte: float | None = UNSET,
        read: float | None = UNSET,
        idle: float | None = UNSET,
        pool: float | None = UNSET,
    ) -> None:
        # What the caller knows each limit by.
        names = [f"timeout ({name})" for name in _TIMEOUT_FIELDS]
        if timeout is UNSET:
            base: tuple[float | None, ...] = _TIMEOUT_DEFAULTS
        elif isinstance(timeout, Timeout):
            base = tuple(getattr(timeout, name) for name in _TIMEOUT_FIELDS)
        elif isinstance(timeout, tuple):
            if len(timeout) not in (2, 4):
                raise InvalidArgument("a timeout tuple is (connect, read) or (connect, read, write, pool)")
            c, r, w, p = timeout if len(timeout) == 4 else (*timeout, _TIMEOUT_DEFAULTS[3], None)
            base = (c, c, c, w, r, r, p, None)
            names = [f"timeout ({name})" for name in ("connect", "connect", "connect", "write", "read", "read", "pool", "total")]
        else:
            base = (timeout,) * 7 + (None,)
            names = ["timeout"] * 8
        given = (resolve, connect, tls, write, first_byte, idle, pool, total)
        set_, limits = object.__setattr__, []
        for at, (name, value, default) in enumerate(zip(_TIMEOUT_FIELDS, given, base)):
            called = names[at]
            if value is not UNSET:
                called = f"timeout ({name})"
            elif name in ("first_byte", "idle") and read is not UNSET:
                value, called = read, "timeout (read)"
            else:
                value = default
            limits.append(milliseconds(value, called))
            set_(self, name, value)
        set_(self, "_ms", tuple(limits))

    @property
    def read(self) -> float | None:
        return self.idle

    @read.setter
    def read(self, seconds: float | None) -> None:
        milliseconds(seconds, "timeout (read)")
        self.first_byte = self.idle = seconds

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _TIMEOUT_FIELDS:
            at = _TIMEOUT_FIELDS.index(name)
            limit = milliseconds(value, f"timeout ({name})")
            object.__setattr__(self, name, value)
            object.__setattr__(self, "_ms", (*self._ms[:at], limit, *self._ms[at + 1 :]))
        elif name == "read":
            object.__setattr__(self, name, value)
        else:
            raise AttributeError(f"a Timeout has no {name}; it has {', '.join(_TIMEOUT_FIELDS)} and read")

    def __reduce__(self) -> tuple[Any, ...]:
        return _timeout, tuple(getattr(self, name) for name in _TIMEOUT_FIELDS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timeout) and self._ms == other._ms

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Timeout({', '.join(f'{name}={getattr(self, name)!r}' for name in _TIMEOUT_FIELDS)})"


def _timeout(*limits: float | None) -> Timeout:
    return Timeout(**dict(zip(_TIMEOUT_FIELDS, limits)))


# What goes with the body, and what an origin must not learn of another one, as the library has it when it follows.
_BODY_FIELDS = frozenset((b"content-encoding", b"content-language", b"content-location", b"content-type", b"content-length"))
_ORIGIN_FIELDS = frozenset((b"authorization", b"cookie", b"proxy-authorization", b"host"))


class Request:
    """A request as it is sent: built by the client, handed to ``auth`` callables, found on responses and errors.

    ``url`` is quoted when the request is made: what its path and query must not hold is percent-encoded.
    """

    __slots__ = ("method", "url", "content", "_headers", "_client_headers")

    def __init__(
        self,
        method: str | bytes,
        url: str,
        *,
        headers: HeaderTypes = None,
        content: bytes | None = None,
    ) -> None:
        if isinstance(method, bytes):
            method = method.decode("latin-1")
        if not isinstance(method, str):
            raise TypeError(f"a method is a str, not {type(method).__name__}")
        # As every client of Python has it. Of other letters upper case could make a method; the library refuses those.
        self.method = method.upper() if method.isascii() else method
        if not isinstance(url, str):
            raise TypeError(f"url is a str, not {type(url).__name__}")
        self.url = requoted(url)
        if content is not None and not isinstance(content, bytes):
            raise TypeError(f"a request's content is bytes, not {type(content).__name__}")
        self.content = content
        self._headers: Headers | None = Headers(headers) if headers is not None else None
        self._client_headers: Headers | None = None

    @property
    def headers(self) -> Headers:
        if self._headers is None:
            # The client's own headers are copied only when somebody looks at them.
            self._headers = self._client_headers.copy() if self._client_headers is not None else Headers()
        return self._headers

    @headers.setter
    def headers(self, headers: HeaderTypes) -> None:
        self._headers = Headers(headers)

    @property
    def body(self) -> bytes | None:
        return self.content

    def read(self) -> bytes:
        return self.content or b""

    def redirected(self, status: int, here: str, there: str) -> Request:
        """The request that the library sends to *there* when *here* answers this one with *status*."""
        method, content, gone = self.method, self.content, frozenset[bytes]()
        if (status in (301, 302) and method == "POST") or (status == 303 and method not in ("GET", "HEAD")):
            method, content, gone = "GET", None, _BODY_FIELDS
        if (here.partition("://")[0], authority_of(here)) != (there.partition("://")[0], authority_of(there)):
            gone |= _ORIGIN_FIELDS
        request = Request(method, there, headers=self.headers, content=content)
        # As it was sent, whatever the server left as it is.
        request.url = there
        request.headers._items = [item for item in request.headers._items if item[0] not in gone]
        return request

    def __getstate__(self) -> dict[str, Any]:
        return {"method": self.method, "url": self.url, "content": self.content, "headers": self.headers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.method, self.url, self.content = state["method"], state["url"], state["content"]
        self._headers, self._client_headers = state["headers"], None

    def __repr__(self) -> str:
        return f"<Request({self.method!r}, {redacted(self.url)!r})>"


class Timings:
    """Seconds from the request's creation to the end of each phase, of the last hop; None: not reached or not needed."""

    __slots__ = ("queued", "resolved", "connected", "tls", "sent", "first_byte", "head", "done")

    queued: float | None
    resolved: float | None
    connected: float | None
    tls: float | None
    sent: float | None
    first_byte: float | None
    head: float | None
    done: float | None

    def __init__(self, microseconds: Iterable[int]) -> None:
        for name, value in zip(self.__slots__, microseconds):
            setattr(self, name, None if value < 0 else value / 1e6)

    def __iter__(self) -> Iterator[tuple[str, float | None]]:
        return iter([(name, getattr(self, name)) for name in self.__slots__])

    def __repr__(self) -> str:
        return f"Timings({', '.join(f'{name}={value!r}' for name, value in self)})"


class Step:
    """An entry of a trace: the ``state`` entered, ``at`` seconds after the request's creation, ``hop`` redirects before it."""

    __slots__ = ("state", "at", "hop")

    def __init__(self, state: str, at: float, hop: int) -> None:
        self.state, self.at, self.hop = state, at, hop

    def __repr__(self) -> str:
        return f"Step({self.state!r}, at={self.at:.6f}, hop={self.hop})"


class Progress:
    """What an ``on_progress`` callable is given.

    ``state``, ``at`` and ``hop`` as in ``Step``; ``sent`` bytes of the request's body, ``received`` of ``total`` bytes of the
    response's (``total`` None: unknown).
    """

    __slots__ = ("state", "at", "hop", "sent", "received", "total")

    def __init__(self, state: str, at: float, hop: int, sent: int, received: int, total: int | None) -> None:
        self.state, self.at, self.hop = state, at, hop
        self.sent, self.received, self.total = sent, received, total

    def __repr__(self) -> str:
        return f"Progress({self.state!r}, at={self.at:.6f}, received={self.received}, total={self.total})"
