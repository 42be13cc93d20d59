"""Events: what is told to the world when a job changes (CloudEvents 1.0, structured JSON)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

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
    def from_json(cls, text: str | bytes) -> "Event":
        """Read one structured CloudEvent.

        Raises:
            ValueError: it is not an event of ours; the message says why.
        """
        try:
            event = json.loads(text)
            name, data = event["type"].removeprefix("job."), event["data"]
            if event["specversion"] != "1.0" or name not in NAMES:
                raise ValueError(f"type {event['type']!r} in specversion {event['specversion']!r}")
            for member in ("job_id", "job_type", "status"):
                if not isinstance(data[member], str):
                    raise ValueError(f"{member} {data[member]!r}"[:100])
            return cls(event["id"], name, event["time"], event["owner"], event["sequence"], data)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not an event of ours: {error!r}") from error
