"""Back-pressure: what is said to a submit that cannot be taken."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from app import pressure as pressure_module
from app.pressure import LONGEST_RETRY_AFTER, UNKNOWN_RETRY_AFTER, Pressure
from jobs.errors import StoreUnavailable


@pytest.fixture(autouse=True)
def _no_look_is_due_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pressure_module, "READ_EVERY", 60.0)


class Server:
    """A store that says these loads, one after the other, and then is away."""

    def __init__(self, *loads: tuple[int, float]) -> None:
        self.loads = deque(loads)

    def load(self) -> tuple[int, float]:
        if not self.loads:
            raise StoreUnavailable("away")
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


class SlowServer(Server):
    """Says its loads too, each once it is told to."""

    def __init__(self, *loads: tuple[int, float]) -> None:
        super().__init__(*loads)
        self.asked = 0
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def load(self) -> tuple[int, float]:
        self.asked += 1
        self.is_asked.set()
        assert self.may_answer.wait(5)
        return super().load()


def _check(one: Pressure) -> None:
    with suppress(StoreUnavailable):
        one.check()


@contextmanager
def looking(one: Pressure, server: SlowServer) -> Iterator[None]:
    """While a submit looks at the server, and has no answer yet."""
    looks = threading.Thread(target=_check, args=(one,), daemon=True)
    looks.start()
    assert server.is_asked.wait(10)
    try:
        yield
    finally:
        server.may_answer.set()
        looks.join(10)


def slow_pressure(*loads: tuple[int, float]) -> tuple[Pressure, SlowServer]:
    server: Any = SlowServer(*loads)
    return Pressure(server), server


def test_of_many_submits_at_once_one_looks_at_the_server_and_none_waits_for_it() -> None:
    one, server = slow_pressure((0, 0.9))
    with looking(one, server):
        for _ in range(300):
            one.check()
        assert one.full(waiting=5, most=5).retry_after == UNKNOWN_RETRY_AFTER
    assert server.asked == 1
    with pytest.raises(StoreUnavailable, match="nearly full"):
        one.check()


def test_while_one_looks_the_others_go_by_the_look_before() -> None:
    one, server = slow_pressure((7, 0.9), (7, 0.1))
    server.may_answer.set()
    one.look(time.monotonic())
    server.may_answer.clear()
    server.is_asked.clear()
    with looking(one, server), pytest.raises(StoreUnavailable, match="nearly full"):
        one.check()
    one.check()
    assert server.asked == 2


def test_a_look_that_fails_is_told_to_whoever_looked_and_the_others_go_on() -> None:
    one = pressure()
    with pytest.raises(StoreUnavailable, match="away"):
        one.check()
    one.check()
