"""What a job function may raise, some of which Celery takes for an order, or cannot send to another process."""

import sys
import threading
from asyncio import CancelledError
from collections.abc import Callable
from typing import Any

from celery.exceptions import Ignore, Reject, Retry

from jobs.errors import JobError


class TwoArguments(Exception):
    """Cannot be made anew of its ``args``, as pickle would."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


class WithLock(Exception):
    """Cannot be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


class WithoutText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class BadRow(JobError):
    """Knows nothing of what a JobError is made with."""

    def __init__(self, row: int) -> None:
        self.row = row


def of_a_function() -> Exception:
    class ParseError(ValueError):
        pass

    return ParseError("line 3")


RAISED: dict[str, Callable[[], Any]] = {
    "two arguments": lambda: TwoArguments(7, "bad"),
    "a lock": lambda: WithLock("held"),
    "a class of a function": of_a_function,
    "no text": WithoutText,
    "Ignore": lambda: Ignore("x"),
    "Reject": lambda: Reject("x", requeue=True),
    "Retry": lambda: Retry("x"),
    "a number": lambda: JobError(123),
    "a JobError with another __init__": lambda: BadRow(4),
    "a long type": lambda: JobError("m", error_type="x" * 1_500_000),
    "a type that is no UTF-8": lambda: JobError("m", error_type="\ud800"),
    "cancelled": CancelledError,
    "KeyboardInterrupt": KeyboardInterrupt,
    "sys.exit()": lambda: sys.exit(),
    "sys.exit(3)": lambda: sys.exit(3),
}
