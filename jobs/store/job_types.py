"""What workers announce: the job types they run, so that the front door can serve them without importing them."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from jobs.names import JOB_TYPE, QUEUE
from jobs.settings import LONGEST

if TYPE_CHECKING:
    from jobs.store.job_store import JobStore

ANNOUNCE_EVERY = 5.0
"""Seconds between two announcements of a worker."""

USUAL_ATTEMPTS = 3
ABOVE_0 = f"more than 0 and at most {LONGEST} seconds, or None"
AT_LEAST_0 = f"0 to {LONGEST} seconds"


def require(what: str, value: object, is_right: bool, right: str) -> None:
    """Do nothing if it is right.

    Raises:
        ValueError: with what was wrong, and what would be right.
    """
    if not is_right:
        raise ValueError(f"{what} is {repr(value)[:100]}, and must be {right}")


def is_seconds(value: object) -> bool:
    """Whether it is a span of time that can be told; None, text and NaN are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST


@dataclass(frozen=True, slots=True)
class JobTypeInfo:
    """One job type as announced. ``parameters`` is a JSON Schema; time limits are in seconds.

    Raises:
        ValueError: one of them is wrong; it says what would be right.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object"})
    queue: str = "default"
    time_limit: float | None = None
    soft_time_limit: float | None = None
    max_attempts: int = USUAL_ATTEMPTS

    def __post_init__(self) -> None:
        most = self.max_attempts
        require("name", self.name, JOB_TYPE.allows(self.name), JOB_TYPE.words)
        require("description", self.description, isinstance(self.description, str), "text")
        require("parameters", self.parameters, isinstance(self.parameters, dict), "a JSON Schema, as an object")
        require("queue", self.queue, QUEUE.allows(self.queue), QUEUE.words)
        for what, limit in (("time_limit", self.time_limit), ("soft_time_limit", self.soft_time_limit)):
            require(what, limit, limit is None or (is_seconds(limit) and limit > 0), ABOVE_0)
        require("max_attempts", most, type(most) is int and most >= 1, "a whole number of at least 1")

    def to_json(self) -> str:
        """As it is announced.

        Raises:
            TypeError, ValueError: ``parameters`` hold what is no JSON, NaN and infinity too.
        """
        return json.dumps(asdict(self), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "JobTypeInfo":
        """What a worker of any version announced: fields not known here are left out, those it lacks are as usual.

        Raises:
            ValueError: it is no job type.
        """
        try:
            said = json.loads(text)
        except RecursionError:
            raise ValueError("nested too deep") from None
        if not isinstance(said, dict):
            raise ValueError("no JSON object")
        if "name" not in said:
            raise ValueError("no name")
        return cls(**{known.name: said[known.name] for known in fields(cls) if known.name in said})


def announce(store: "JobStore", types: Iterable[JobTypeInfo]) -> None:
    """Say that a living worker runs ``types``."""
    store.announce({info.name: info.to_json() for info in types})
