"""Back-pressure: whether another job can be taken, and how long until one can."""

import math
import time
from collections import deque
from dataclasses import dataclass

from jobs.errors import QueueFull, StoreUnavailable
from jobs.store.job_store import JobStore

READ_EVERY = 1.0
"""Seconds between two looks at the server, made by whichever submit comes then."""
WINDOW = 10
"""Looks that the drain rate is taken from."""
FULL_AT = 0.8
"""Share of Redis's maxmemory past which no job is taken: those that run must be able to finish."""
LONGEST_RETRY_AFTER = 60
UNKNOWN_RETRY_AFTER = 5


@dataclass(frozen=True, slots=True)
class Load:
    """What the server said at ``at`` (monotonic seconds)."""

    at: float
    finished: int
    """Jobs that have ended so far."""
    memory: float
    """Share of maxmemory in use; 0 without a maxmemory."""


class Pressure:
    """One for each web process."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._loads: deque[Load] = deque(maxlen=WINDOW)
        self._looked_at = -math.inf
        """When somebody last set out to look."""

    def check(self) -> None:
        """Called before each submit. While one looks, and when that fails, all others go by the look before, if any.

        Raises:
            StoreUnavailable: Redis is nearly full; or away, and it was this submit that looked.
        """
        now = time.monotonic()
        if now - self._looked_at >= READ_EVERY:
            self._looked_at = now
            self.look(now)
        if self._loads and self._loads[-1].memory >= FULL_AT:
            raise StoreUnavailable(f"Redis is nearly full ({self._loads[-1].memory:.0%} of its maxmemory)", 5)

    def look(self, at: float) -> None:
        """Ask the server; ``at`` is the time now."""
        finished, memory = self._store.load()
        self._loads.append(Load(at, finished, memory))

    def full(self, waiting: int, most: int) -> QueueFull:
        """The error of a submit that came when ``waiting`` jobs were New, of ``most`` that may be."""
        return QueueFull(waiting, self._retry_after(waiting - most + 1))

    def _retry_after(self, too_many: int) -> int:
        """Seconds in which so many jobs end, as fast as they did lately."""
        if not self._loads:
            return UNKNOWN_RETRY_AFTER
        first, last = self._loads[0], self._loads[-1]
        ended, seconds = last.finished - first.finished, last.at - first.at
        if ended <= 0 or seconds <= 0:
            return UNKNOWN_RETRY_AFTER
        return max(1, min(LONGEST_RETRY_AFTER, math.ceil(too_many * seconds / ended)))
