"""Job types that compute, and those that a pool is tried with (:mod:`benchmarks.trials`)."""

import os
import signal
import time
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded
from marshmallow import Schema, fields

from workers import Job, job

LIMIT = 1.0
"""Seconds that a job with a time limit may take."""
STEP = 16 * 1024 * 1024
"""Bytes that are taken at once."""


class Turns(Schema):
    turns = fields.Integer(required=True)


class Megabytes(Schema):
    megabytes = fields.Integer(required=True)


class Seconds(Schema):
    seconds = fields.Float(required=True)


class Marking(Seconds):
    file = fields.String(required=True)


@job("bench.compute", schema=Turns)
def compute(job: Job, turns: int) -> int:
    """Compute, in pure Python."""
    total = 0
    for n in range(turns):
        total += n * n % 7
    return total


@job("bench.spin", schema=Seconds)
def spin(job: Job, seconds: float) -> None:
    """Compute for so long."""
    _compute_for(seconds)


@job("bench.stay", schema=Marking)
def stay(job: Job, seconds: float, file: str) -> None:
    """Wait, and make the file: where it is, the code ran on to its end."""
    time.sleep(seconds)
    Path(file).touch()


@job("bench.stay_limited", schema=Marking, time_limit=LIMIT, max_attempts=1)
def stay_limited(job: Job, seconds: float, file: str) -> None:
    """The same, with a hard time limit."""
    time.sleep(seconds)
    Path(file).touch()


@job("bench.spin_limited", schema=Marking, time_limit=LIMIT, max_attempts=1)
def spin_limited(job: Job, seconds: float, file: str) -> None:
    """Compute with a hard time limit, and make the file."""
    _compute_for(seconds)
    Path(file).touch()


@job("bench.stay_softly", schema=Seconds, soft_time_limit=LIMIT, max_attempts=1)
def stay_softly(job: Job, seconds: float) -> bool:
    """Wait with a soft time limit; whether it was told."""
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded:
        return True
    return False


@job("bench.take", schema=Megabytes, max_attempts=1)
def take(job: Job, megabytes: int) -> int:
    """Take so much memory, and give it back."""
    return len([bytearray(STEP) for _ in range(megabytes * 1024 * 1024 // STEP)])


@job("bench.crash", max_attempts=1)
def crash(job: Job) -> None:
    """Kill the process that runs it, and do not come back for another."""
    os.kill(os.getpid(), signal.SIGKILL)


def _compute_for(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
