"""From what a caller writes to what is sent: bodies, query strings, authentication."""

from __future__ import annotations

from ._models import Request, is_absolute
from .exceptions import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Union

    URLTypes = Union[str, Any]
    ParamTypes = Union[Mapping[str, Any], Iterable[tuple[str, Any]], str, bytes, None]
    DataTypes = Union[Mapping[str, Any], Iterable[tuple[str, Any]], str, bytes, None]
    ContentTypes = Union[bytes, bytearray, memoryview, str, Iterable[bytes], None]
    AuthTypes = Union[tuple[Any, Any], Callable[[Request], Any], None]


def url_text(url: Any, name: str = "url") -> str:
    """Objects that stand for a URL are taken by their ``str``; what surely is a slip is refused."""
    if isinstance(url, str):
        return url
    if isinstance(url, bytes):
        return url.decode("utf-8", "surrogateescape")
    if url is None or isinstance(url, (int, float, list, tuple, dict, set)):
        raise TypeError(f"{name} is a str, not {type(url).__name__}")
    return str(url)


def join(base: str, url: str) -> str:
    """*url* below the path of *base*, unless it is absolute."""
    if is_absolute(url):
        return url
    if not url:
        return base
    return base.partition("#")[0].partition("?")[0].rstrip("/") + "/" + url.lstrip("/")


def body_of(data: DataTypes, json: Any, content: ContentTypes) -> tuple[bytes | None, str | None]:
    """The body's bytes and its content type."""
    if json is None and data is None and content is None:
        return None, None
    if isinstance(data, (dict, list, tuple)) and not data:
        data = None
    given = [name for name, value in (("content", content), ("data", data), ("json", json)) if value is not None]
    if not given:
        return None, None
    if len(given) > 1:
        raise TypeError(f"a request has one body, not {' and '.join(given)}")
    if json is not None:
        from json import dumps

        try:
            text = dumps(json, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise (TypeError if isinstance(error, TypeError) else ValueError)(f"json: {error}") from error
        return text.encode("utf-8"), "application/json"
    if data is not None:
        if not isinstance(data, (str, bytes, bytearray, memoryview)) and (
            hasattr(data, "items") or isinstance(data, (list, tuple))
        ):
            from urllib.parse import urlencode

            return urlencode(_pairs(data, "data")).encode("ascii"), "application/x-www-form-urlencoded"
        return _bytes_of(data, "data"), None
    return _bytes_of(content, "content"), None


def _bytes_of(content: Any, name: str) -> bytes:
    read = getattr(content, "read", None)
    if read is not None:
        content = read()
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode("utf-8")
    if isinstance(content, (bytearray, memoryview)):
        return bytes(content)
    try:
        if hasattr(content, "items"):
            raise TypeError
        return b"".join(content)
    except TypeError:
        raise TypeError(
            f"{name} is bytes, a str, a file or pieces of bytes, not {type(content).__name__}; json= and data= take a dict"
        ) from None


def checked_pairs(fields: Any, what: str) -> list[tuple[str, Any]]:
    """The names and values of a mapping or of pairs. Nothing is taken from the values."""
    try:
        given = [(name, value) for name, value in (fields.items() if hasattr(fields, "items") else fields)]
    except (TypeError, ValueError):
        raise TypeError(f"{what} is a mapping or pairs of a name and a value, not {fields!r}") from None
    for name, value in given:
        if hasattr(value, "items"):
            raise TypeError(f"{what}: the value of {name!r} is a dict, which has no form that servers agree on")
    return given


def _pairs(fields: Any, what: str) -> list[tuple[str, Any]]:
    """Several values repeat their key, None drops it, True and False are lower case."""
    pairs: list[tuple[str, Any]] = []
    for name, value in checked_pairs(fields, what):
        for one in value if hasattr(value, "__iter__") and not isinstance(value, (str, bytes)) else (value,):
            if one is None:
                continue
            pairs.append((name, str(one).lower() if isinstance(one, bool) else one))
    return pairs


def query_text(params: str | bytes) -> str:
    if isinstance(params, str):
        return params
    try:
        return params.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"params: bytes that are no UTF-8: {error}") from None


def with_params(url: str, params: Any) -> str:
    if isinstance(params, (str, bytes)):
        params = query_text(params)
        params = params[1:] if params.startswith("?") else params
    else:
        from urllib.parse import urlencode

        params = urlencode(_pairs(params, "params"))
    if not params:
        return url
    url, mark, fragment = url.partition("#")
    joint = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
    return f"{url}{joint}{params}{mark}{fragment}"


class BasicAuth:
    """Basic authentication; what ``auth=(user, password)`` becomes."""

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        from binascii import b2a_base64

        for text in (username, password):
            if not isinstance(text, (str, bytes)):
                raise TypeError(f"auth: a user and a password are str or bytes, not {type(text).__name__}")
        user, secret = (x.encode("utf-8") if isinstance(x, str) else x for x in (username, password))
        self._value = b"Basic " + b2a_base64(user + b":" + secret, newline=False)

    def __call__(self, request: Request) -> Request:
        request.headers["authorization"] = self._value
        return request


def authenticate(request: Request, auth: Any) -> Request:
    if isinstance(auth, tuple) and len(auth) == 2:
        auth = BasicAuth(*auth)
    if not callable(auth):
        raise InvalidArgument("auth is a tuple (user, password) or a callable that takes the request")
    # The caller's request stays as it is.
    copy = Request(request.method, request.url, headers=request.headers, content=request.content)
    changed = auth(copy)
    return changed if isinstance(changed, Request) else copy
