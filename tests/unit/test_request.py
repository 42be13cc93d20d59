"""Celery's request of a job, as it is handed to the process that runs it."""

from typing import Any

import pytest
from celery.app.task import Context
from celery.worker.request import Request
from kombu.transport.virtual import Base64, Channel
from support.messages import of_job

from jobs.message import Message
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
