"""Who listens to the feed: what is wanted, what waits, and what becomes of somebody too slow."""

from typing import Any

import pytest

from jobs.events.entries import Entry
from jobs.events.listener import MOST_BEHIND, MOST_TEXT_BEHIND, TAKEN_AT_ONCE, Interest, Listener, shelves
from jobs.model.event import Event


def event(job_id: str = "j", owner: str = "o", job_type: str = "t") -> Event:
    data = {"job_id": job_id, "job_type": job_type, "owner": owner, "status": "New"}
    return Event(f"{job_id}:1", "created", "2026-11-24T00:00:00.000Z", owner, 1, data)


def entry(number: int, text: str = "{}") -> Entry:
    return Entry(f"{number}-0", event(), text)


class Line:
    """A client's connection."""

    def __init__(self) -> None:
        self.cuts = 0

    def cut(self) -> None:
        self.cuts += 1


def listener(line: Line | None = None) -> Listener:
    return Listener(Interest(), "0-0", (line or Line()).cut)


def taken(by: Listener) -> list[int]:
    """Everything that waits, until there is nothing more."""
    numbers: list[int] = []
    while found := by.take(0.01):
        assert len(found) <= TAKEN_AT_ONCE
        numbers += [int(each.id.split("-")[0]) for each in found]
    return numbers


@pytest.mark.parametrize("count", [0, 1, TAKEN_AT_ONCE - 1, TAKEN_AT_ONCE, TAKEN_AT_ONCE + 1, MOST_BEHIND])
def test_all_that_was_told_is_taken_once_and_in_order(count: int) -> None:
    one = listener()
    for number in range(count):
        one.tell(entry(number))
    assert taken(one) == list(range(count))
    assert not one.is_closed


def test_one_that_is_too_far_behind_is_cut_once_and_holds_nothing() -> None:
    line = Line()
    slow = listener(line)
    for number in range(3 * MOST_BEHIND):
        slow.tell(entry(number))
    assert (slow.is_closed, line.cuts, taken(slow)) == (True, 1, [])


def test_long_events_count_by_their_length() -> None:
    line = Line()
    slow = listener(line)
    for number in range(4):
        slow.tell(entry(number, "x" * (MOST_TEXT_BEHIND // 2)))
    assert (slow.is_closed, line.cuts) == (True, 1)


def test_one_that_keeps_up_is_never_cut() -> None:
    line = Line()
    quick = listener(line)
    for number in range(10):
        quick.tell(entry(number, "x" * MOST_TEXT_BEHIND))
        assert taken(quick) == [number]
    assert line.cuts == 0


def test_closing_wakes_who_waits_and_cuts_nobody() -> None:
    line = Line()
    one = listener(line)
    one.close()
    assert one.take(60) == []
    assert (one.is_closed, line.cuts) == (True, 0)


@pytest.mark.parametrize(
    ("interest", "is_wanted"),
    [
        ({}, True),
        ({"job_id": "j"}, True),
        ({"job_id": "x"}, False),
        ({"owner": "o"}, True),
        ({"owner": "x"}, False),
        ({"job_type": "t"}, True),
        ({"owner": "o", "job_type": "x"}, False),
        ({"owner": "o", "job_type": "t"}, True),
        ({"job_id": "j", "owner": "x"}, False),
    ],
)
def test_what_is_wanted_stands_on_a_shelf_that_is_looked_at(interest: dict[str, Any], is_wanted: bool) -> None:
    wanted = Interest(**interest)
    assert wanted.covers(event()) is is_wanted
    if is_wanted:
        assert wanted.shelf in shelves(event())
