"""What a durable subscriber has in hand: order within a job, and nobody behind another's retry."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.events.group import Entry
from subscribers.backlog import Backlog, Delivery


def delivery(number: int, job: str) -> Delivery:
    return Delivery(Entry(f"{number}-0", job.encode(), b"{}", None))


def backlog_of(*jobs: str) -> tuple[Backlog, list[Delivery]]:
    backlog = Backlog()
    deliveries = [delivery(number, job) for number, job in enumerate(jobs)]
    backlog.add(deliveries)
    return backlog, deliveries


def drained(backlog: Backlog, now: float = 0.0) -> list[str]:
    ids = []
    while each := backlog.due(now):
        ids.append(each.entry.id)
        backlog.done(each)
    return ids


def test_events_are_due_in_the_order_of_the_stream() -> None:
    backlog, _ = backlog_of("a", "b", "a", "c", "b")
    assert drained(backlog) == ["0-0", "1-0", "2-0", "3-0", "4-0"]
    assert len(backlog) == 0


def test_a_retry_holds_up_its_own_job_only() -> None:
    backlog, (first, *_) = backlog_of("a", "a", "b")
    assert backlog.due(0.0) is first
    backlog.retry(first, at=5.0)
    assert backlog.ready == 1
    assert drained(backlog) == ["2-0"]
    assert backlog.next_retry == 5.0
    assert backlog.due(4.9) is None
    assert drained(backlog, now=5.0) == ["0-0", "1-0"]
    assert backlog.next_retry is None


def test_what_is_there_already_is_not_taken_twice() -> None:
    backlog, deliveries = backlog_of("a", "b")
    backlog.add(deliveries)
    assert len(backlog) == 2
    assert drained(backlog) == ["0-0", "1-0"]


def test_entries_that_come_late_are_sorted_among_themselves() -> None:
    backlog = Backlog()
    backlog.add([delivery(10, "a"), delivery(9, "a"), delivery(100, "b")])
    assert drained(backlog) == ["9-0", "10-0", "100-0"]


def test_what_others_have_is_forgotten_and_a_retry_of_the_rest_still_waits() -> None:
    backlog, (first, *_) = backlog_of("a", "a", "b", "b")
    backlog.retry(first, at=5.0)
    backlog.keep_only({"0-0", "1-0", "3-0"})
    assert drained(backlog) == ["3-0"]
    assert drained(backlog, now=5.0) == ["0-0", "1-0"]


def test_the_next_of_a_job_is_due_when_the_one_that_waited_is_gone() -> None:
    backlog, (first, *_) = backlog_of("a", "a")
    backlog.retry(first, at=5.0)
    backlog.keep_only({"1-0"})
    assert drained(backlog) == ["1-0"]


@given(st.lists(st.sampled_from("abc"), max_size=30), st.sets(st.integers(0, 29)), st.data())
def test_the_order_within_a_job_is_kept_whatever_fails(jobs: list[str], failing: set[int], data: st.DataObject) -> None:
    backlog, _ = backlog_of(*jobs)
    handled: dict[bytes, list[str]] = {}
    now = 0.0
    while len(backlog):
        each = backlog.due(now)
        if each is None:
            now = backlog.next_retry or now
        elif int(each.entry.id[:-2]) in failing and data.draw(st.booleans()):
            backlog.retry(each, now + 1.0)
        else:
            backlog.done(each)
            handled.setdefault(each.entry.job, []).append(each.entry.id)
    for job, ids in handled.items():
        assert ids == [f"{number}-0" for number, name in enumerate(jobs) if name.encode() == job]
