"""What a running job does when its store does not do what it is asked to."""

import json
from typing import Any

import pytest
from support.odd_errors import WithoutText

from jobs.errors import JobCancelled, StaleAttempt, StoreRefused, StoreUnavailable, Superseded
from jobs.model.claim import Claim
from workers import running_job
from workers.running_job import RunningJob

CLAIM = Claim("an-id", 1, "{}", "a.type", "me", "default", 5, 3)


class Store:
    """Raises what it was made with."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def progress(self, *_: Any) -> None:
        raise self.error


def running(error: Exception) -> RunningJob:
    return RunningJob(Store(error), CLAIM)  # type: ignore[arg-type]


def test_a_job_goes_on_while_redis_is_away() -> None:
    job = running(StoreUnavailable("no connection to Redis"))
    job.progress(1, 2)
    job.raise_if_cancelled()


@pytest.mark.parametrize("error", [JobCancelled("an-id"), StaleAttempt("an-id", 1)])
def test_it_stops_when_it_is_no_longer_wanted(error: Superseded) -> None:
    with pytest.raises(Superseded):
        running(error).progress(1, 2)
    with pytest.raises(Superseded):
        running(error).raise_if_cancelled()


class Written:
    """Keeps what is written, as JSON."""

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []

    def progress(self, _claim: Claim, progress_json: str) -> None:
        self.reports.append(json.loads(progress_json))


def test_reports_are_dropped_but_the_first_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_job, "PROGRESS_EVERY", 60.0)
    store = Written()
    job = RunningJob(store, CLAIM)  # type: ignore[arg-type]
    for current in range(500):
        job.progress(current)
    assert [report["current"] for report in store.reports] == [0]
    job.flush()
    job.flush()
    assert [report["current"] for report in store.reports] == [0, 499]


def test_the_end_is_told_at_once_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_job, "PROGRESS_EVERY", 60.0)
    store = Written()
    job = RunningJob(store, CLAIM)  # type: ignore[arg-type]
    job.progress(1, 3)
    for current in range(3, 500):
        job.progress(current, current)
    assert [report["percent"] for report in store.reports] == [33.3, 100.0]


def test_a_message_is_cut() -> None:
    store = Written()
    RunningJob(store, CLAIM).progress(1, 2, "x" * 5000)  # type: ignore[arg-type]
    assert store.reports[0]["message"] == "x" * 1000 + "…"


@pytest.mark.parametrize(("message", "written"), [(["a"], "['a']"), (7, "7"), ("", ""), (WithoutText(), "WithoutText")])
def test_a_message_is_text(message: Any, written: str) -> None:
    store = Written()
    RunningJob(store, CLAIM).progress(1, 3, message)  # type: ignore[arg-type]
    assert store.reports[0]["message"] == written


@pytest.mark.parametrize(("current", "total", "percent"), [(-1, 2, 0), (1, -2, 0), (3, 2, 100), (0, 0, None)])
def test_percent_is_a_part_of_100(current: int, total: int, percent: int | None) -> None:
    store = Written()
    RunningJob(store, CLAIM).progress(current, total)  # type: ignore[arg-type]
    assert store.reports[0]["percent"] == percent


def test_what_redis_refuses_is_an_error_of_the_job() -> None:
    with pytest.raises(StoreRefused):
        running(StoreRefused("a key holds something else")).progress(1, 2)
