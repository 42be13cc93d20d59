"""Celery's request of a job, as it is handed to the process that runs it, and what it makes of that one's report."""

import json
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo
from celery.app.task import Context
from celery.worker.request import Request
from kombu.transport.virtual import Base64, Channel
from support.messages import of_job

from jobs.messages.message import Message
from jobs.model.failure import error_of
from jobs.settings import Settings
from workers.celery_app import create_worker_app
from workers.holder import holder
from workers.request import JobRequest


class _Channel:
    """As much of a channel as a message needs."""

    codecs = {"base64": Base64()}  # noqa: RUF012
    decode_body = Channel.decode_body


APP = create_worker_app(Settings())


def request_of(kind: Any, sound: dict[str, Any]) -> Any:
    return kind(Message(sound, channel=_Channel()), app=APP, hostname="h", task=APP.tasks["demo.noop"])


@pytest.mark.parametrize("more", [{}, {"x-trace": "1", "y": None}, {"headers": {"given": 1}}, {"stamps": {"a": 1}}])
def test_a_task_is_given_the_headers_that_celery_would_give_it(more: dict[str, Any]) -> None:
    sound = of_job(**more)
    ours, theirs = (Context(request_of(kind, sound).request_dict).headers for kind in (JobRequest, Request))
    assert ours == theirs
    assert ours


def test_what_the_main_process_reports_names_the_process_that_has_the_job() -> None:
    request = request_of(JobRequest, of_job())
    assert request._context.holder == ""
    request.on_accepted(4711, 0.0)
    assert request._context.holder == request.holder == holder(4711)
    assert request._context.id == request.id


class Backend:
    """Keeps what is reported as the end of a job."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, Exception]] = []

    def mark_as_failure(self, job_id: str, exception: Exception, **_: Any) -> None:
        self.ends.append((job_id, exception))


def test_a_process_that_has_no_memory_to_report_ends_its_job_and_not_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = of_job()
    request, backend = request_of(JobRequest, sound), Backend()
    monkeypatch.setattr(request.task, "backend", backend)
    try:
        raise MemoryError
    except MemoryError:
        request.on_success((True, ExceptionInfo(), 1.0))
    (job_id, error), *others = backend.ends
    assert (job_id, json.loads(error_of(error))["type"], others) == (sound["headers"]["id"], "memory-limit", [])
    assert request.acknowledged
