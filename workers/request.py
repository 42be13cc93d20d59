"""Celery's request of one job, in a worker's main process: it knows which process runs the job, and its message."""

import os
from collections.abc import Iterable
from functools import partial
from typing import Any

from celery.app.task import Context
from celery.exceptions import Ignore, InvalidTaskError
from celery.worker import state
from celery.worker.request import Request
from kombu.utils.compat import detect_environment

from jobs.model.failure import failure_of
from workers.holder import holder

OF_CELERY = frozenset(vars(Context)) | {"lang", "task", "argsrepr", "kwargsrepr", "compression"}
"""What Celery knows of in a message's headers; the others it hands to the task once more, as ``request.headers``."""
CALLED_AFTERWARDS = ("callbacks", "errbacks", "chain", "chord")


class NotRunnable(Ignore):  # type: ignore[misc]
    """Raised in the process that was to run a job: its message is to be set aside. Its text is the reason."""


class JobRequest(Request):  # type: ignore[misc]
    """What the main process reports of a job (a time limit, a lost process) carries that process's name."""

    def __init__(self, message: Any, *, decoded: bool = False, **options: Any) -> None:
        if not decoded:  # its body is read here in any case; the process that runs the job need not read it again
            options["body"] = message.payload
        super().__init__(message, decoded=True, **options)
        why = self._why_not_ours()
        if why is not None:
            raise InvalidTaskError(why)
        headers = self._request_dict  # the process that runs the job need not look for them, which takes it longer
        headers.setdefault("headers", {name: headers[name] for name in headers.keys() - OF_CELERY} or None)

    def _why_not_ours(self) -> str | None:
        """What our own messages never hold: it all would be done to the job, or in its name, without its record."""
        arguments, options, embed = self._payload
        if arguments or options:
            return f"a job has its parameters in its record, and {self.name} takes no arguments"
        for name in CALLED_AFTERWARDS:
            if (embed or {}).get(name) or self.request_dict.get(name):
                return f"a job calls no others: {name}"
        if self.eta is not None or self.expires is not None:
            return "a job has its time in its record: eta or expires"
        return None

    def on_failure(self, exc_info: Any, **options: Any) -> Any:
        error = exc_info.exception
        error = getattr(error, "exc", error)  # billiard's wrapper
        if isinstance(error, NotRunnable):
            state.task_ready(self)
            settle = partial(super().on_failure, exc_info, **options)
            return self.task.set_aside(self.message, str(error), settle)
        if isinstance(error, MemoryError):  # its process could not report; Celery would end this one too
            exc_info.exception, options["return_ok"] = failure_of(error), False
        return super().on_failure(exc_info, **options)

    @property
    def process(self) -> int | None:
        return process_of(self)

    @property
    def holder(self) -> str:
        """'' until a process has taken it."""
        return holder(self.process) if self.process else ""

    @property
    def _context(self) -> Any:
        """Celery's, which is made when it is asked for first: for most jobs never."""
        context = super()._context
        context.holder = self.holder
        return context


def held() -> list[JobRequest]:
    """Every job that this worker has fetched or runs; safe in any thread.

    One that was cancelled and retried may be there twice: the attempt that counts no more goes on until it is told.
    """
    return [request for request in _all() if isinstance(request, JobRequest)]


def plain_tasks() -> list[Request]:
    """Every plain Celery task that this worker has fetched or runs, and has not acknowledged; safe in any thread."""
    return [request for request in _all() if not (isinstance(request, JobRequest) or request.acknowledged)]


def process_of(request: Request) -> int | None:
    """The pid of the process that runs it; None until one has taken it.

    A pool of greenlets tells Celery the number of a greenlet in place of a pid: it is in this process.
    """
    if not request.worker_pid:
        return None
    return int(request.worker_pid) if detect_environment() == "default" else os.getpid()


def _all() -> set[Request]:
    return {*_members(state.requests.values()), *_members(state.active_requests)}


def _members(requests: Iterable[Request]) -> list[Request]:
    while True:
        try:
            return list(requests)
        except RuntimeError:  # it changed meanwhile
            continue
