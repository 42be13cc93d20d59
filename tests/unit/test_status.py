"""The table of moves."""

import pytest

from jobs.model.status import CELERY_STATE_OF, FINAL, TRANSITIONS, Status, sources_of


def test_every_status_has_its_moves_and_its_celery_state() -> None:
    assert set(TRANSITIONS) == set(CELERY_STATE_OF) == set(Status)
    assert len(set(CELERY_STATE_OF.values())) == len(Status)


def test_the_final_statuses_are_those_that_nothing_follows() -> None:
    assert {Status.COMPLETED, Status.FAILED, Status.CANCELLED} == FINAL
    assert all(status.is_final == (not TRANSITIONS[status]) for status in Status)


@pytest.mark.parametrize("target", list(Status))
def test_sources_are_the_moves_read_backwards(target: Status) -> None:
    assert sources_of(target) == {source for source in Status if target in TRANSITIONS[source]}


def test_every_status_can_be_reached_from_new() -> None:
    reached, frontier = {Status.NEW}, {Status.NEW}
    while frontier:
        frontier = {t for s in frontier for t in TRANSITIONS[s]} - reached
        reached |= frontier
    assert reached == set(Status)
