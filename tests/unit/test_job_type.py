"""``@job``, the schema it announces, results and failures as JSON."""

import json
import pickle
import re
import sys
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from billiard.exceptions import SoftTimeLimitExceeded, WorkerLostError
from marshmallow import INCLUDE, Schema, fields, validate
from support.odd_errors import BadRow, WithoutText

from jobs.errors import JobError, SettingsError
from jobs.model.failure import LONGEST_MESSAGE, LONGEST_TYPE, error_of, failure_of
from jobs.model.result_text import dump
from jobs.model.submission import Submission
from jobs.settings import Settings
from workers import job
from workers.celery_app import create_worker_app, find_job_types


class Inner(Schema):
    size = fields.Integer(required=True)


class Outer(Schema):
    class Meta:
        unknown = INCLUDE

    inner = fields.Nested(Inner, required=True)
    many = fields.List(fields.Nested(Inner))


@job("t.nested", schema=Outer, time_limit=9, max_attempts=2)
def nested(job: object, /, **parameters: object) -> object:
    """Say it back."""
    return parameters


def test_a_job_type_is_still_the_function() -> None:
    assert nested(None, job=1, self=2) == {"job": 1, "self": 2}


def test_nested_schemas_are_written_in_place() -> None:
    info = nested.info()
    inner = info.parameters["properties"]["inner"]
    assert inner["properties"]["size"] == {"type": "integer"}
    assert "$ref" not in json.dumps(info.parameters)
    assert info.parameters["additionalProperties"] is True
    assert (info.description, info.time_limit, info.max_attempts) == ("Say it back.", 9, 2)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "x" * 101, 'a"'])
def test_a_wrong_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="job type"):
        job(name)


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"queue": ""}, "queue is ''"),
        ({"queue": "jobs:stream"}, "queue is 'jobs:stream'"),
        ({"queue": "unacked"}, "queue is 'unacked'"),
        ({"queue": None}, "queue is None"),
        ({"schema": {}}, "schema is {}"),
        ({"schema": dict}, "schema is <class 'dict'>"),
        ({"time_limit": -1}, "time_limit is -1"),
        ({"time_limit": 0}, "time_limit is 0"),
        ({"time_limit": float("nan")}, "time_limit is nan"),
        ({"time_limit": "60"}, "time_limit is '60'"),
        ({"soft_time_limit": 0}, "soft_time_limit is 0"),
        ({"soft_time_limit": 60, "time_limit": 60}, "soft_time_limit is 60, and must be less than time_limit"),
        ({"soft_time_limit": 7200}, "soft_time_limit is 7200, and must be less than time_limit, which is 3900"),
        ({"max_attempts": 0}, "max_attempts is 0"),
        ({"max_attempts": 1.5}, "max_attempts is 1.5"),
        ({"retry_backoff": -1}, "retry_backoff is -1"),
        ({"retry_backoff_max": float("inf")}, "retry_backoff_max is inf"),
    ],
)
def test_a_wrong_queue_or_limit_is_refused_with_what_would_be_right(terms: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=rf"^job type 't': {re.escape(told)}"):
        job("t", **terms)


@pytest.mark.parametrize(
    "terms",
    [
        {"queue": "reports.high-1_x", "time_limit": 0.5, "soft_time_limit": 0.25},
        {"time_limit": None, "soft_time_limit": 7200},
        {"retry_backoff": 0, "retry_backoff_max": 0},
    ],
)
def test_what_makes_sense_is_taken(terms: dict[str, Any]) -> None:
    job("t", **terms)


class Naming(Schema):
    job = fields.String()
    it = fields.String(attribute="task")
    told = fields.String(dump_only=True)


def test_the_first_parameter_is_no_field_of_the_schema() -> None:
    for function in (lambda job, **_: job, lambda task, **_: task):
        with pytest.raises(ValueError, match="first parameter"):
            job("t.naming", schema=Naming)(function)
    for function in (lambda running, **_: running, lambda it, **_: it, lambda told, **_: told, lambda *_, **__: None):
        job("t.naming", schema=Naming)(function)
    named = job("t.naming", schema=Naming)(lambda job, /, **given: (job, given))
    assert named("running", **named.load({"job": "x"})) == ("running", {"job": "x"})


def test_modules_that_are_none_are_told_together() -> None:
    with pytest.raises(SettingsError) as caught:
        list(find_job_types(("no.such.module", "json")))
    assert len(caught.value.problems) == 2
    assert "no.such.module cannot be imported" in caught.value.problems[0]


class NotForJson(Schema):
    size = fields.Decimal(validate=validate.OneOf([Decimal("1.5")]))


class Endless(Schema):
    size = fields.Float(validate=validate.Range(max=float("inf")))


@pytest.mark.parametrize(
    ("schema", "what"),
    [(NotForJson, "Decimal is not JSON"), (Endless, "not JSON compliant")],
)
def test_a_type_that_cannot_be_announced_is_told_with_the_other_problems(
    schema: Any, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("odd_jobs")
    module.odd = job("t.odd", schema=schema)(flaky.function)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "odd_jobs", module)
    with pytest.raises(SettingsError) as caught:
        create_worker_app(Settings(modules=("no.such.module", "odd_jobs")))
    assert len(caught.value.problems) == 2
    assert "JOBS_MODULES: odd_jobs: t.odd cannot be announced: " in caught.value.problems[1]
    assert what in caught.value.problems[1]


def test_the_shipped_types_are_tasks_of_the_worker() -> None:
    app = create_worker_app(Settings())
    assert {"demo.random_delay", "demo.fail", "demo.noop", "csv.profile"} <= set(app.tasks)


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ({"a": (1, 2)}, '{"a":[1,2]}'),
        (date(2026, 11, 24), '"2026-11-24"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Decimal("1.10"), '"1.10"'),
        ({"p": Point(1), "s": {1}}, '{"p":{"x":1},"s":[1]}'),
        ("ä\0", '"ä\\u0000"'),
    ],
)
def test_results_become_json(value: object, text: str) -> None:
    assert dump(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {(1, 2): 3}, "\ud800", b"x"])
def test_what_is_no_json_is_an_error_of_the_job(value: object) -> None:
    with pytest.raises(JobError) as caught:
        dump(value)
    assert caught.value.error_type == "result-not-json"


def test_an_error_is_short_storable_and_without_traceback() -> None:
    error = json.loads(error_of(ValueError("\ud800" + "x" * 5000)))
    assert error["type"] == "ValueError"
    assert len(error["message"]) == LONGEST_MESSAGE
    assert error["retryable"] is False
    assert json.loads(error_of(KeyError()))["message"] == "KeyError"
    assert json.loads(error_of(JobError("m", error_type="x" * 5000)))["type"] == "x" * LONGEST_TYPE


@pytest.mark.parametrize(
    ("error", "error_type", "message"),
    [
        (JobError(404, error_type=404), "404", "404"),
        (JobError(WithoutText(), error_type="mine"), "mine", "WithoutText"),
        (BadRow(4), "BadRow", "4"),
        (SystemExit(), "SystemExit", "The job function called sys.exit()."),
        (SystemExit("no input"), "SystemExit", "The job function called sys.exit('no input')."),
        (SystemExit(WithoutText()), "SystemExit", "The job function called sys.exit(WithoutText)."),
        (WorkerLostError("signal 9 Job: 4."), "worker-lost", "The process that ran the job died: signal 9"),
    ],
)
def test_whatever_is_raised_is_an_error_that_another_process_can_be_sent(
    error: BaseException, error_type: str, message: str
) -> None:
    sent = pickle.loads(pickle.dumps(failure_of(error)))  # noqa: S301
    assert (sent.error_type, sent.message) == (error_type, message)


def test_the_fingerprint_says_what_was_asked_and_not_how_it_was_written() -> None:
    def asked(parameters: str, **more: object) -> str:
        defaults = {"type": "t", "owner": "o", "queue": "q", "max_attempts": 1, "idempotency_key": "k"}
        return Submission(parameters_json=parameters, **{**defaults, **more}).fingerprint  # type: ignore[arg-type]

    assert asked('{"a":1,"b":2}') == asked('{"b": 2, "a": 1}')
    assert (
        len({asked('{"a":1}'), asked('{"a":2}'), asked('{"a":1}', priority=6), asked('{"a":1}', tags={"x": "y"})}) == 4
    )
    assert asked("{}", idempotency_key=None) == "-"


@job(
    "t.flaky", retry_backoff=2, retry_backoff_max=10, autoretry_for=(OSError,), dont_autoretry_for=(FileNotFoundError,)
)
def flaky(job: object) -> None: ...


def test_the_pause_doubles_up_to_its_most_and_half_of_it_is_chance() -> None:
    for attempt, most in ((1, 2), (2, 4), (3, 8), (4, 10), (1000, 10)):
        delays = [flaky.retry_delay(attempt) for _ in range(200)]
        assert most / 2 <= min(delays)
        assert max(delays) <= most
        assert max(delays) - min(delays) > most / 4


def test_without_jitter_the_pause_is_exact() -> None:
    steady = job("t.steady", retry_jitter=False)(flaky.function)
    assert [steady.retry_delay(attempt) for attempt in (1, 2, 3)] == [1, 2, 4]


@pytest.mark.parametrize(
    ("error", "name", "retryable"),
    [
        (ConnectionResetError("gone"), "ConnectionResetError", True),
        (FileNotFoundError("no file"), "FileNotFoundError", False),
        (ValueError("x"), "ValueError", False),
        (JobError("x", retryable=True, error_type="mine"), "mine", True),
        (JobError("x", error_type="mine"), "mine", False),
        (MemoryError(), "memory-limit", False),
        (SoftTimeLimitExceeded(), "time-limit", False),
    ],
)
def test_which_failures_are_worth_another_attempt(error: Exception, name: str, retryable: bool) -> None:
    told = json.loads(error_of(failure_of(error, retryable=flaky.retries(error))))
    assert (told["type"], told["retryable"]) == (name, retryable)
