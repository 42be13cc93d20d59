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
    (WorkerLostError, "worker-lost", "The process that ran the job died."),
    (NotRegistered, "unknown-job-type", "The worker that received the job does not know its type."),
)


def error_of(exception: Any) -> str:
    """The error of a job that ended with ``exception``, as JSON text. Never a traceback."""
    if isinstance(exception, JobError):
        return _json(exception.error_type, exception.message, exception.retryable)
    for kind, name, message in _KNOWN:
        if isinstance(exception, kind):
            return _json(name, message, False)
    return _json(type(exception).__name__, str(exception) or type(exception).__name__, False)


def _json(error_type: str, message: str, retryable: bool) -> str:
    shown = message.encode("utf-8", "replace").decode()[:LONGEST_MESSAGE]
    error = {"type": error_type, "message": shown, "retryable": retryable}
    return json.dumps(error, ensure_ascii=False, separators=(",", ":"))
