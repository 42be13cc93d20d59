"""The life of a job, as a table: every status, what it means, and which moves are allowed."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from celery import states


class Status(StrEnum):
    """Where a job is in its life; the words are the seed document's."""

    NEW = "New"
    """Accepted and queued; no worker has claimed it yet."""

    IN_PROGRESS = "InProgress"
    """A worker has claimed it and runs attempt number ``attempt``."""

    COMPLETED = "Completed"
    """Final: the job function returned and its result is stored."""

    FAILED = "Failed"
    """Final: the job function raised, broke a limit, or lost its worker."""

    CANCELLED = "Cancelled"
    """Final: somebody asked for it not to be finished."""

    @property
    def is_final(self) -> bool:
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.NEW: frozenset({Status.IN_PROGRESS, Status.FAILED, Status.CANCELLED}),
        Status.IN_PROGRESS: frozenset({Status.NEW, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
        Status.COMPLETED: frozenset(),
        Status.FAILED: frozenset(),
        Status.CANCELLED: frozenset(),
    }
)
"""From each status, the statuses a job may move to. The Lua scripts receive this table as arguments."""

RERUN_FROM: frozenset[Status] = frozenset({Status.FAILED, Status.CANCELLED})
"""The final statuses that a person may undo: the job becomes New once more. No attempt ever does that by itself."""

CELERY_STATE_OF: Mapping[Status, str] = MappingProxyType(
    {
        Status.NEW: states.PENDING,
        Status.IN_PROGRESS: states.STARTED,
        Status.COMPLETED: states.SUCCESS,
        Status.FAILED: states.FAILURE,
        Status.CANCELLED: states.REVOKED,
    }
)

FINAL: frozenset[Status] = frozenset(s for s in Status if s.is_final)
FINAL_TEXT = ",".join(sorted(FINAL))
"""The same, as the scripts are told them."""


def sources_of(target: Status) -> frozenset[Status]:
    """The statuses from which a job may move to ``target``."""
    return frozenset(source for source, targets in TRANSITIONS.items() if target in targets)
