"""What workers announce: the job types they run, so that the front door can serve them without importing them."""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from jobs.errors import UnknownJobType

if TYPE_CHECKING:
    from jobs.store import JobStore

ANNOUNCE_EVERY = 5.0
"""Seconds between two announcements of a worker."""

ALIVE_FOR = 15
"""Seconds after its last announcement that a type counts as run by a living worker."""

REREAD_AFTER = 2.0
"""Seconds a front door trusts what it read; an unknown type is looked up at once, but not more often than this."""


@dataclass(frozen=True, slots=True)
class JobTypeInfo:
    """One job type as announced. ``parameters`` is a JSON Schema; time limits are in seconds."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object"})
    queue: str = "default"
    time_limit: float | None = None
    soft_time_limit: float | None = None
    max_attempts: int = 3

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
            return JobTypeInfo(name).max_attempts

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
