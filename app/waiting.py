"""Submitting and waiting: a request blocks until its job has ended or its time is over.

Most jobs end within a moment, and for that long a request keeps its greenlet. One that waits longer is answered
:class:`app.later.Later`, which gives up all that makes a waiting request dear: its stack and Flask's context.

Every function here takes the time until which to wait (monotonic seconds), and how to answer with what came of it: that
may be called when the request's context is gone.
"""

import logging
import time
from collections.abc import Callable

from flask import Response

from app.front_door import FrontDoor
from app.later import Later, Wait
from jobs.errors import BatchNotFound, NotPublished, QueueFull, StoreUnavailable
from jobs.model.record import Record
from jobs.model.submission import Submission
from jobs.store.batch import Batch, BatchSubmission

log = logging.getLogger(__name__)

FIRST_SEQUENCE = 1
"""That of a job whose id is a new one, when it is accepted."""
A_MOMENT = 0.1
"""Seconds for which a waiting request keeps its greenlet: to answer from another one takes more CPU time."""


def deadline(seconds: float) -> float:
    """Until when a request waits that waits ``seconds`` from now."""
    return time.monotonic() + seconds


def submit_and_wait(
    door: FrontDoor, job: Submission, until: float, answer: Callable[[Record, bool], Response]
) -> Response:
    """Submit the job, and answer when it has ended or the time is over; also whether an earlier equal submit made it.

    Raises:
        JobIdTaken, IdempotencyKeyReused, QueueFull, StoreUnavailable: nothing was stored.
    """
    door.pressure.check()
    door.backend.watch_over_submits()
    message = door.queue.message(job)
    begun = None if _is_over(door, until) else Wait(door.backend, job.id, until)
    is_new = False
    try:
        accepted = door.store.submit(job, message, begun.expect() if begun else "")
        if accepted.record is not None:
            _hand_over(door, job, accepted.record.sequence)
            is_new = True
    except QueueFull as full:
        raise door.pressure.full(full.waiting, door.settings.max_queue) from full
    finally:
        if begun is not None and not is_new:
            begun.give_up()
    record = accepted.record
    if record is None:
        return wait(door, door.store.get(accepted.id), until, lambda record: answer(record, True))
    if begun is None:
        return _without_wait(answer(record, False), until)
    return _answer_at_end(begun, lambda found: answer(found or record, False))


def submit_batch(door: FrontDoor, batch: BatchSubmission) -> tuple[Batch, bool]:
    """Submit the batch; also whether it is new, and not what an earlier equal submit made.

    Raises:
        JobIdTaken, IdempotencyKeyReused, QueueFull, StoreUnavailable: nothing was stored.
    """
    door.pressure.check()
    door.backend.watch_over_submits()
    messages = [door.queue.message(job) for job in batch.jobs]
    try:
        accepted, is_new = door.batches.submit(batch, messages)
    except QueueFull as full:
        raise door.pressure.full(full.waiting, door.settings.max_queue) from full
    if is_new:
        all(_hand_over(door, job, FIRST_SEQUENCE) for job in batch.jobs)  # no further than to the first that fails
    return accepted, is_new


def wait_for_batch(door: FrontDoor, batch: Batch, until: float, answer: Callable[[Batch], Response]) -> Response:
    """Answer with the batch once it has ended, or as it stands when the time is over."""

    def answer_now(found: Record | None) -> Response:
        if found is None:
            return answer(batch)
        try:
            return answer(door.batches.get(batch.id))
        except (BatchNotFound, StoreUnavailable):
            return answer(batch)

    return answer(batch) if batch.is_final else _wait(door, batch.id, until, answer_now)


def wait(door: FrontDoor, record: Record, until: float, answer: Callable[[Record], Response]) -> Response:
    """Answer with the job once it has ended, or as it stands when the time is over."""
    if record.is_final:
        return answer(record)
    return _wait(door, record.id, until, lambda found: answer(found or record))


def _wait(door: FrontDoor, job_id: str, until: float, answer: Callable[[Record | None], Response]) -> Response:
    """``answer`` is given None where nothing newer is known than what the caller has read."""
    if _is_over(door, until):
        return _without_wait(answer(None), until)
    begun = Wait(door.backend, job_id, until)
    try:
        begun.begin()
    except StoreUnavailable:
        return _without_wait(answer(None), until)
    return _answer_at_end(begun, answer)


def _without_wait(response: Response, until: float) -> Response:
    """An answer that nobody waited for. It does not say that a wait was applied for which there was time left."""
    if until > time.monotonic():
        response.headers.pop("Preference-Applied", None)
    return response


def _is_over(door: FrontDoor, until: float) -> bool:
    """Whether nobody waits: there is no time left, or as many wait as may, or the process is about to end."""
    return until <= time.monotonic() or door.is_full or door.backend.ending


def _answer_at_end(begun: Wait, answer: Callable[[Record | None], Response]) -> Response:
    return answer(begun.end()) if begun.is_over_within(A_MOMENT) else Later(begun, answer)


def _hand_over(door: FrontDoor, job: Submission, sequence: int) -> bool:
    """Give a new job's message to a broker that is another server; if that fails, a reconciler does it in a while."""
    if not door.queue.is_outside or job.delay > 0:
        return True
    try:
        door.queue.publish(job)
        door.store.handed_over(job, sequence)
    except (NotPublished, StoreUnavailable) as error:
        log.warning("job %s is handed over by a reconciler: %s", job.id, error)
        return False
    return True
