"""Back-pressure: what is said to a submit that cannot be taken."""

from collections import deque
from typing import Any

import pytest

from app.pressure import LONGEST_RETRY_AFTER, UNKNOWN_RETRY_AFTER, Pressure
from jobs.errors import StoreUnavailable


class Server:
    """A store that says these loads, one after the other."""

    def __init__(self, *loads: tuple[int, float]) -> None:
        self.loads = deque(loads)

    def load(self) -> tuple[int, float]:
        return self.loads.popleft()


def pressure(*loads: tuple[int, float]) -> Pressure:
    store: Any = Server(*loads)
    return Pressure(store)


def looked(*finished: int) -> Pressure:
    """One that has looked once a second and seen so many jobs ended."""
    seen = pressure(*[(count, 0.0) for count in finished])
    for second in range(len(finished)):
        seen.look(second)
    return seen


@pytest.mark.parametrize("memory", [0.8, 0.99, 1.2])
def test_a_redis_that_is_nearly_full_takes_nothing(memory: float) -> None:
    with pytest.raises(StoreUnavailable, match="nearly full"):
        pressure((0, memory)).check()


def test_with_room_left_a_job_is_taken_and_the_server_is_not_asked_each_time() -> None:
    one = pressure((0, 0.79))
    one.check()
    one.check()


def test_retry_after_is_how_long_the_excess_takes_to_drain() -> None:
    assert looked(0, 10, 20).full(waiting=149, most=100).retry_after == 5


def test_it_stays_within_a_minute_and_above_a_second() -> None:
    assert looked(0, 1).full(waiting=10_000, most=1).retry_after == LONGEST_RETRY_AFTER
    assert looked(0, 1000).full(waiting=1, most=1).retry_after == 1


def test_when_nothing_drains_it_is_a_guess() -> None:
    assert looked(7, 7).full(waiting=5, most=5).retry_after == UNKNOWN_RETRY_AFTER
