"""Durations: what a histogram says of the time that is left."""

import math

import pytest

from jobs.store.durations import NOTHING_KNOWN, STEP, Durations


def seen(*seconds: float) -> Durations:
    counts: dict[str, str] = {}
    for s in seconds:
        bucket = str(max(0, math.ceil(math.log(s * 1000) / math.log(STEP))))
        counts[bucket] = str(int(counts.get(bucket, "0")) + 1)
    return Durations.from_redis(counts)


def test_a_quantile_is_right_to_a_bucket() -> None:
    durations = seen(*[n / 10 for n in range(1, 101)])
    for share, expected in ((0.25, 2.5), (0.5, 5.0), (0.99, 9.9)):
        quantile = durations.quantile(share)
        assert quantile is not None
        assert expected <= quantile <= expected * STEP


def test_nothing_known_is_a_second() -> None:
    assert NOTHING_KNOWN.quantile(0.5) is None
    assert NOTHING_KNOWN.retry_after(0) == 1


@pytest.mark.parametrize(("age", "expected"), [(0, 9), (5, 4), (8, 1), (9, 5), (20, 10), (1000, 60)])
def test_retry_after_shrinks_as_the_job_ages_and_grows_once_it_is_the_oldest(age: float, expected: int) -> None:
    assert seen(*[8.5] * 10).retry_after(age) == pytest.approx(expected, abs=1)


def test_a_job_that_has_to_wait_is_not_worth_a_look_before_it_begins() -> None:
    assert seen(*[2.0] * 10).retry_after(0, starts_in=10) == 12
    assert NOTHING_KNOWN.retry_after(0, starts_in=10) == 10
    assert NOTHING_KNOWN.retry_after(0, starts_in=86_400) == 86_400


def test_a_job_older_than_the_short_ones_is_judged_by_the_long_ones() -> None:
    durations = seen(*[0.1] * 90, *[30.0] * 10)
    assert durations.retry_after(0) == 1
    assert durations.retry_after(1.0) >= 29
