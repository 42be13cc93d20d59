"""The record of a job, as it is kept in Redis and read by everybody."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache

from jobs.model.status import Status

BATCH = "jobs.batch"
"""The type of a record that is no job's, but a batch's: see :mod:`jobs.store.batch`."""


FIELDS = (
    *("type", "owner", "status", "parameters", "attempt", "max_attempts", "queue", "priority", "created_at"),
    *("sequence", "tags", "result", "error", "progress", "run_at", "plain", "holder", "started_at", "finished_at"),
)
"""What :meth:`Record.from_redis` looks at in the hash; the store keeps more there, for its scripts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything known of one job. Times are microseconds since 1970; ``…_json`` fields are JSON text."""

    id: str
    type: str
    owner: str
    status: Status
    parameters_json: str
    attempt: int
    max_attempts: int
    queue: str
    priority: int
    created_at: int
    sequence: int
    """Number of the newest event: grows with every change, so it names a version of the record."""
    tags_json: str = "{}"
    result_json: str | None = None
    error_json: str | None = None
    progress_json: str | None = None
    run_at: int | None = None
    """When a New job may run at the earliest; None for at once."""
    is_plain: bool = False
    """Whether it is a Celery task that somebody else has sent."""
    holder: str = ""
    """The process that runs it, or ran it last."""
    started_at: int | None = None
    finished_at: int | None = None
    expires_at: int | None = None

    @property
    def is_final(self) -> bool:
        return self.status.is_final

    @property
    def duration(self) -> float | None:
        """Seconds from the start of the last attempt to the end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at) / 1e6

    def as_new(self, max_attempts: int) -> "Record":
        """What it becomes when it is to run again at once: the next version of it, and nothing of its last attempt."""
        return replace(
            self,
            status=Status.NEW,
            max_attempts=max_attempts,
            sequence=self.sequence + 1,
            holder="",
            result_json=None,
            error_json=None,
            progress_json=None,
            run_at=None,
            started_at=None,
            finished_at=None,
            expires_at=None,
        )

    @classmethod
    def from_redis(cls, job_id: str, fields: Mapping[str, str], retention: float) -> "Record":
        """Build it from the hash ``jobs:job:<id>``; ``retention`` in seconds gives ``expires_at``.

        Raises:
            KeyError, ValueError: the hash is not one of ours.
        """
        finished_at = _micros(fields.get("finished_at"))
        return cls(
            id=job_id,
            type=fields["type"],
            owner=fields["owner"],
            status=Status(fields["status"]),
            parameters_json=fields.get("parameters", "{}"),
            attempt=int(fields["attempt"]),
            max_attempts=int(fields["max_attempts"]),
            queue=fields["queue"],
            priority=int(fields["priority"]),
            created_at=int(fields["created_at"]),
            sequence=int(fields["sequence"]),
            tags_json=fields.get("tags", "{}"),
            result_json=fields.get("result"),
            error_json=fields.get("error"),
            progress_json=fields.get("progress"),
            run_at=_micros(fields.get("run_at")),
            is_plain="plain" in fields,
            holder=fields.get("holder", ""),
            started_at=_micros(fields.get("started_at")),
            finished_at=finished_at,
            expires_at=finished_at and finished_at + int(retention * 1e6),
        )


def _micros(text: str | None) -> int | None:
    return None if text is None else int(text)


def rfc3339(micros: int | None) -> str | None:
    """A time as the contract writes it: RFC 3339, UTC, milliseconds."""
    if micros is None:
        return None
    return f"{_to_the_second(micros // 1_000_000)}.{micros // 1000 % 1000:03d}Z"


@lru_cache(maxsize=1024)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
