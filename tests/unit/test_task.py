"""What becomes of whatever a job function raises."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from billiard import common
from celery.exceptions import Ignore, Retry, WorkerShutdown, WorkerTerminate
from support.odd_errors import RAISED, WithoutText

from jobs.errors import JobCancelled, JobError
from jobs.model.claim import Claim
from jobs.settings import Settings
from workers import job
from workers.celery_app import create_worker_app
from workers.task import JobTask

APP = create_worker_app(Settings())


def run(raised: Any) -> Any:
    """One attempt of a job whose function raises that, or calls it."""

    @job("t.raises", autoretry_for=(ConnectionError,))
    def function(_: object) -> None:
        raise raised() if callable(raised) else raised

    claim = Claim("an-id", 1, "{}", "t.raises", "me", "default", 5, 3)
    backend = SimpleNamespace(claim=lambda *_: claim, store=None)
    task: Any = type("Raises", (JobTask,), {"name": "t.raises", "job_type": function, "backend": backend})()
    task.bind(APP)
    task.push_request(id="an-id", delivery_info={})
    try:
        return task.run()
    finally:
        task.pop_request()


@pytest.mark.parametrize("what", RAISED)
def test_it_is_an_error_of_ours_that_tells_where_it_came_from(what: str) -> None:
    with pytest.raises(JobError) as caught:
        run(RAISED[what])
    assert type(caught.value) is JobError
    assert caught.value.__cause__ is not None


def test_a_job_that_is_no_longer_wanted_has_no_error() -> None:
    with pytest.raises(Ignore):
        run(JobCancelled("an-id"))


@pytest.mark.parametrize("error", [ConnectionError("gone"), JobError(WithoutText(), retryable=True)])
def test_what_is_worth_another_attempt_is_celerys_retry(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(Retry) as caught:
        run(error)
    assert caught.value.exc.retryable is True
    assert "again in" in caplog.text


@pytest.mark.parametrize("told", [WorkerShutdown(0), WorkerTerminate(1)])
def test_a_worker_that_is_told_to_end_is_not_kept_from_it(told: SystemExit) -> None:
    with pytest.raises(type(told)):
        run(told)


def test_a_process_that_is_told_to_end_is_not_kept_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "_should_have_exited", [True])
    with pytest.raises(SystemExit):
        run(SystemExit(0))
