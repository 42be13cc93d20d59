"""What is remembered of the submits of the last seconds: bounded in time and in bytes."""

import time

import pytest

from jobs.store import recent_submits
from jobs.store.recent_submits import KEPT_FOR, RecentSubmits


def remembered(submits: RecentSubmits) -> list[str]:
    return list(submits.latest())


def remember(submits: RecentSubmits, any_id: str, text: str = "") -> None:
    submits.remember(any_id, "submit", [any_id], [text, 5], bound=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_what_was_accepted_shortly_before_the_loss_is_remembered_in_order(clock: list[float]) -> None:
    submits = RecentSubmits()
    for number in range(5):
        remember(submits, str(number))
        clock[0] += 1.0
    assert remembered(submits) == ["2", "3", "4"]
    clock[0] += 1.5
    assert remembered(submits) == ["4"]


def test_a_silence_that_is_noticed_late_puts_nothing_out_of_doubt(clock: list[float]) -> None:
    submits = RecentSubmits()
    remember(submits, "safe")
    clock[0] += 4.0
    submits.heard()
    for number in range(3):  # the last perhaps by another server in its place
        remember(submits, str(number))
        clock[0] += 4.0
    assert remembered(submits) == ["0", "1", "2"]
    submits.heard()
    assert remembered(submits) == []


def test_it_is_not_bound_by_how_many_wait(clock: list[float]) -> None:
    submits = RecentSubmits()
    submits.remember("a", "submit", ["k"], ["x", 100, "y"], bound=1)
    assert submits.latest()["a"].args == ["x", 0, "y"]


def test_nothing_is_remembered_for_longer_than_that(clock: list[float]) -> None:
    submits = RecentSubmits()
    remember(submits, "old")
    clock[0] += KEPT_FOR + 0.1
    remember(submits, "new")
    clock[0] -= KEPT_FOR
    assert remembered(submits) == ["new"]


def test_what_is_forgotten_does_not_come_back(clock: list[float]) -> None:
    submits = RecentSubmits()
    for name in ("a", "b"):
        remember(submits, name)
    submits.forget("a")
    submits.forget("unknown")
    assert remembered(submits) == ["b"]


def test_of_too_many_bytes_the_oldest_go(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_submits, "MOST_BYTES", 100)
    submits = RecentSubmits()
    for name in ("a", "b", "c"):
        remember(submits, name, "x" * 40)
    assert remembered(submits) == ["b", "c"]
    remember(submits, "huge", "x" * 101)
    assert remembered(submits) == []
    remember(submits, "d", "x" * 100)
    assert remembered(submits) == ["d"]


def test_a_submit_that_is_repeated_counts_once(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_submits, "MOST_BYTES", 100)
    submits = RecentSubmits()
    for _ in range(10):
        remember(submits, "a", "x" * 60)
    assert remembered(submits) == ["a"]
