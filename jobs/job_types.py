"""What workers announce: the job types they run, so that the front door can serve them without importing them."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from jobs.errors import UnknownJobType
from jobs.names import JOB_TYPE, QUEUE
from jobs.settings import LONGEST

if TYPE_CHECKING:
    from jobs.store import JobStore

ANNOUNCE_EVERY = 5.0
"""Seconds between two announcements of a worker."""

ALIVE_FOR = 15
"""Seconds after its last announcement that a type counts as run by a living worker."""

REREAD_AFTER = 2.0
"""Seconds a front door trusts what it read; an unknown type is looked up at once, but not more often than this."""

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
        hard, soft, most = self.time_limit, self.soft_time_limit, self.max_attempts
        require("name", self.name, JOB_TYPE.allows(self.name), JOB_TYPE.words)
        require("description", self.description, isinstance(self.description, str), "text")
        require("parameters", self.parameters, isinstance(self.parameters, dict), "a JSON Schema, as an object")
        require("queue", self.queue, QUEUE.allows(self.queue), QUEUE.words)
        for what, limit in (("time_limit", hard), ("soft_time_limit", soft)):
            require(what, limit, limit is None or (is_seconds(limit) and limit > 0), ABOVE_0)
        if hard is not None and soft is not None:  # a worker looks at the hard one first
            require("soft_time_limit", soft, soft < hard, f"less than time_limit, which is {hard:g}")
        require("max_attempts", most, type(most) is int and most >= 1, "a whole number of at least 1")

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "JobTypeInfo":
        return cls(**json.loads(text))


def announce(store: "JobStore", types: Iterable[JobTypeInfo]) -> None:
    """Say that a living worker runs ``types``."""
    store.announce({info.name: info.to_json() for info in types})


class JobTypes:
    """The front door's view of what was announced, read again every few seconds."""

    def __init__(self, store: "JobStore") -> None:
        self._store = store
        self._known: dict[str, JobTypeInfo] = {}
        self._texts: dict[str, str] = {}
        self._read_at = -REREAD_AFTER

    def get(self, name: str) -> JobTypeInfo:
        """The type of that name, whether or not a worker lives at this moment: its jobs wait for one.

        Raises:
            UnknownJobType: nobody ever announced it.
        """
        info = self._known.get(name)
        if info is None or self._is_stale():
            self._reread()
            info = self._known.get(name)
        if info is None:
            raise UnknownJobType(name, list(self._known))
        return info

    def max_attempts(self, name: str) -> int:
        """Of the type of that name, or of any when nobody announced it."""
        try:
            return self.get(name).max_attempts
        except UnknownJobType:
            return USUAL_ATTEMPTS

    def living(self) -> list[JobTypeInfo]:
        """The types that living workers announced, by name."""
        self._reread()
        alive = self._store.types_seen_within(ALIVE_FOR)
        return [self._known[name] for name in sorted(alive) if name in self._known]

    def _is_stale(self) -> bool:
        return time.monotonic() - self._read_at >= REREAD_AFTER

    def _reread(self) -> None:
        texts = self._store.announced_types()
        self._read_at = time.monotonic()
        if texts != self._texts:
            self._known = {name: JobTypeInfo.from_json(text) for name, text in texts.items()}
            self._texts = texts
