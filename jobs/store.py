"""The job store: every verb on a job is one atomic step in Redis."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import BusyLoadingError, ConnectionError, OutOfMemoryError, ReadOnlyError, TimeoutError

from jobs.durations import Durations
from jobs.errors import (
    IdempotencyKeyReused,
    InvalidTransition,
    JobCancelled,
    JobIdTaken,
    JobNotFound,
    StaleAttempt,
    StoreUnavailable,
)
from jobs.events import FINAL_EVENT_OF
from jobs.keys import KEYS
from jobs.queue import Message
from jobs.record import Record
from jobs.scripts import load
from jobs.settings import Settings
from jobs.status import FINAL, Status, sources_of
from jobs.submission import Accepted, Submission

_FINAL = ",".join(sorted(FINAL))
_SOURCES = {status: ",".join(sorted(sources_of(status))) for status in Status}


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to run one attempt of a job; ``attempt`` is the fencing token of every later write."""

    job_id: str
    attempt: int
    parameters_json: str
    type: str
    owner: str
    max_attempts: int


class JobStore:
    """Reads and changes jobs. Every method raises StoreUnavailable when Redis cannot be used."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        self.client: Any = client  # redis-py's types cannot say that answers are text
        self._settings = settings
        self._scripts = load(client)

    # --- a job's life

    def submit(self, job: Submission, message: Message | None, reply_to: str = "") -> Accepted:
        """Accept a job: record, index, event and message in one step, or nothing.

        ``reply_to`` is the channel that is told the id when the job ends; ``message`` is None for a task that is
        already under way.

        Raises:
            JobIdTaken, IdempotencyKeyReused: an earlier submit had another body.
        """
        ttl = int(self._settings.idempotency_ttl * 1000) if job.idempotency_key is not None else 0
        keys = [
            KEYS.record(job.id),
            KEYS.index,
            KEYS.index_of_owner(job.owner),
            KEYS.index_of_status(Status.NEW),
            KEYS.index_of_type(job.type),
            KEYS.stream,
            KEYS.stream_of(job.owner),
            message.key if message else job.queue,
            *(KEYS.index_of_tag(name, value) for name, value in job.tags.items()),
        ]
        if job.idempotency_key is not None:
            keys.append(KEYS.idempotency(job.owner, job.idempotency_key))
        reply = self.call(
            "submit",
            keys,
            [
                job.id,
                job.owner,
                job.type,
                KEYS.channel_prefix(job.owner),
                self._settings.stream_length,
                job.traceparent,
                job.fingerprint,
                ttl,
                message.text if message else "",
                len(job.tags),
                *_record_fields(job, reply_to),
            ],
        )
        match reply:
            case [1, job_id, created_at]:
                return Accepted(job_id, job.record(int(created_at)))
            case [2, job_id]:
                return Accepted(job_id, None)
            case [3]:
                raise JobIdTaken(job.id)
            case [4]:
                raise IdempotencyKeyReused
        raise AssertionError(reply)

    def claim(self, job_id: str, owner: str | None = None) -> Claim:
        """Start the next attempt of a job.

        Raises:
            JobNotFound: there is no such record.
            InvalidTransition: somebody else runs it, or it is final.
        """
        owner = owner or self._owner_of(job_id)
        keys = [
            KEYS.record(job_id),
            KEYS.index_of_status(Status.NEW),
            KEYS.index_of_status(Status.IN_PROGRESS),
            KEYS.stream,
            KEYS.stream_of(owner),
        ]
        match self.call("claim", keys, [job_id, *self._channel(owner), _SOURCES[Status.IN_PROGRESS]]):
            case [1, attempt, parameters, job_type, owner, max_attempts]:
                return Claim(job_id, attempt, parameters, job_type, owner, max_attempts)
            case [0, status]:
                raise InvalidTransition(job_id, status, Status.IN_PROGRESS)
        raise JobNotFound(job_id)

    def progress(self, claim: Claim, progress_json: str = "") -> None:
        """Write how far the attempt is; without a text, only check that it is still the job's.

        Raises:
            JobCancelled: stop, the job has been cancelled.
            StaleAttempt: stop, another attempt runs or the job has ended.
        """
        keys = [KEYS.record(claim.job_id), KEYS.stream, KEYS.stream_of(claim.owner)]
        match self.call("progress", keys, [claim.job_id, *self._channel(claim.owner), claim.attempt, progress_json]):
            case [1]:
                return
            case [0, Status.CANCELLED, attempt] if attempt == claim.attempt:
                raise JobCancelled(claim.job_id)
        raise StaleAttempt(claim.job_id, claim.attempt)

    def complete(self, job_id: str, result_json: str, claim: Claim | None = None) -> None:
        """Store the result; the job is Completed.

        Raises:
            JobNotFound, InvalidTransition: nothing was written.
        """
        uri = f"{self._settings.public_url or ''}/jobs/{job_id}/result"
        self._finish(job_id, Status.COMPLETED, claim, ("result", result_json), f',"payload_uri":"{uri}"')

    def fail(self, job_id: str, error_json: str, claim: Claim | None = None) -> None:
        """Store the error; the job is Failed.

        Raises:
            JobNotFound, InvalidTransition: nothing was written.
        """
        self._finish(job_id, Status.FAILED, claim, ("error", error_json), f',"error":{error_json}')

    def cancel(self, job_id: str) -> None:
        """Make the job Cancelled: it never starts, or its attempt is told at the next progress.

        Raises:
            JobNotFound.
            InvalidTransition: it is Completed or Failed.
        """
        self._finish(job_id, Status.CANCELLED, None, ("", ""), "")

    def _finish(self, job_id: str, final: Status, claim: Claim | None, field: tuple[str, str], event_data: str) -> None:
        owner, job_type = (claim.owner, claim.type) if claim else self._owner_and_type_of(job_id)
        keys = [
            KEYS.record(job_id),
            KEYS.index_of_status(Status.NEW),
            KEYS.index_of_status(Status.IN_PROGRESS),
            KEYS.index_of_status(final),
            KEYS.stream,
            KEYS.stream_of(owner),
            KEYS.durations(job_type),
        ]
        reply = self.call(
            "finish",
            keys,
            [
                job_id,
                *self._channel(owner),
                final,
                _SOURCES[final],
                claim.attempt if claim else "",
                FINAL_EVENT_OF[final],
                *field,
                event_data,
                int(self._settings.retention * 1000),
            ],
        )
        match reply:
            case [1 | 2]:
                return
            case [0, status, _]:
                raise InvalidTransition(job_id, status, final)
        raise JobNotFound(job_id)

    def delete(self, record: Record, tags: Mapping[str, str]) -> None:
        """Remove a final job.

        Raises:
            JobNotFound.
            InvalidTransition: it is not final.
        """
        keys = [
            KEYS.record(record.id),
            KEYS.index,
            KEYS.index_of_owner(record.owner),
            KEYS.index_of_type(record.type),
            *(KEYS.index_of_status(status) for status in FINAL),
            *(KEYS.index_of_tag(name, value) for name, value in tags.items()),
        ]
        match self.call("delete", keys, [record.id, _FINAL]):
            case [1]:
                return
            case [0, status]:
                raise InvalidTransition(record.id, status, "deleted")
        raise JobNotFound(record.id)

    # --- reading

    def get(self, job_id: str) -> Record:
        """The job as it stands.

        Raises:
            JobNotFound.
        """
        with available():
            return self._record(job_id, self.client.hgetall(KEYS.record(job_id)))

    def watch(self, job_id: str, reply_to: str) -> Record:
        """The job as it stands; if it is not final, ``reply_to`` is told when it ends.

        Raises:
            JobNotFound.
        """
        return self.record(job_id, self.call("watch", [KEYS.record(job_id)], [reply_to, _FINAL]))

    def record(self, job_id: str, flat: Sequence[str]) -> Record:
        """A record from what HGETALL gives a script: field, value, field, value …

        Raises:
            JobNotFound: it is empty.
        """
        return self._record(job_id, dict(zip(flat[::2], flat[1::2], strict=True)))

    def ended(self, job_ids: Sequence[str]) -> list[str]:
        """Those of the jobs that need not be waited for: final, or gone."""
        with available(), self.client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hget(KEYS.record(job_id), "status")
            statuses = pipe.execute()
        return [job_id for job_id, status in zip(job_ids, statuses, strict=True) if status is None or status in FINAL]

    def durations(self, job_type: str) -> tuple[Durations, float]:
        """How long jobs of the type have taken, and what Redis's clock says (seconds)."""
        with available(), self.client.pipeline(transaction=False) as pipe:
            buckets, (seconds, micros) = pipe.hgetall(KEYS.durations(job_type)).time().execute()
        return Durations.from_redis(buckets), seconds + micros / 1e6

    def server(self) -> dict[str, Any]:
        """What Redis says of itself: INFO, as redis-py reads it."""
        with available():
            info: dict[str, Any] = self.client.info()
            return info

    # --- job types

    def announce(self, types: Mapping[str, str]) -> None:
        """Store what a worker runs: descriptions as JSON, by name."""
        if types:
            self.call("announce", [KEYS.types, KEYS.types_seen], [part for pair in types.items() for part in pair])

    def announced_types(self) -> dict[str, str]:
        """Every description ever announced, by name."""
        with available():
            texts: dict[str, str] = self.client.hgetall(KEYS.types)
            return texts

    def types_seen_within(self, seconds: int) -> list[str]:
        """The names announced in the last ``seconds``, by Redis's clock."""
        with available():
            now, _ = self.client.time()
            names: list[str] = self.client.zrangebyscore(KEYS.types_seen, now - seconds, "+inf")
            return names

    # --- inside

    def call(self, script: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """What the script of that name answers."""
        with available():
            return self._scripts[script](keys=keys, args=args)

    def _channel(self, owner: str) -> tuple[str, int]:
        return KEYS.channel_prefix(owner), self._settings.stream_length

    def _record(self, job_id: str, fields: Mapping[str, str]) -> Record:
        if "status" not in fields:
            raise JobNotFound(job_id)
        return Record.from_redis(job_id, fields, self._settings.retention)

    def records(self, job_ids: Sequence[str]) -> list[Record]:
        """The records that are still there; an expired one leaves its index entries to the sweep."""
        with available(), self.client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hgetall(KEYS.record(job_id))
            found = pipe.execute()
        return [self._record(i, fields) for i, fields in zip(job_ids, found, strict=True) if "status" in fields]

    def _owner_of(self, job_id: str) -> str:
        return self._owner_and_type_of(job_id)[0]

    def _owner_and_type_of(self, job_id: str) -> tuple[str, str]:
        with available():
            owner, job_type = self.client.hmget(KEYS.record(job_id), "owner", "type")
        if owner is None or job_type is None:
            raise JobNotFound(job_id)
        return owner, job_type


@contextmanager
def available() -> Iterator[None]:
    """Turn every way in which Redis cannot be used into StoreUnavailable."""
    try:
        yield
    except OutOfMemoryError as error:
        raise StoreUnavailable("Redis is full (maxmemory)", retry_after=5) from error
    except BusyLoadingError as error:
        raise StoreUnavailable("Redis is loading its data") from error
    except ReadOnlyError as error:
        raise StoreUnavailable("Redis is a read-only replica") from error
    except TimeoutError as error:
        raise StoreUnavailable("Redis does not answer") from error
    except ConnectionError as error:
        raise StoreUnavailable("no connection to Redis") from error


def _record_fields(job: Submission, reply_to: str) -> Iterator[str | int]:
    yield from ("parameters", job.parameters_json, "queue", job.queue, "priority", job.priority)
    yield from ("max_attempts", job.max_attempts)
    if job.tags:
        yield from ("tags", job.tags_json)
    if reply_to:
        yield from ("reply_to", reply_to)
