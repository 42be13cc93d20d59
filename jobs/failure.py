"""What went wrong with a job, as its ``error``: ``{"type", "message", "retryable"}``."""

import json
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from celery.exceptions import NotRegistered

from jobs.errors import JobError

LONGEST_MESSAGE = 2000

_KNOWN: tuple[tuple[type[BaseException], str, str], ...] = (
    (SoftTimeLimitExceeded, "time-limit", "The job ran longer than its soft time limit."),
    (TimeLimitExceeded, "time-limit", "The job ran longer than its hard time limit; its process was ended."),
    (MemoryError, "memory-limit", "The job needed more memory than its process may have."),
    (NotRegistered, "unknown-job-type", "The worker that received the job does not know its type."),
)


def error_of(exception: Any) -> str:
    """The error of a job that ended with ``exception``, as JSON text. Never a traceback."""
    if isinstance(exception, JobError):
        return _json(exception.error_type, exception.message, exception.retryable)
    if isinstance(exception, WorkerLostError):
        return lost(str(exception).partition(" Job: ")[0])
    for kind, name, message in _KNOWN:
        if isinstance(exception, kind):
            return _json(name, message, False)
    return _json(type(exception).__name__, str(exception) or type(exception).__name__, False)


def lost(why: str = "") -> str:
    """The error of an attempt whose process died; ``why`` as far as that is known."""
    return _json("worker-lost", "The process that ran the job died" + (f": {why}" if why else "."), True)


def _json(error_type: str, message: str, retryable: bool) -> str:
    shown = message.encode("utf-8", "replace").decode()[:LONGEST_MESSAGE]
    error = {"type": error_type, "message": shown, "retryable": retryable}
    return json.dumps(error, ensure_ascii=False, separators=(",", ":"))


WORKER_LOST = lost()
