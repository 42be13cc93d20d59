"""Waiting for something to become true, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], within: float = 5.0, every: float = 0.02) -> T:
    """Ask ``every`` so many seconds until ``check`` gives something true, and give that; fail at the deadline."""
    deadline = time.monotonic() + within
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"not true within {within} s; the last answer was {value!r}"
        time.sleep(every)
