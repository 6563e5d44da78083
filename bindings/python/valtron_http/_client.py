"""``Client``: connections, defaults, and the one path every request takes."""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock, get_ident
from ctypes import byref, c_void_p, pointer, sizeof

from . import _exchange, _native, _settings, _spawn
from ._build import authenticate, body_of, join, url_text, with_params
from ._exchange import Exchange, describe
from ._models import UNSET, Headers, Request, Timeout, header_bytes, milliseconds, redacted
from ._response import Response, text_encoding
from .exceptions import ClientClosed, HTTPError, InvalidArgument, InvalidURL, TooManyRedirects, kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Any, Union

    from ._build import AuthTypes, ContentTypes, DataTypes, ParamTypes, URLTypes
    from ._models import HeaderTypes, Progress

    TimeoutTypes = Union[float, tuple[Any, ...], Timeout, None]
    VerifyTypes = Union[bool, str, bytes, os.PathLike[str]]

_renew_lock = allocate_lock()


def _after_fork() -> None:
    # Locks held by threads that do not exist in the child would stay locked for ever.
    global _renew_lock, _shared_lock
    _native.generation += 1
    _renew_lock = allocate_lock()
    _shared_lock = allocate_lock()
    _exchange.main_thread = get_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class NativeClient:
    """Owns the library's client. Every call under way holds a reference, so that the memory outlives it."""

    __slots__ = ("pointer", "generation", "errors", "_keep")

    def __init__(self, config: Any, keep: Any, errors: _spawn.HookErrors, pem: str) -> None:
        """*pem*: what the caller knows ``ca_pem`` by."""
        self.pointer: int | None = None
        self.generation = _native.generation
        self.errors = errors
        self._keep = keep  # The callback lives as long as the client that may call it.
        out = c_void_p()
        detail = _native.ErrorDetail(struct_size=_native.ERROR_DETAIL_SIZE)
        config.error = pointer(detail)
        status = _native.client_create(byref(config), byref(out))
        if status:
            error = describe(kind_of(status), status, detail, None, None)
            if error.message.startswith("ca_pem: "):
                error.argument, error.message = pem, error.message.replace("ca_pem: ", f"{pem}: ", 1)
            raise error
        self.pointer = out.value

    def __del__(self, free: Any = _native.client_free) -> None:
        client, self.pointer = self.pointer, None
        if client:
            free(client)


def _tell_unclosed() -> None:
    import warnings

    warnings.warn("a valtron_http.Client was not closed", ResourceWarning, stacklevel=2)


# Settings of requests' Session and of httpx's Client. Setting them would do nothing, and nobody would notice.
_ABSENT = frozenset(("proxies", "cookies", "cert", "trust_env", "hooks", "event_hooks"))


class Client:
    """Keeps connections between requests. Any number of threads may use one; a forked child goes on with connections of its own.

    ``auth`` is a tuple (Basic) or a callable that gets and may change the ``Request``. ``verify`` is True, False, a PEM file or PEM
    text, which then is all that is trusted; ``trust`` is "bundled" or "system". ``on_spawn`` is asked before redirects, handshake
    steps and look-ups (see ``Spawn``).
    """

    def __init__(
        self,
        *,
        auth: AuthTypes = None,
        params: ParamTypes = None,
        headers: HeaderTypes = None,
        verify: VerifyTypes = True,
        trust: str = "bundled",
        ca_file: str | os.PathLike[str] | None = None,
        timeout: TimeoutTypes = UNSET,
        follow_redirects: bool = True,
        max_redirects: int = 10,
        allow_insecure_redirects: bool = False,
        base_url: URLTypes = "",
        on_spawn: _spawn.SpawnHook | None = None,
        spawn_kinds: Iterable[str] | None = None,
        job_timeout: float = 1.0,
        default_encoding: str | Callable[[bytes], str | None] | None = "utf-8",
    ) -> None:
        self.auth = auth
        self.params = params
        self.base_url = base_url
        self.follow_redirects = follow_redirects
        self.max_redirects = max_redirects
        self.default_encoding = default_encoding
        self._allow_insecure = _settings.flag(allow_insecure_redirects, "allow_insecure_redirects")
        self._timeout = Timeout(timeout)
        self._headers = _with_agent(headers)
        # For the list of items that it was made from.
        self._encoded: tuple[Any, tuple[Any, Any, int]] | None = None
        self._closed = False
        self._verify_name = "verify"
        if ca_file is not None:
            verify, self._verify_name = ca_file, "ca_file"
        self._verify = verify
        self._verify_off, self._pem = _settings.verification(verify, self._verify_name)
        self._trust = _settings.trusted(trust)
        self._hook = _settings.optional_callable(on_spawn, "on_spawn")
        mask = _settings.spawn_mask(spawn_kinds)
        self._ask = mask if on_spawn is not None else 0
        self._job_timeout_ms = milliseconds(job_timeout, "job_timeout")
        # Nothing outside may hold it: it leads by the hook to whatever the hook holds, this client included.
        self._box = [self._create()]
        self._finalizer: Any = None
        if sys.flags.dev_mode:
            from weakref import finalize

            self._finalizer = finalize(self, _tell_unclosed)

    # Settings that requests start from.

    @property
    def auth(self) -> AuthTypes:
        return self._auth

    @auth.setter
    def auth(self, auth: AuthTypes) -> None:
        self._auth: AuthTypes = _settings.authentication(auth)

    @property
    def params(self) -> Any:
        """What every URL gets; a mapping may be changed in place."""
        return self._params

    @params.setter
    def params(self, params: ParamTypes) -> None:
        self._params = _settings.parameters(params)

    @property
    def follow_redirects(self) -> bool:
        return self._follow_redirects

    @follow_redirects.setter
    def follow_redirects(self, follow: bool) -> None:
        self._follow_redirects = _settings.flag(follow, "follow_redirects")

    @property
    def headers(self) -> Headers:
        return self._headers

    @headers.setter
    def headers(self, headers: HeaderTypes) -> None:
        self._headers = _with_agent(headers)

    @property
    def base_url(self) -> str:
        return self._base_url

    @base_url.setter
    def base_url(self, url: URLTypes) -> None:
        self._base_url = "" if url is None else url_text(url, "base_url")

    @property
    def max_redirects(self) -> int:
        return self._max_redirects

    @max_redirects.setter
    def max_redirects(self, limit: int) -> None:
        if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit < 2**31:
            raise InvalidArgument(f"max_redirects: a number from 0 to {2**31 - 1}, not {limit!r}")
        self._max_redirects = limit

    @property
    def default_encoding(self) -> str | Callable[[bytes], str | None]:
        """For text whose content type names no charset, or none that is known."""
        return self._default_encoding

    @default_encoding.setter
    def default_encoding(self, encoding: str | Callable[[bytes], str | None] | None) -> None:
        if encoding is None:
            encoding = "utf-8"
        if isinstance(encoding, str):
            encoding = text_encoding(encoding)
        elif not callable(encoding):
            raise TypeError(f"default_encoding is a name or a callable that finds one, not {encoding!r}")
        self._default_encoding = encoding

    @property
    def verify(self) -> VerifyTypes:
        """Set anew it begins with new connections; what is under way goes on as it began."""
        return self._verify

    @verify.setter
    def verify(self, verify: VerifyTypes) -> None:
        off, pem = _settings.verification(verify, "verify")
        with _renew_lock:
            before = self._verify_name, self._verify, self._verify_off, self._pem
            self._verify_name, self._verify, self._verify_off, self._pem = "verify", verify, off, pem
            try:
                if self._box:
                    self._box[0] = self._create()
            except BaseException:
                self._verify_name, self._verify, self._verify_off, self._pem = before
                raise

    @property
    def timeout(self) -> Timeout:
        return self._timeout

    @timeout.setter
    def timeout(self, timeout: TimeoutTypes) -> None:
        self._timeout = Timeout(timeout)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _ABSENT:
            raise AttributeError(f"this version of valtron_http has no {name}")
        if name == "stream" and isinstance(value, bool):
            raise AttributeError("a client has no setting 'stream': give stream=True to a request, or call client.stream()")
        object.__setattr__(self, name, value)

    @property
    def is_closed(self) -> bool:
        return self._closed

    # Requests.

    def request(
        self,
        method: str,
        url: URLTypes,
        *,
        params: ParamTypes = None,
        data: DataTypes = None,
        json: Any = None,
        content: ContentTypes = None,
        headers: HeaderTypes = None,
        auth: AuthTypes = UNSET,
        timeout: TimeoutTypes = UNSET,
        follow_redirects: bool | None = None,
        allow_redirects: bool | None = None,
        stream: bool = False,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> Response:
        """Sends a request and returns its response.

        With ``stream=True`` the body is not read yet: use ``iter_bytes`` and close the response. ``on_progress`` is called on
        this thread with each state as it passes and, during the body, a few dozen times a second.
        """
        request = self.build_request(method, url, params=params, data=data, json=json, content=content, headers=headers)
        if allow_redirects is not None:
            _settings.flag(allow_redirects, "allow_redirects")
        if follow_redirects is None:
            follow_redirects = allow_redirects
        return self.send(
            request,
            auth=auth,
            timeout=timeout,
            follow_redirects=follow_redirects,
            stream=stream,
            on_progress=on_progress,
        )

    def stream(self, method: str, url: URLTypes, **options: Any) -> Response:
        """``request(..., stream=True)``, for a ``with`` statement."""
        options["stream"] = True
        return self.request(method, url, **options)

    def get(self, url: URLTypes, **options: Any) -> Response:
        return self.request("GET", url, **options)

    def options(self, url: URLTypes, **options: Any) -> Response:
        return self.request("OPTIONS", url, **options)

    def head(self, url: URLTypes, **options: Any) -> Response:
        return self.request("HEAD", url, **options)

    def post(self, url: URLTypes, data: DataTypes = None, json: Any = None, **options: Any) -> Response:
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: URLTypes, data: DataTypes = None, **options: Any) -> Response:
        return self.request("PUT", url, data=data, **options)

    def patch(self, url: URLTypes, data: DataTypes = None, **options: Any) -> Response:
        return self.request("PATCH", url, data=data, **options)

    def delete(self, url: URLTypes, **options: Any) -> Response:
        return self.request("DELETE", url, **options)

    def build_request(
        self,
        method: str,
        url: URLTypes,
        *,
        params: ParamTypes = None,
        data: DataTypes = None,
        json: Any = None,
        content: ContentTypes = None,
        headers: HeaderTypes = None,
    ) -> Request:
        """The request as ``send`` takes it. The client's headers are in it."""
        if not isinstance(url, str):
            url = url_text(url)
        if self._base_url:
            url = join(self._base_url, url)
        if self._params:
            url = with_params(url, self._params)
        if params is not None:
            url = with_params(url, params)
        body, kind = body_of(data, json, content)
        request = Request(method, url, content=body)
        if headers is None and kind is None:
            request._client_headers = self._headers
            return request
        merged = self._headers.copy()
        given = Headers(headers)
        if kind is not None and "content-type" not in given:
            merged["content-type"] = kind
        merged.update(given)
        request._headers = merged
        return request

    def send(
        self,
        request: Request,
        *,
        auth: AuthTypes = UNSET,
        timeout: TimeoutTypes = UNSET,
        follow_redirects: bool | None = None,
        stream: bool = False,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> Response:
        native = self._native()
        if not isinstance(request, Request):
            raise TypeError(f"request is a Request, as build_request makes it, not {type(request).__name__}")
        if auth is UNSET:
            auth = self._auth
        if auth is not None:
            request = authenticate(request, auth)
        if timeout is UNSET:
            limits = self._timeout
        else:
            limits = timeout if isinstance(timeout, Timeout) else Timeout(timeout)
        follow = self._follow_redirects if follow_redirects is None else _settings.flag(follow_redirects, "follow_redirects")
        _settings.flag(stream, "stream")
        _settings.optional_callable(on_progress, "on_progress")
        config, _kept = self._configure(request, limits, follow)
        exchange = Exchange(native, request, on_progress)
        try:
            # A whole response is likely there when its first body bytes are; a stream wants to begin at once.
            exchange.perform(config, _native.UNTIL_HEAD if stream else _native.UNTIL_BODY)
            response = self._response(exchange, follow, stream)
        except BaseException as error:
            exchange.close()
            if isinstance(error, HTTPError) and error.request is None:
                error.request = request
            raise
        return response

    def __reduce__(self) -> Any:
        # Also what the copy module goes by.
        raise TypeError("a Client, which holds connections, can be neither pickled nor copied: make one in each process")

    # The end.

    def close(self) -> None:
        """Ends what is under way and closes the connections. A second call does nothing."""
        self._closed = True
        if self._finalizer is not None:
            self._finalizer.detach()
        box, self._box = self._box, []
        for native in box:
            if native.generation == _native.generation:
                _native.client_shutdown(native.pointer, 0)

    def __enter__(self) -> Client:
        if self._closed:
            raise ClientClosed("the client is closed")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def stats(self) -> dict[str, int]:
        """The library's counters of this client: connections opened and reused, task polls, jobs, and so on."""
        stats = _native.Stats(struct_size=sizeof(_native.Stats))
        # Held, so that a close on another thread does not free it meanwhile.
        native = self._native()
        status = _native.client_stats(native.pointer, byref(stats))
        if status:
            raise describe(kind_of(status), status, None, None, None)
        return {field[0]: getattr(stats, field[0]) for field in _native.Stats._fields_[1:]}

    def hitches(self, *, reset: bool = False) -> dict[str, Any]:
        """How long the library kept a thread, in seconds: its longest step, which is the least that it does without giving
        way, and its polls.

        ``kind`` is what the longest step was about: start, resolve, tls_start, tls_handshake, send, head, body, redirect or
        idle, or none if there was no step yet. ``poll_counts[i]`` counts the polls shorter than 16 << i microseconds and no
        shorter than ``poll_counts[i - 1]`` says, the last element all longer ones. The calls of this package wait instead of
        polling, so there are no polls unless somebody drives the client through the C interface. ``reset`` counts anew from
        here on.
        """
        hitches = _native.Hitches(struct_size=sizeof(_native.Hitches))
        native = self._native()
        status = _native.client_hitches(native.pointer, int(reset), byref(hitches))
        if status:
            raise describe(kind_of(status), status, None, None, None)
        kind = hitches.longest_step_kind
        known = 0 <= kind < len(_native.STEP_KINDS)
        return {
            "longest_step": hitches.longest_step_ns / 1e9,
            "kind": _native.STEP_KINDS[kind] if known else str(kind),
            "polls": hitches.polls,
            "longest_poll": hitches.longest_poll_ns / 1e9,
            "poll_counts": list(hitches.poll_counts),
        }

    # Inside.

    def _create(self) -> NativeClient:
        errors = _spawn.HookErrors()
        config = _native.ClientConfig(struct_size=sizeof(_native.ClientConfig))
        # Requests run on the thread that makes them; no thread is started for nothing.
        config.worker_threads = 0
        config.trust = _native.TRUST_PEM_ONLY if self._pem is not None else self._trust
        config.tls_verify_off = self._verify_off
        # None of the library's: it is a header of the client, to be seen and left out.
        config.user_agent, config.user_agent_len = b"", 0
        if self._pem is not None:
            config.ca_pem, config.ca_pem_len = self._pem, len(self._pem)
        keep = None
        if self._hook is not None:
            keep = _spawn.callback(self._hook, errors)
            config.spawn_ask = self._ask
            config.spawn_callback = keep
            config.job_timeout_ms = self._job_timeout_ms
        return NativeClient(config, keep, errors, self._verify_name)

    def _native(self) -> NativeClient:
        box = self._box
        if not box:
            raise ClientClosed("the client is closed")
        native = box[0]
        if native.generation == _native.generation:
            return native
        with _renew_lock:
            # After a fork: the parent's connections are the parent's.
            if box and box[0].generation != _native.generation:
                box[0] = self._create()
            return box[0]

    def _configure(self, request: Request, limits: Timeout, follow: bool) -> tuple[Any, Any]:
        """The native request, and what must live until it is created."""
        config = _native.RequestConfig.from_buffer_copy(_REQUEST)
        if request.method != "GET":
            config.method = method = header_bytes(request.method, "name")
            config.method_len = len(method)
        try:
            url = request.url.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InvalidURL(f"the URL has characters that UTF-8 cannot hold: {error}", request=request) from None
        config.url = url
        config.url_len = len(url)
        if request._headers is None and request._client_headers is self._headers:
            items, kept = self._headers._items, self._encoded
            if kept is None or kept[0] is not items:
                kept = self._encoded = (items, _encode(self._headers))
            encoded = kept[1]
        else:
            encoded = _encode(request.headers)
        if encoded[2]:
            config.headers = encoded[0]
            config.headers_count = encoded[2]
        if request.content is not None:
            # It may have been set since.
            if not isinstance(request.content, bytes):
                raise TypeError(f"a request's content is bytes, not {type(request.content).__name__}")
            config.body = request.content
            config.body_len = len(request.content)
        if not follow or self.max_redirects == 0:
            config.redirects_max = -1
        else:
            config.redirects_max = self.max_redirects
        if self._allow_insecure:
            config.redirect_downgrade_allowed = 1
        (
            config.resolve_timeout_ms,
            config.connect_timeout_ms,
            config.tls_timeout_ms,
            config.send_timeout_ms,
            config.first_byte_timeout_ms,
            config.idle_timeout_ms,
            config.queue_timeout_ms,
            config.total_timeout_ms,
        ) = limits._ms
        detail = _native.ErrorDetail(struct_size=_native.ERROR_DETAIL_SIZE)
        config.error = pointer(detail)
        return config, (encoded, detail)

    def _response(self, exchange: Exchange, follow: bool, stream: bool) -> Response:
        request, info = exchange.request, exchange.info
        # A body that fails before anybody streams it still shows its head.
        if not (stream and info.http_status):
            exchange.raise_if_failed()
        head = exchange.head(_native.HEAD_FINAL, shared=False)
        if head is None:
            exchange.raise_if_failed()
            raise describe(HTTPError, _native.E_NO_HEAD, None, request, None)
        response = Response(head, request, exchange)
        response.default_encoding = self.default_encoding
        if info.hops:
            response.history, response.request = _history(exchange, info.hops)
        if follow and self.max_redirects == 0 and response.is_redirect:
            raise TooManyRedirects(
                f"{redacted(response.url)} redirects, and max_redirects is 0", request=request, response=response
            )
        if stream:
            return response
        if not info.terminal and 0 <= info.body_total <= _WHOLE_BYTES:
            exchange.wait(_native.UNTIL_DONE)
            exchange.raise_if_failed()
        if info.terminal:
            content = exchange.read_buffered()
            if content is not None:
                response._content = content
                response._take_info(exchange, info)
                response._exchange = None
                exchange.close()
                return response
        response.read()
        return response


Session = Client

# A body of this size fits the library's buffer (256 KiB by default), so that waiting for its end cannot stall.
_WHOLE_BYTES = 128 * 1024
_REQUEST = bytes(_native.RequestConfig(struct_size=sizeof(_native.RequestConfig)))


def _with_agent(headers: HeaderTypes) -> Headers:
    """A client's headers: with its name, unless they bring one or say None. The library adds Host and Accept."""
    own = Headers(headers)
    if not any(name == b"user-agent" for name, _, _ in own._items):
        own._items.insert(0, (b"user-agent", b"User-Agent", f"valtron_http/{_native.VERSION}".encode("ascii")))
    return own


def _history(exchange: Exchange, hops: int) -> tuple[list[Response], Request]:
    """The redirects followed, and the request that was answered in the end."""
    heads, requests = exchange.sent(hops)
    found: list[Response] = []
    for head, request in zip(heads, requests):
        response = Response(head, request)
        response._content = b""
        response.history = list(found)
        found.append(response)
    return found, requests[-1]


def _encode(headers: Headers) -> tuple[Any, Any, int]:
    """A native header array. Its bytes objects are kept alive by the list beside it."""
    raw = headers.raw
    rows: list[Any] = [(name, len(name), value, len(value)) for name, value in raw]
    lines = (_native.HeaderLine * len(raw))(*rows)
    return lines, raw, len(raw)


_shared: Client | None = None
_shared_lock = allocate_lock()


def shared(verify: Any, trust: str) -> Client:
    """The client behind ``valtron_http.get`` and its like; one of its own for other certificates."""
    global _shared
    if verify is not True or trust != "bundled":
        return Client(verify=verify, trust=trust)
    client = _shared
    if client is None:
        with _shared_lock:
            if _shared is None:
                _shared = Client()
                # It is nobody's to close.
                if _shared._finalizer is not None:
                    _shared._finalizer.detach()
            client = _shared
    return client
