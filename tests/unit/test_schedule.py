"""When a failed delivery is tried again."""

import pytest

from subscribers.schedule import Schedule


def test_the_usual_pauses_grow_and_make_a_day() -> None:
    pauses = Schedule().pauses
    assert pauses[:6] == (5, 300, 1800, 7200, 18_000, 36_000)
    assert 24 * 3600 <= sum(pauses) < 25 * 3600


def test_after_the_last_pause_it_is_given_up() -> None:
    schedule = Schedule(pauses=(1, 2), jitter=0)
    assert [schedule.pause(attempt) for attempt in (1, 2, 3, 4)] == [1, 2, None, None]
    assert schedule.pause(3, asked=5) is None


def test_no_two_that_failed_together_come_back_together() -> None:
    pauses = [Schedule().pause(2) for _ in range(50)]
    assert len(set(pauses)) == 50
    assert all(pause is not None and 270 <= pause <= 330 for pause in pauses)


@pytest.mark.parametrize(("asked", "pause"), [(None, 10), (0, 10), (3, 10), (60, 60), (1e9, 6 * 3600)])
def test_what_the_receiver_asks_for_is_the_least_and_bounded(asked: float | None, pause: float) -> None:
    assert Schedule(pauses=(10,), jitter=0).pause(1, asked) == pause
