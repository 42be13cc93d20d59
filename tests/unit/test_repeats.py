"""The filter for events that come again."""

import pytest

from jobs.model.event import Event
from subscribers import without_repeats


def event(event_id: str) -> Event:
    return Event(event_id, "created", "", "me", 1, {})


def test_an_event_that_comes_again_is_left_out() -> None:
    seen: list[str] = []
    handle = without_repeats(lambda each: seen.append(each.id))
    for event_id in ("a:1", "a:2", "a:1", "b:1", "a:2"):
        handle(event(event_id))
    assert seen == ["a:1", "a:2", "b:1"]


def test_it_decorates() -> None:
    seen: list[str] = []

    @without_repeats
    def handle(each: Event) -> None:
        seen.append(each.id)

    handle(event("a:1"))
    handle(event("a:1"))
    assert seen == ["a:1"]


def test_one_that_failed_is_handled_when_it_comes_again() -> None:
    seen: list[str] = []

    def fail_once(each: Event) -> None:
        seen.append(each.id)
        if len(seen) == 1:
            raise RuntimeError("not yet")

    handle = without_repeats(fail_once)
    with pytest.raises(RuntimeError, match="not yet"):
        handle(event("a:1"))
    handle(event("a:1"))
    handle(event("a:1"))
    assert seen == ["a:1", "a:1"]


def test_it_remembers_a_number_of_events_and_the_latest_of_them() -> None:
    seen: list[str] = []
    handle = without_repeats(lambda each: seen.append(each.id), remember=2)
    for event_id in ("1", "2", "3", "3", "2", "1"):
        handle(event(event_id))
    assert seen == ["1", "2", "3", "1"]
