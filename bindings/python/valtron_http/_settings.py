"""What a caller sets, checked when it is set: an error names the setting, and comes from the line that is wrong."""

from __future__ import annotations

import os

from . import _native, _spawn
from ._build import BasicAuth, checked_pairs, query_text
from .exceptions import InvalidArgument, InvalidCA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def flag(value: Any, name: str) -> bool:
    if value is True or value is False:
        return value
    raise TypeError(f"{name} is True or False, not {value!r}")


def optional_callable(value: Any, name: str) -> Any:
    if value is not None and not callable(value):
        raise TypeError(f"{name} is a callable or None, not {value!r}")
    return value


def authentication(auth: Any) -> Any:
    """A pair stays as it is, to be seen as it was set."""
    if auth is None or callable(auth):
        return auth
    if not isinstance(auth, tuple) or len(auth) != 2:
        raise InvalidArgument("auth is a tuple (user, password) or a callable that takes the request")
    BasicAuth(*auth)
    return auth


def parameters(params: Any) -> Any:
    """A mapping stays the caller's, who may change it; of what can be gone through once the pairs are kept."""
    if params is None:
        return {}
    if isinstance(params, (str, bytes)):
        return query_text(params)
    pairs = checked_pairs(params, "params")
    return params if hasattr(params, "items") else pairs


def verification(verify: Any, name: str) -> tuple[int, bytes | None]:
    """(verification off, PEM to trust alone). *name* is what the caller knows it by."""
    if name == "ca_file" and isinstance(verify, (bool, bytes, bytearray)):
        raise TypeError(f"ca_file is the path of a PEM file, not {verify!r}")
    if verify is True:
        return 0, None
    if verify is False:
        return 1, None
    if isinstance(verify, str) and "-----BEGIN" in verify:
        return 0, verify.encode("ascii", "replace")
    if isinstance(verify, (bytes, bytearray)):
        return 0, bytes(verify)
    try:
        path = os.fspath(verify)
    except TypeError:
        if name == "ca_file":
            raise TypeError(f"ca_file is the path of a PEM file, not {verify!r}") from None
        raise InvalidArgument(f"verify is True, False, a PEM file, PEM text or its bytes, not {verify!r}") from None
    try:
        with open(path, "rb") as file:
            return 0, file.read()
    except OSError as error:
        raise InvalidCA(f"{name}: {path}: {error.strerror}") from error


def trusted(trust: Any) -> int:
    if trust not in ("bundled", "system"):
        raise InvalidArgument(f'trust is "bundled" or "system", not {trust!r}')
    return _native.TRUST_SYSTEM if trust == "system" else _native.TRUST_BUNDLED


def spawn_mask(kinds: Iterable[str] | None) -> int:
    if kinds is None:
        return _spawn.MASK
    by_name = {name: bit for bit, name in _spawn.KINDS.items()}
    if isinstance(kinds, str) or not hasattr(kinds, "__iter__"):
        raise TypeError(f"spawn_kinds are several of {', '.join(by_name)}, not {kinds!r}")
    mask = 0
    for kind in kinds:
        if not isinstance(kind, str) or kind not in by_name:
            raise InvalidArgument(f"spawn_kinds: {', '.join(by_name)}; not {kind!r}")
        mask |= by_name[kind]
    return mask
