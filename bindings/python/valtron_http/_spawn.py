"""The ``on_spawn`` hook: the library asks before it follows a redirect, computes a TLS handshake step or looks a name up."""

from __future__ import annotations

from ctypes import string_at

from . import _native
from .exceptions import TABLE, JobError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    SpawnHook = Callable[["Spawn"], object]

KINDS = {1: "redirect", 2: "tls", 4: "resolve"}
MASK = 7


class Job:
    """Work taken from the library: ``run()`` it once, on any thread, without the GIL.

    A job never run expires after ``job_timeout`` of the client, and the library does the work itself.
    """

    __slots__ = ("_pointer", "kind")

    def __init__(self, pointer: int, kind: str) -> None:
        self._pointer = pointer
        self.kind = kind

    def run(self) -> None:
        """Does the work. Raises JobError if the job was run before, has expired, or its request ended."""
        status = _native.job_run(self._pointer)
        if status:
            name = TABLE.get(status, ("UNKNOWN", JobError, None))[0]
            error = JobError(f"{self.kind} job: {_native.status_message(status).decode()} ({name})")
            error.status, error.status_name = status, name
            raise error

    def __del__(self, free: Any = _native.job_free) -> None:
        free(self._pointer)


class Spawn:
    """A question. Answer by returning "run" (or None, True), "deny" (or False), or by calling ``take()``.

    ``kind`` is "redirect", "tls" or "resolve"; ``target`` the URL (redirect) or the host; ``port``; ``status`` the redirecting
    response's status or 0; ``step`` counts the steps of one handshake.
    """

    __slots__ = ("kind", "target", "port", "status", "step", "_job", "_taken")

    def __init__(self, kind: str, target: str, port: int, status: int, step: int, job: int | None) -> None:
        self.kind, self.target, self.port, self.status, self.step = kind, target, port, status, step
        self._job = job
        self._taken: Job | None = None

    @property
    def host(self) -> str:
        if self.kind != "redirect":
            return self.target
        from urllib.parse import urlsplit

        return urlsplit(self.target).hostname or ""

    def take(self) -> Job:
        """Takes the work: the host runs the returned job on a thread of its own. Only inside the hook."""
        if self._taken is None:
            if not self._job:
                raise ValueError(f"a {self.kind} question has no work to take")
            self._taken = Job(self._job, self.kind)
            self._job = None
        return self._taken

    def __repr__(self) -> str:
        return f"<Spawn {self.kind} {self.target} port={self.port} status={self.status} step={self.step}>"


class HookErrors(dict):  # type: ignore[type-arg]
    """Exceptions of the hook by request handle, until the call that drives the request raises them."""


def callback(hook: SpawnHook, errors: HookErrors) -> Any:
    """The C callback around *hook*. An exception means deny, and is kept for the request's own call to raise."""

    def answer(_user: object, question: Any, job: Any) -> int:
        asked = question.contents
        spawn = None
        try:
            target = string_at(asked.text, asked.text_len).decode("utf-8", "replace") if asked.text_len else ""
            spawn = Spawn(
                KINDS.get(asked.kind, "unknown"),
                target,
                asked.port,
                asked.http_status,
                asked.step,
                job[0] if job else None,
            )
            said = hook(spawn)
            if spawn._taken is not None:
                return _native.DECISION_TAKE
            if said is None or said is True or said == "run":
                return _native.DECISION_RUN
            if said is False or said == "deny":
                return _native.DECISION_DENY
            if said == "take":
                raise ValueError("on_spawn: to take, call spawn.take() and keep the job")
            raise ValueError(f'on_spawn: "run", "deny" or spawn.take(), not {said!r}')
        except BaseException as error:  # noqa: BLE001
            errors.setdefault(asked.request, error)
            # A job taken before the exception is the host's all the same.
            return _native.DECISION_TAKE if spawn is not None and spawn._taken is not None else _native.DECISION_DENY
        finally:
            if spawn is not None:
                spawn._job = None

    return _native.SpawnCallback(answer)
