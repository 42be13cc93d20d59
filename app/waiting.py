"""Submitting and waiting: a request blocks on ``AsyncResult`` until its job ends or its time is over."""

import logging
import time
from typing import Any

from kombu.exceptions import OperationalError

from app.front_door import FrontDoor
from jobs.backend import NotEnded
from jobs.batch import Batch, BatchSubmission
from jobs.errors import BatchNotFound, QueueFull, StoreUnavailable
from jobs.keys import KEYS
from jobs.record import Record
from jobs.submission import Accepted, Submission

log = logging.getLogger(__name__)


def submit_and_wait(door: FrontDoor, job: Submission, seconds: float) -> tuple[Record, bool]:
    """Submit the job and wait at most ``seconds`` from now; also whether an earlier equal submit had made it.

    Raises:
        JobIdTaken, IdempotencyKeyReused, QueueFull, StoreUnavailable: nothing was stored.
    """
    until = time.monotonic() + seconds
    door.pressure.check()
    message = door.queue.message(job)
    try:
        if seconds <= 0 or door.is_full:
            accepted = door.store.submit(job, message)
            record = accepted.record
            if record is not None:
                _hand_over(door, job)
        else:
            accepted, record = _submit_and_block(door, job, message, until)
    except QueueFull as full:
        raise door.pressure.full(full.waiting, door.settings.max_queue) from full
    if record is not None:
        return record, False
    return wait(door, door.store.get(accepted.id), until - time.monotonic()), True


def _submit_and_block(door: FrontDoor, job: Submission, message: str, until: float) -> tuple[Accepted, Record | None]:
    """Submit with the waiter in place before the job can end; no record for a job that was there before."""
    result = door.celery.AsyncResult(job.id)
    reply_to = door.backend.reply_channel
    door.backend.expect(result)
    try:
        accepted = door.store.submit(job, message, reply_to)
        if accepted.record is None:
            return accepted, None
        _hand_over(door, job)
        return accepted, _block(result, until - time.monotonic()) or accepted.record
    finally:
        door.backend.remove_pending_result(result)


def submit_batch_and_wait(door: FrontDoor, batch: BatchSubmission, seconds: float) -> tuple[Batch, bool]:
    """Submit the batch and wait at most ``seconds`` for its end; also whether an earlier equal submit had made it.

    Raises:
        JobIdTaken, IdempotencyKeyReused, QueueFull, StoreUnavailable: nothing was stored.
    """
    until = time.monotonic() + seconds
    door.pressure.check()
    messages = [door.queue.message(job) for job in batch.jobs]
    try:
        accepted, is_new = door.batches.submit(batch, messages)
    except QueueFull as full:
        raise door.pressure.full(full.waiting, door.settings.max_queue) from full
    if is_new:
        for job in batch.jobs:
            _hand_over(door, job)
    return wait_for_batch(door, accepted, until - time.monotonic()), not is_new


def wait_for_batch(door: FrontDoor, batch: Batch, seconds: float) -> Batch:
    """The batch once it has ended, or as it stands after ``seconds``."""
    if batch.is_final or seconds <= 0 or door.is_full:
        return batch
    try:
        _block(door.celery.AsyncResult(batch.id), seconds)
        return door.batches.get(batch.id)
    except (BatchNotFound, StoreUnavailable):
        return batch


def _hand_over(door: FrontDoor, job: Submission) -> None:
    """Give a new job's message to a broker that is another server; if that fails, a reconciler does it in a while."""
    if not door.queue.is_outside or job.delay > 0:
        return
    try:
        door.queue.publish(job)
        door.store.forget(job.id, KEYS.scheduled)
    except (OperationalError, StoreUnavailable) as error:
        log.warning("job %s: its message is not with the broker yet: %s", job.id, error)


def wait(door: FrontDoor, record: Record, seconds: float) -> Record:
    """The job once it has ended, or as it stands after ``seconds``."""
    if record.is_final or seconds <= 0 or door.is_full:
        return record
    try:
        return _block(door.celery.AsyncResult(record.id), seconds) or record
    except StoreUnavailable:
        return record


def _block(result: Any, seconds: float) -> Record | None:
    """Block on the result; None when the job could not be read at the end."""
    ended: list[dict[str, Any]] = []
    try:
        result.get(timeout=max(0.0, seconds), propagate=False, on_message=ended.append)
    except NotEnded as still:
        return still.record
    record: Record = ended[0]["record"]
    return record
