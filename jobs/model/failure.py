"""What went wrong with a job, as its ``error``: ``{"type", "message", "retryable"}``."""

import json
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from celery.exceptions import NotRegistered

from jobs.errors import JobError
from jobs.text import text_of

LONGEST_MESSAGE = 2000
LONGEST_TYPE = 100

_KNOWN: tuple[tuple[type[BaseException], str, str], ...] = (
    (SoftTimeLimitExceeded, "time-limit", "The job ran longer than its soft time limit."),
    (TimeLimitExceeded, "time-limit", "The job ran longer than its hard time limit; its process was ended."),
    (MemoryError, "memory-limit", "The job needed more memory than its process may have."),
    (NotRegistered, "unknown-job-type", "The worker that received the job does not know its type."),
)


def error_of(exception: Any) -> str:
    """The error of a job that ended with ``exception``, as JSON text. Never a traceback."""
    failure = failure_of(exception)
    error = {"type": failure.error_type, "message": failure.message, "retryable": failure.retryable}
    return json.dumps(error, ensure_ascii=False, separators=(",", ":"))


def failure_of(exception: BaseException, *, retryable: bool = False) -> JobError:
    """``exception`` as a job is told to have failed with it, whatever that is: short, and fit for another process.

    It is ``retryable`` when asked for, or when ``exception`` says so itself.
    """
    error_type, message, says_so = _told(exception)
    return JobError(message[:LONGEST_MESSAGE], retryable=retryable or says_so, error_type=error_type[:LONGEST_TYPE])


def _told(exception: BaseException) -> tuple[str, str, bool]:
    """Type, message, and whether it is worth another attempt."""
    name, text = text_of(type(exception).__name__), text_of(exception)
    match exception:
        case JobError():  # its class may be somebody else's, who has not called our __init__
            error_type, message = getattr(exception, "error_type", name), getattr(exception, "message", text or name)
            return text_of(error_type), text_of(message), bool(getattr(exception, "retryable", False))
        case WorkerLostError():
            why = text.partition(" Job: ")[0]
            return "worker-lost", "The process that ran the job died" + (f": {why}" if why else "."), True
        case SystemExit():
            return name, f"The job function called sys.exit({_shown(exception.code)}).", False
    for kind, known, message in _KNOWN:
        if isinstance(exception, kind):
            return known, message, False
    return name, text or name, False


def _shown(code: object) -> str:
    """The argument of ``sys.exit``, as one writes it."""
    if code is None:
        return ""
    return repr(code) if isinstance(code, int | str) else text_of(code)


WORKER_LOST = error_of(WorkerLostError())
