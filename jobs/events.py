"""Events: what is told to the world when a job changes (CloudEvents 1.0, structured JSON)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from jobs.status import Status

NAMES = ("created", "updated", "progress", "completed", "failed", "cancelled")
"""The events of a job's life; a CloudEvents ``type`` is ``job.`` and one of these."""

FINAL_EVENT_OF: Mapping[Status, str] = MappingProxyType(
    {Status.COMPLETED: "completed", Status.FAILED: "failed", Status.CANCELLED: "cancelled"}
)


@dataclass(frozen=True, slots=True)
class Event:
    """One change of one job, as a subscriber's handler receives it."""

    id: str
    """``<job id>:<sequence>``: the same event always has the same id."""
    name: str
    """One of :data:`NAMES`."""
    time: str
    owner: str
    sequence: int
    """Counts the events of one job from 1, without a gap."""
    data: Mapping[str, Any]
    """job_id, job_type, owner, status, old_status, attempt, and progress, duration, payload_uri, error if any."""
    entry_id: str | None = field(default=None, compare=False)
    """Where it stands in the stream, for a durable subscriber; None in live mode."""
    text: str = field(default="", repr=False, compare=False)
    """The whole CloudEvent as JSON, as it was published."""

    @property
    def job_id(self) -> str:
        return str(self.data["job_id"])

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
            name = event["type"].removeprefix("job.")
            if event["specversion"] != "1.0" or name not in NAMES:
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
