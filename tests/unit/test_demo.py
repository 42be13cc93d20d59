"""The job types for trying things out."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError
from support.timing import assert_takes

from jobs.errors import JobCancelled, JobError
from workers.demo import fail, noop, random_delay

PATIENCE = 0.25
"""Seconds by which a busy machine may be late in waking us."""


class RecordingJob:
    """A job that remembers what it was told, and can be cancelled at its first report."""

    id, owner, attempt = "a-job", "somebody", 1

    def __init__(self, cancelled: bool = False) -> None:
        self.cancelled = cancelled
        self.reports: list[tuple[float, float | None]] = []

    def progress(self, current: float, total: float | None = None, message: str | None = None) -> None:
        self.raise_if_cancelled()
        self.reports.append((current, total))

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise JobCancelled(self.id)


def test_a_delay_takes_as_long_as_asked_and_says_so():
    assert_takes(lambda: random_delay(RecordingJob(), seconds=0.3), at_least=0.3, at_most=0.3 + PATIENCE)
    assert random_delay(RecordingJob(), seconds=0.3) == {"seconds": 0.3}


def test_reports_do_not_make_a_delay_longer():
    assert_takes(lambda: random_delay(RecordingJob(), seconds=1.2), at_least=1.2, at_most=1.2 + PATIENCE)


def test_a_delay_reports_every_half_second():
    job = RecordingJob()
    random_delay(job, seconds=1.2)
    assert job.reports == [(0.5, 1.2), (1.0, 1.2)]


@pytest.mark.parametrize("seconds", [0, 0.1, 0.49])
def test_a_delay_under_half_a_second_reports_nothing(seconds):
    job = RecordingJob()
    random_delay(job, seconds=seconds)
    assert job.reports == []


def test_a_cancelled_delay_ends_at_its_next_report():
    def run():
        with pytest.raises(JobCancelled):
            random_delay(RecordingJob(cancelled=True), seconds=60)

    assert_takes(run, at_least=0.5, at_most=0.5 + PATIENCE)


@pytest.mark.parametrize("seconds", [0, 1, 0.25, 3600])
def test_seconds_from_nothing_to_an_hour_are_accepted(seconds):
    assert random_delay.load({"seconds": seconds}) == {"seconds": float(seconds)}


@pytest.mark.parametrize(
    "seconds", ["1.5", True, None, math.nan, math.inf, -0.1, 3600.1, 10**400, [1]], ids=lambda value: repr(value)[:8]
)
def test_seconds_that_are_no_such_number_are_refused(seconds):
    with pytest.raises(ValidationError, match="seconds"):
        random_delay.load({"seconds": seconds})


def test_a_delay_without_seconds_chooses_its_own():
    assert random_delay.load({}) == {}


def test_an_unknown_parameter_of_a_delay_is_refused():
    with pytest.raises(ValidationError, match="second"):
        random_delay.load({"second": 1})


@pytest.mark.parametrize("retryable", [True, False])
def test_fail_fails_with_the_message_it_was_given(retryable):
    with pytest.raises(JobError, match="no luck") as failure:
        fail(RecordingJob(), **fail.load({"message": "no luck", "retryable": retryable}))
    assert (failure.value.error_type, failure.value.retryable) == ("demo-failure", retryable)


def test_fail_needs_no_parameters_and_is_not_retried():
    with pytest.raises(JobError) as failure:
        fail(RecordingJob(), **fail.load({}))
    assert failure.value.message
    assert not failure.value.retryable


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values))
def test_noop_returns_whatever_it_was_given(parameters):
    assert noop(RecordingJob(), **noop.load(parameters)) == parameters


@pytest.mark.parametrize("name", ["job", "self", "parameters"])
def test_noop_takes_parameters_named_like_ours(name):
    assert noop(RecordingJob(), **noop.load({name: 1})) == {name: 1}
