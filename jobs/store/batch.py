"""Batches: many jobs that are submitted in one step, and waited for, polled and followed under one id.

A batch has a record where jobs have theirs, so that it is waited for as a job is; its jobs count its way to its end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.connections.availability import available
from jobs.errors import BatchNotFound, IdempotencyKeyReused, JobIdTaken, QueueFull, StoreRefused
from jobs.model.keys import KEYS
from jobs.model.priority import queue_key
from jobs.model.record import BATCH
from jobs.model.status import Status
from jobs.model.submission import NO_FINGERPRINT, Submission, fingerprint_of, under_key
from jobs.settings import Settings
from jobs.store.job_store import OUTSIDE_WITHIN, JobStore

MOST_JOBS = 1_000
_MOST_NEW = 7
"""Where submit_batch.lua is told how many jobs may be New."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSubmission:
    """A checked request for a batch. All of its jobs have its owner and its trace."""

    id: str
    owner: str
    jobs: Sequence[Submission]
    traceparent: str
    chosen_id: str | None = None
    idempotency_key: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for two submits that ask for the same thing."""
        if self.chosen_id is None and self.idempotency_key is None:
            return NO_FINGERPRINT
        return fingerprint_of([self.owner, [list(job.asked) for job in self.jobs]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How far a batch is. Times are microseconds since 1970, by Redis's clock; ``now`` is when it was read."""

    id: str
    owner: str
    status: Status
    """New until a job of it starts or ends, Completed once all have ended, however they did."""
    total: int
    counts: Mapping[Status, int]
    created_at: int
    finished_at: int | None
    expires_at: int | None
    now: int
    sequence: int
    """How often it has ended: a job of it that is retried opens it again."""

    @property
    def ended(self) -> int:
        """How many jobs have ended."""
        return sum(count for status, count in self.counts.items() if status.is_final)

    @property
    def is_final(self) -> bool:
        return self.status.is_final


class Batches:
    """Every verb on a batch. Every method raises StoreUnavailable when Redis cannot be used."""

    def __init__(self, store: JobStore, settings: Settings) -> None:
        self._store, self._settings = store, settings

    def submit(self, batch: BatchSubmission, messages: Sequence[str]) -> tuple[Batch, bool]:
        """Accept all jobs of a batch in one step, or none; the batch, and whether it is new.

        ``messages`` are those of the jobs.

        Raises:
            JobIdTaken, IdempotencyKeyReused: an earlier submit had another body.
            QueueFull: too many jobs wait for all of these to join them.
        """
        kinds: dict[tuple[str, str], int] = {}
        own_keys: list[str] = []
        own: list[Any] = []
        for job, message in zip(batch.jobs, messages, strict=True):
            kind = kinds.setdefault((job.type, queue_key(job.queue, job.priority)), len(kinds))
            own_keys.append(KEYS.record(job.id))
            own_keys.extend(KEYS.index_of_tag(name, value) for name, value in job.tags.items())
            fields = [*job.record_fields(""), "batch", batch.id]
            own += (kind, job.id, message, int(job.delay * 1e6), len(job.tags), len(fields))
            own += fields
        keys = [*self._keys(batch), *_keys_of(kinds), *own_keys]
        fingerprint, ttl = batch.fingerprint, 0
        if batch.idempotency_key is not None:
            keys.append(KEYS.idempotency(batch.owner, batch.idempotency_key))
            ttl = int(self._settings.idempotency_ttl * 1000)
        arguments = [
            *(batch.id, batch.owner, KEYS.channel_prefix(batch.owner), self._store.stream_limits, batch.traceparent),
            *(fingerprint, ttl, self._settings.max_queue, int(OUTSIDE_WITHIN * 1e6), len(kinds), len(batch.jobs)),
            under_key(fingerprint, batch.chosen_id),
            *(job_type for job_type, _ in kinds),
            *own,
        ]
        match self._store.insist("submit_batch", keys, arguments):
            case [1, created_at]:
                self._store.recent.remember(batch.id, "submit_batch", keys, arguments, bound=_MOST_NEW)
                return _new(batch, int(created_at)), True
            case [2, batch.id] if batch.chosen_id is None:
                self._store.recent.remember(batch.id, "submit_batch", keys, arguments, bound=_MOST_NEW)
                return self.get(batch.id), True  # a connection that broke had carried it
            case [2, batch_id]:
                return self.get(batch_id), False
            case [3]:
                raise JobIdTaken(batch.id)
            case [4]:
                raise IdempotencyKeyReused
            case [5, waiting]:
                raise QueueFull(waiting)
        raise AssertionError("submit_batch.lua answers nothing else")

    def get(self, batch_id: str) -> Batch:
        """The batch as it stands.

        Raises:
            BatchNotFound.
        """
        with available(), self._store.client.pipeline(transaction=False) as pipe:
            fields, (seconds, micros) = pipe.hgetall(KEYS.record(batch_id)).time().execute()
        if fields.get("type") != BATCH:
            raise BatchNotFound(batch_id)
        try:
            return self._batch(batch_id, fields, seconds * 1_000_000 + micros)
        except (KeyError, ValueError) as error:
            raise StoreRefused(f"the record of batch {batch_id}: {error!r}") from error

    def job_ids(self, batch_id: str, start: int, count: int) -> list[str]:
        """The ids of some of its jobs, in the order in which they were submitted."""
        with available():
            ids: list[str] = self._store.client.lrange(KEYS.jobs_of(batch_id), start, start + count - 1)
            return ids

    def _keys(self, batch: BatchSubmission) -> Iterator[str]:
        yield from (KEYS.record(batch.id), KEYS.jobs_of(batch.id), KEYS.index_of_owner(batch.owner))
        yield from (KEYS.index_of_status(Status.NEW), KEYS.stream, KEYS.stream_of(batch.owner), KEYS.scheduled)

    def _batch(self, batch_id: str, fields: Mapping[str, str], now: int) -> Batch:
        finished_at = int(fields["finished_at"]) if "finished_at" in fields else None
        return Batch(
            id=batch_id,
            owner=fields["owner"],
            status=Status(fields["status"]),
            total=int(fields["total"]),
            counts={status: int(fields[status]) for status in Status},
            created_at=int(fields["created_at"]),
            finished_at=finished_at,
            expires_at=finished_at and finished_at + int(self._settings.retention * 1e6),
            now=now,
            sequence=int(fields["sequence"]),
        )


def _new(batch: BatchSubmission, created_at: int) -> Batch:
    """As it stands right after it was accepted."""
    total = len(batch.jobs)
    return Batch(
        id=batch.id,
        owner=batch.owner,
        status=Status.NEW,
        total=total,
        counts={status: total if status is Status.NEW else 0 for status in Status},
        created_at=created_at,
        finished_at=None,
        expires_at=None,
        now=created_at,
        sequence=0,
    )


def _keys_of(kinds: Mapping[tuple[str, str], int]) -> Iterator[str]:
    for job_type, queue in kinds:
        yield from (KEYS.index_of_type(job_type), queue, KEYS.waiting(queue))
