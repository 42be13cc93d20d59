"""Events: what is told to the world when a job changes (CloudEvents 1.0, structured JSON)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from jobs.model.status import Status

OF_JOBS = ("created", "updated", "progress", "completed", "failed", "cancelled")
"""The events of a job's life; the CloudEvents ``type`` is ``job.`` and one of these."""
BATCH_COMPLETED = "batch.completed"
"""Every job of a batch has ended; the whole ``type``."""
NAMES = (*OF_JOBS, BATCH_COMPLETED)

FINAL_EVENT_OF: Mapping[Status, str] = MappingProxyType(
    {Status.COMPLETED: "completed", Status.FAILED: "failed", Status.CANCELLED: "cancelled"}
)


def type_of(name: str) -> str:
    """The CloudEvents ``type`` of one of :data:`NAMES`."""
    return name if name == BATCH_COMPLETED else f"job.{name}"


_NAME_OF = {type_of(name): name for name in NAMES}


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one job, or the end of a batch, as a subscriber's handler receives it."""

    id: str
    """``<job id>:<sequence>``: the same event always has the same id."""
    name: str
    """One of :data:`NAMES`."""
    time: str
    owner: str
    sequence: int
    """Counts the events of one job from 1, without a gap."""
    data: Mapping[str, Any]
    """job_id, job_type, owner, status, old_status, attempt, and progress, duration, payload_uri, error if any.

    The job of a batch has a batch_id too; ``batch.completed`` has total and counts, and the batch's id as job_id.
    """
    entry_id: str | None = field(default=None, compare=False)
    """Where it stands in the stream, for a durable subscriber; None in live mode."""
    text: str = field(default="", repr=False, compare=False)
    """The whole CloudEvent as JSON, as it was published."""

    @property
    def job_id(self) -> str:
        return str(self.data["job_id"])

    @property
    def batch_id(self) -> str | None:
        """The batch of the job, or the batch that has ended."""
        found = self.data.get("batch_id")
        return None if found is None else str(found)

    @property
    def job_type(self) -> str:
        return str(self.data["job_type"])

    @property
    def status(self) -> Status:
        return Status(self.data["status"])

    @classmethod
    def from_json(cls, text: str | bytes, entry_id: str | None = None) -> "Event":
        """Read one structured CloudEvent.

        Raises:
            ValueError: it is not an event of ours; the message says why.
        """
        try:
            event = orjson.loads(text)
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from error
        try:
            name = _NAME_OF.get(event["type"], "")
            if event["specversion"] != "1.0" or not name:
                raise ValueError(f"type {event['type']!r} in specversion {event['specversion']!r}"[:200])
            whole = text if isinstance(text, str) else text.decode()
            members = (event["id"], name, event["time"], event["owner"], event["sequence"], event["data"])
            found = cls(*members, entry_id, whole)
            found._check()
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an event of ours: {error!r}"[:200]) from error
        return found

    def _check(self) -> None:
        """Raise TypeError, KeyError or ValueError unless every member is what a handler may rely on."""
        texts = (self.id, self.time, self.owner, self.data["job_id"], self.data["job_type"])
        if not all(isinstance(text, str) for text in texts) or type(self.sequence) is not int:
            raise TypeError("a member has the wrong type")
        Status(self.data["status"])
