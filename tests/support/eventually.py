"""Waiting for something to become true, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LATE_BY = 0.05
MOST_PAUSE = 0.25


def eventually(check: Callable[[], T], within: float = 5.0, every: float = 0.02) -> T:
    """Ask until ``check`` gives something true, and give that; fail at the deadline.

    ``every`` so many seconds at first. Who has waited for long asks less often (to ask takes CPU time that others could
    use), and is late by a twentieth of its wait, a quarter of a second at most.
    """
    began = time.monotonic()
    while True:
        value = check()
        if value:
            return value
        waited = time.monotonic() - began
        assert waited < within, f"not true within {within} s; the last answer was {value!r}"
        time.sleep(max(every, min(waited * LATE_BY, MOST_PAUSE)))
