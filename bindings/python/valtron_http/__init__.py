"""An HTTP client over the native library valtron_http.

>>> import valtron_http
>>> response = valtron_http.get("https://example.org/")    # doctest: +SKIP
>>> response.status_code                                   # doctest: +SKIP
200

The names are those of httpx, with those of requests beside them.
"""

from __future__ import annotations

from . import exceptions
from ._build import BasicAuth
from ._client import Client, Session, shared
from ._codes import codes
from ._models import Headers, Progress, Request, Step, Timeout, Timings
from ._native import VERSION as __version__
from ._response import Response
from ._spawn import Job, Spawn
from .exceptions import *  # noqa: F403

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# ``Timeout`` is the class of limits, as in httpx; the exception is ``TimeoutException``, or ``exceptions.Timeout``.


def request(method: str, url: Any, *, verify: Any = True, trust: str = "bundled", **options: Any) -> Response:
    """Sends a request on a client that all such calls share. ``options`` as for ``Client.request``, and ``verify``, ``trust``."""
    client = shared(verify, trust)
    try:
        return client.request(method, url, **options)
    finally:
        if (verify is not True or trust != "bundled") and not options.get("stream"):
            client.close()


def stream(method: str, url: Any, **options: Any) -> Response:
    """``request(..., stream=True)``, for a ``with`` statement."""
    return request(method, url, **{**options, "stream": True})


def get(url: Any, params: Any = None, **options: Any) -> Response:
    """A GET request; ``options`` as for :func:`request`: ``params``, ``headers``, ``timeout``, ``auth``, ``stream``, ..."""
    return request("GET", url, params=params, **options)


def options(url: Any, **options: Any) -> Response:
    """A OPTIONS request; ``options`` as for :func:`request`: ``params``, ``headers``, ``timeout``, ``auth``, ``stream``, ..."""
    return request("OPTIONS", url, **options)


def head(url: Any, **options: Any) -> Response:
    """A HEAD request; ``options`` as for :func:`request`: ``params``, ``headers``, ``timeout``, ``auth``, ``stream``, ..."""
    return request("HEAD", url, **options)


def post(url: Any, data: Any = None, json: Any = None, **options: Any) -> Response:
    """A POST request with a form, or with ``json`` or ``content``; other ``options`` as for :func:`request`."""
    return request("POST", url, data=data, json=json, **options)


def put(url: Any, data: Any = None, **options: Any) -> Response:
    """A PUT request with a form, or with ``json`` or ``content``; other ``options`` as for :func:`request`."""
    return request("PUT", url, data=data, **options)


def patch(url: Any, data: Any = None, **options: Any) -> Response:
    """A PATCH request with a form, or with ``json`` or ``content``; other ``options`` as for :func:`request`."""
    return request("PATCH", url, data=data, **options)


def delete(url: Any, **options: Any) -> Response:
    """A DELETE request; ``options`` as for :func:`request`: ``params``, ``headers``, ``timeout``, ``auth``, ``stream``, ..."""
    return request("DELETE", url, **options)


def native_library() -> str:
    """The file that was loaded."""
    from ._native import path

    return path


__all__ = [
    *exceptions.__all__,
    "BasicAuth",
    "Client",
    "Headers",
    "Job",
    "Progress",
    "Request",
    "Response",
    "Session",
    "Spawn",
    "Step",
    "Timeout",
    "Timings",
    "__version__",
    "codes",
    "delete",
    "exceptions",
    "get",
    "head",
    "native_library",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "stream",
]
