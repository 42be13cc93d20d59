"""Job types that tests run: JOBS_MODULES names this module, as it would a user's."""

import os
import signal
import time
from pathlib import Path

from celery import shared_task
from marshmallow import Schema, ValidationError, fields, validate, validates

from support.odd_errors import RAISED
from workers import Job, job

LONGEST_HOLD = 40.0
"""Seconds after which a job that a test has forgotten goes on."""


class Greeting(Schema):
    name = fields.String(required=True, validate=validate.Length(1, 20))
    times = fields.Integer(load_default=1, strict=True, validate=validate.Range(1, 3))
    day = fields.Date(load_default=None, allow_none=True)


class Even(Schema):
    number = fields.Integer(required=True)

    @validates("number")
    def _is_even(self, value: int, **_: object) -> None:
        if value % 2:
            raise ValidationError("Must be even.")


class Steps(Schema):
    steps = fields.Integer(load_default=100)
    every = fields.Float(load_default=0.05)


class Holding(Schema):
    file = fields.String(required=True)


class Marking(Schema):
    seconds = fields.Float(required=True)
    file = fields.String(required=True)


@job("sample.greet", schema=Greeting)
def greet(job: Job, name: str, times: int, day: object) -> dict[str, object]:
    """Greet somebody."""
    return {"text": " ".join([f"Hello {name}!"] * times), "day": day, "owner": job.owner, "attempt": job.attempt}


@job("sample.steps", schema=Steps)
def steps(job: Job, steps: int, every: float) -> int:
    """Report every step."""
    for step in range(1, steps + 1):
        time.sleep(every)
        job.progress(step, steps, f"step {step}")
    return steps


@job("sample.even", schema=Even)
def even(job: Job, number: int) -> int:
    """Take what JSON Schema cannot say."""
    return number


@job("sample.not_json")
def not_json(job: Job) -> float:
    return float("nan")


@job("sample.raises")
def raises(job: Job) -> None:
    raise ValueError("Grüße \ud800")


@job("sample.holds", schema=Holding)
def holds(job: Job, file: str) -> dict[str, bool]:
    """Report half of it, and go on when the test has made the file: until then it runs, however slow the machine is."""
    job.progress(1, 2, "step 1")
    until = time.monotonic() + LONGEST_HOLD
    while not Path(file).exists() and time.monotonic() < until:
        time.sleep(0.02)
    job.progress(2, 2, "step 2")
    return {"held": True}


@job("sample.marks", schema=Marking)
def marks(job: Job, seconds: float, file: str) -> None:
    """Wait, and make the file: where it is, the code ran on to its end."""
    time.sleep(seconds)
    Path(file).touch()


@job("sample.slow", time_limit=1.0)
def slow(job: Job) -> None:
    time.sleep(30)


@job("sample.dies")
def dies(job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@job("sample.big")
def big(job: Job) -> str:
    return "x" * 300_000


@shared_task(name="sample.plain")
def plain(a: int, b: int) -> int:
    """A plain Celery task, without anything of ours."""
    return a + b


@shared_task(name="sample.plain_marks")
def plain_marks(seconds: float, file: str) -> None:
    time.sleep(seconds)
    Path(file).touch()


@job("sample.too_big")
def too_big(job: Job) -> str:
    return "x" * 2_000_000


@shared_task(name='sample."quoted"')
def quoted() -> None:
    """A plain one, whose name no event could hold as it is."""


@job("sample.unreachable", retry_backoff=60, max_attempts=2)
def unreachable(job: Job) -> None:
    """Fail for a reason that may pass: it is tried again, but not soon."""
    raise ConnectionError("nobody there")


class Raising(Schema):
    what = fields.String(required=True)


@job("sample.raises_any", schema=Raising)
def raises_any(job: Job, what: str) -> None:
    raise RAISED[what]()


@job("sample.huge")
def huge(job: Job) -> str:
    """As much as its process may have, with what it takes to write it."""
    return "x" * 150_000_000
