"""Job types that the rows run: work that says which attempt did it, and poison."""

import os
import signal
import time

from marshmallow import Schema, fields

from workers import Job, job


class WorkParameters(Schema):
    seconds = fields.Float(load_default=0.0)
    steps = fields.Integer(load_default=0)
    dies_at_attempts = fields.Integer(load_default=0)
    padding = fields.String(load_default="")


@job("faults.work", schema=WorkParameters, max_attempts=20)
def work(job: Job, seconds: float, steps: int, dies_at_attempts: int, padding: str) -> dict[str, object]:
    """Take ``seconds``; report ``steps`` times; die in the middle of the first ``dies_at_attempts`` attempts."""
    time.sleep(seconds / 2)
    if job.attempt <= dies_at_attempts:
        os._exit(9)
    for step in range(1, steps + 1):
        time.sleep(seconds / 2 / steps)
        job.progress(step, steps)
    if not steps:
        time.sleep(seconds / 2)
    return {"attempt": job.attempt}


@job("faults.segfault")
def segfault(job: Job) -> None:
    """End as a bug in a C library does."""
    os.kill(os.getpid(), signal.SIGSEGV)


@job("faults.loop", time_limit=2)
def loop(job: Job) -> None:
    """Never return; ended by its time limit."""
    while True:
        time.sleep(0.01)


@job("faults.undying", max_attempts=1_000_000)
def undying(job: Job) -> None:
    """Kill its process, with no bound on attempts: what stock Celery's requeue does."""
    os.kill(os.getpid(), signal.SIGKILL)
