"""Job types for trying things out: a delay, a failure, every way to break a process, nothing at all."""

import math
import os
import random
import signal
import sys
import time
from typing import Any

from marshmallow import INCLUDE, Schema, ValidationError, fields, validate

from jobs.errors import JobError
from workers.job import Job
from workers.job_type import job

MEMORY_STEP = 16 * 1024 * 1024
STEP = 0.5
"""Seconds between two reports of a delay; a shorter delay reports nothing."""


FAIL_MESSAGE = "It was asked to fail."


class Number(fields.Float):
    """A finite JSON number: not text, not a truth value."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
            raise ValidationError("Not a number.")
        return float(value)


class DelayParameters(Schema):
    seconds = Number(validate=validate.Range(0, 3600))


class FailParameters(Schema):
    message = fields.String(load_default=FAIL_MESSAGE, validate=validate.Length(1, 1000))
    retryable = fields.Boolean(load_default=False, truthy={True}, falsy={False})


class AnyParameters(Schema):
    class Meta:
        unknown = INCLUDE


@job("demo.random_delay", schema=DelayParameters)
def random_delay(job: Job, seconds: float | None = None) -> dict[str, float]:
    """Take some time: the given seconds, or 0.1 to 10 at random."""
    total = random.uniform(0.1, 10) if seconds is None else seconds  # noqa: S311
    began = time.monotonic()
    for step in range(1, math.ceil(total / STEP)):
        _sleep_until(began + step * STEP)
        job.progress(step * STEP, round(total, 3), "waiting")
    _sleep_until(began + total)
    return {"seconds": total}


@job("demo.fail", schema=FailParameters)
def fail(job: Job, message: str = FAIL_MESSAGE, retryable: bool = False) -> None:
    """Fail with the given message."""
    raise JobError(message, retryable=retryable, error_type="demo-failure")


@job("demo.crash")
def crash(job: Job) -> None:
    """Kill the process that runs it."""
    os.kill(os.getpid(), signal.SIGKILL)


@job("demo.hang", time_limit=10)
def hang(job: Job) -> None:
    """Never return, and hear nothing; ended by its time limit of 10 seconds."""
    while True:
        time.sleep(3600)


@job("demo.memory")
def memory(job: Job) -> None:
    """Take memory until there is none; ended by JOBS_MAX_MEMORY."""
    taken = []
    while True:
        taken.append(bytearray(MEMORY_STEP))


@job("demo.noop", schema=AnyParameters)
def noop(job: Job, /, **parameters: Any) -> dict[str, Any]:
    """Do nothing; the result is the parameters."""
    return parameters


def _sleep_until(deadline: float) -> None:
    time.sleep(max(0.0, deadline - time.monotonic()))
