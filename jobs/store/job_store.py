"""The job store: every verb on a job is one atomic step in Redis."""

import logging
from collections.abc import Iterable, Mapping

from redis import Redis

from jobs.connections.availability import available
from jobs.connections.line import Line, SharedLine
from jobs.errors import (
    AttemptsUsedUp,
    IdempotencyKeyReused,
    InvalidTransition,
    JobCancelled,
    JobIdTaken,
    JobNotFound,
    QueueFull,
    StaleAttempt,
    StoreRefused,
)
from jobs.model.claim import Claim, Place
from jobs.model.event import FINAL_EVENT_OF
from jobs.model.keys import KEYS
from jobs.model.priority import queue_key
from jobs.model.record import BATCH, Record
from jobs.model.status import FINAL, FINAL_TEXT, Status, sources_of
from jobs.model.submission import Accepted, Submission, under_key
from jobs.settings import Settings
from jobs.store.reader import JobReader
from jobs.store.recent_submits import RecentSubmit, RecentSubmits

OUTSIDE_WITHIN = 5.0
"""Seconds in which whoever submits a job has handed its message to another broker; then a reconciler does."""

log = logging.getLogger(__name__)

_SOURCES = {status: ",".join(sorted(sources_of(status))) for status in Status}


_MOST_NEW = 10
"""Where submit.lua is told how many jobs may be New."""


class JobStore(JobReader):
    """The life of a job, a method a move. Every method raises StoreUnavailable when Redis cannot be used."""

    def __init__(self, client: Redis, settings: Settings, line: Line | SharedLine | None = None) -> None:
        super().__init__(client, settings, line)
        self.recent = RecentSubmits()

    def submit(self, job: Submission, message: str | None, reply_to: str = "") -> Accepted:
        """Accept a job: record, index, event and message in one step, or nothing.

        A connection that breaks may have carried the submit and lost the answer: it is repeated, and what a first try
        has stored is found by its id. Of an id that the caller chose nobody can tell who stored it.

        ``reply_to`` is the channel that is told the id when the job ends; ``message`` is None for a task that is
        already under way.

        Raises:
            JobIdTaken, IdempotencyKeyReused: an earlier submit had another body.
            QueueFull: too many jobs wait.
        """
        ttl = int(self._settings.idempotency_ttl * 1000) if job.idempotency_key is not None else 0
        fingerprint = job.fingerprint
        keys = [
            KEYS.record(job.id),
            KEYS.index_of_owner(job.owner),
            KEYS.index_of_status(Status.NEW),
            KEYS.index_of_type(job.type),
            KEYS.stream,
            KEYS.stream_of(job.owner),
            queue_key(job.queue, job.priority),
            KEYS.waiting(queue_key(job.queue, job.priority)),
            KEYS.scheduled,
            *(KEYS.index_of_tag(name, value) for name, value in job.tags.items()),
        ]
        if job.idempotency_key is not None:
            keys.append(KEYS.idempotency(job.owner, job.idempotency_key))
        args = [
            job.id,
            job.owner,
            job.type,
            KEYS.channel_prefix(job.owner),
            self.stream_limits,
            job.traceparent,
            fingerprint,
            ttl,
            message or "",
            int(job.delay * 1e6),
            self._settings.max_queue if message else 0,
            len(job.tags),
            int(OUTSIDE_WITHIN * 1e6),
            under_key(fingerprint, job.chosen_id),
            *job.record_fields(reply_to),
        ]
        match self.insist("submit", keys, args):
            case [1, job_id, created_at, run_at, sequence]:
                self.recent.remember(job_id, "submit", keys, args, bound=_MOST_NEW)
                return Accepted(job_id, job.record(int(created_at), int(run_at) if run_at else None, sequence))
            case [2, job.id] if job.chosen_id is None:
                self.recent.remember(job.id, "submit", keys, args, bound=_MOST_NEW)
                return Accepted(job.id, self.get(job.id))
            case [2, job_id]:
                return Accepted(job_id, None)
            case [3]:
                raise JobIdTaken(job.id)
            case [4]:
                raise IdempotencyKeyReused
            case [5, waiting]:
                raise QueueFull(waiting)
        raise AssertionError("submit.lua answers nothing else")

    def submit_again(self, submits: Iterable[RecentSubmit]) -> int:
        """Submit what was accepted here just before Redis was lost; what is still there stays as it is.

        Returns how many jobs and batches were missing.
        """
        missing = 0
        for submit in submits:
            try:
                missing += self.insist(submit.script, submit.keys, submit.args)[0] == 1
            except StoreRefused as refused:
                log.error("%s was accepted and is lost: %s", submit.keys[0], refused.refusal)
        return missing

    def claim(self, job_id: str, holder: str = "", place: Place | None = None, nonce: str = "") -> Claim:
        """Start the next attempt of a job.

        ``holder`` names the process that runs it, and takes a lease for it; without one nobody watches over it.
        A claim whose answer was lost gets it when it is repeated with the same ``nonce``.

        Raises:
            JobNotFound: there is no such record.
            InvalidTransition: somebody else runs it, its time has not come, it is final, or another job that was given
                the id of a deleted one, whose message this was.
        """
        place = place or self._place_of(job_id)
        keys = [
            KEYS.record(job_id),
            KEYS.index_of_status(Status.NEW),
            KEYS.index_of_status(Status.IN_PROGRESS),
            KEYS.stream,
            KEYS.stream_of(place.owner),
            KEYS.waiting(place.queue_key),
            KEYS.leases,
        ]
        lease = self.lease_micros if holder else 0
        args = [job_id, *self._channel(place.owner), _SOURCES[Status.IN_PROGRESS], holder, lease, nonce]
        args += [place.type, place.owner]
        match self.call("claim", keys, args):
            case [1, attempt, parameters, job_type, owner, max_attempts]:
                places = place.queue, place.priority
                return Claim(job_id, attempt, parameters, job_type, owner, *places, int(max_attempts), nonce)
            case [0, status]:
                raise InvalidTransition(job_id, status, Status.IN_PROGRESS)
        raise JobNotFound(job_id)

    def progress(self, claim: Claim, progress_json: str = "") -> None:
        """Write how far the attempt is; without a text, only check that it is still the job's.

        Raises:
            JobCancelled: stop, the job has been cancelled.
            StaleAttempt: stop, another attempt runs or the job has ended.
        """
        keys = [KEYS.record(claim.id), KEYS.stream, KEYS.stream_of(claim.owner), KEYS.counts]
        match self.call("progress", keys, [claim.id, *self._channel(claim.owner), claim.token, progress_json]):
            case [1]:
                return
            case [0, Status.CANCELLED, attempt] if attempt == claim.attempt:
                raise JobCancelled(claim.id)
        raise StaleAttempt(claim.id, claim.attempt)

    def complete(self, job_id: str, result_json: str, claim: Claim | None = None) -> None:
        """Store the result; the job is Completed.

        Raises:
            JobNotFound, InvalidTransition: nothing was written.
        """
        uri = f"{self._settings.public_url or ''}/jobs/{job_id}/result"
        self._finish(job_id, Status.COMPLETED, claim, ("result", result_json), f',"payload_uri":"{uri}"')

    def fail(self, job_id: str, error_json: str, claim: Claim | Record | None = None, holder: str = "") -> None:
        """Store the error; the job is Failed. With a ``holder``, only while that one runs it.

        Raises:
            JobNotFound, InvalidTransition: nothing was written.
        """
        self._finish(job_id, Status.FAILED, claim, ("error", error_json), f',"error":{error_json}', holder)

    def cancel(self, job_id: str, force: bool = False, holder: str = "") -> None:
        """Make the job Cancelled: it never starts, or its attempt is told at the next progress.

        With ``force`` the process that runs it is ended, at its worker's next heartbeat. With a ``holder``, only while
        that one runs it.

        Raises:
            JobNotFound.
            InvalidTransition: it is Completed or Failed.
        """
        self._finish(job_id, Status.CANCELLED, None, ("", ""), "", holder, force)

    def _finish(
        self,
        job_id: str,
        final: Status,
        by: Claim | Record | None,
        field: tuple[str, str],
        event_data: str,
        holder: str = "",
        force: bool = False,
    ) -> None:
        place = Place.of(by) if by else self._place_of(job_id)
        keys = [
            KEYS.record(job_id),
            KEYS.index_of_status(Status.NEW),
            KEYS.index_of_status(Status.IN_PROGRESS),
            KEYS.index_of_status(final),
            KEYS.stream,
            KEYS.stream_of(place.owner),
            KEYS.durations(place.type),
            KEYS.waiting(place.queue_key),
            KEYS.scheduled,
            KEYS.leases,
            KEYS.expiry,
            KEYS.counts,
        ]
        reply = self.call(
            "finish",
            keys,
            [
                job_id,
                *self._channel(place.owner),
                final,
                _SOURCES[final],
                _token(by) if by else "",
                holder,
                FINAL_EVENT_OF[final],
                *field,
                event_data,
                int(self._settings.retention * 1e6),
                "force" if force else "",
            ],
        )
        match reply:
            case [1 | 2]:
                return
            case [0, status, _]:
                raise InvalidTransition(job_id, status, final)
        raise JobNotFound(job_id)

    def handed_over(self, job: Submission, sequence: int) -> None:
        """Say that the message of a new job is with another broker: no reconciler hands it over, unless that loses it.

        ``sequence`` is the one it was accepted with.
        """
        waiting = KEYS.waiting(queue_key(job.queue, job.priority))
        self.call("handed_over", [KEYS.record(job.id), KEYS.scheduled, waiting], [job.id, sequence])

    def requeue(
        self,
        job: Claim | Record,
        message: str,
        *,
        sources: frozenset[Status] = sources_of(Status.NEW),
        holder: str = "",
        only_expired: bool = False,
        delay: float = 0.0,
        error_json: str = "",
        max_attempts: int | None = None,
    ) -> None:
        """Make the job New again, to run now or after ``delay`` seconds; ``error_json`` is what went wrong.

        It is refused when the job is no longer at the attempt of ``job``, or not held by ``holder`` (if given), or,
        with ``only_expired``, has a lease. ``max_attempts`` is how many it may have from now on.

        Raises:
            JobNotFound.
            InvalidTransition: nothing was written.
            AttemptsUsedUp: nothing was written; it is to be failed.
        """
        status = job.status if isinstance(job, Record) else Status.IN_PROGRESS
        place = Place.of(job)
        keys = [
            KEYS.record(job.id),
            KEYS.index_of_status(status),
            KEYS.index_of_status(Status.NEW),
            KEYS.stream,
            KEYS.stream_of(place.owner),
            place.queue_key,
            KEYS.waiting(place.queue_key),
            KEYS.scheduled,
            KEYS.leases,
            KEYS.counts,
            KEYS.fetched,
        ]
        reply = self.call(
            "requeue",
            keys,
            [
                job.id,
                *self._channel(place.owner),
                ",".join({status} & sources),
                _token(job),
                holder,
                "expired" if only_expired else "",
                int(delay * 1e6),
                message,
                error_json,
                job.max_attempts if max_attempts is None else max_attempts,
                self.lease_micros,
            ],
        )
        match reply:
            case [1]:
                return
            case [2]:
                raise AttemptsUsedUp(job.id, job.attempt)
            case [0, current, _]:
                raise InvalidTransition(job.id, current, Status.NEW)
        raise JobNotFound(job.id)

    def delete(self, record: Record, tags: Mapping[str, str]) -> None:
        """Remove a final job.

        Raises:
            JobNotFound.
            InvalidTransition: it is not final.
        """
        keys = [
            KEYS.record(record.id),
            KEYS.callback(record.id),
            KEYS.callback_gone(record.id),
            KEYS.index_of_owner(record.owner),
            KEYS.index_of_type(record.type),
            *(KEYS.index_of_status(status) for status in FINAL),
            *(KEYS.index_of_tag(name, value) for name, value in tags.items()),
        ]
        match self.call("delete", keys, [record.id, FINAL_TEXT, max(1, int(self._settings.retention * 1000))]):
            case [1]:
                self.recent.forget(record.id)
                return
            case [0, status]:
                raise InvalidTransition(record.id, status, "deleted")
        raise JobNotFound(record.id)

    def _channel(self, owner: str) -> tuple[str, str]:
        return KEYS.channel_prefix(owner), self.stream_limits

    def _place_of(self, job_id: str) -> Place:
        with available():
            owner, job_type, queue, priority = self.client.hmget(
                KEYS.record(job_id), "owner", "type", "queue", "priority"
            )
        if owner is None or job_type in (None, BATCH):
            raise JobNotFound(job_id)
        if queue is None or not str(priority).isdecimal():
            raise StoreRefused(f"the record of job {job_id} has no place in a queue")
        return Place(owner, job_type, queue, int(priority))


def _token(by: Claim | Record) -> str:
    """What a write is made with: a claim's fencing token, or the attempt at which a record was read."""
    return by.token if isinstance(by, Claim) else str(by.attempt)
