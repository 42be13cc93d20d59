"""What this process has had accepted within the last seconds: Redis may answer, and come back without it.

With ``appendfsync everysec`` a server that is killed while its file is synced loses what it has accepted meanwhile, and
one that fails over to a replica what had not got there. Whoever submitted it then submits it once more.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

KEPT_FOR = 3.0
"""Seconds: for at most two Redis holds back what it writes, while a sync goes on."""
MOST_BYTES = 64_000_000
"""Of what is remembered; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class RecentSubmit:
    """What was sent to a script that accepts jobs, which does nothing for those that are there."""

    at: float
    """When it was accepted (monotonic seconds)."""
    script: str
    keys: Sequence[str]
    args: Sequence[Any]
    size: int


class RecentSubmits:
    """By the id of the job or batch, oldest first; bounded in time and bytes."""

    def __init__(self) -> None:
        self._submits: dict[str, RecentSubmit] = {}
        self._size = 0
        self._heard_at = float("inf")
        self._changing = threading.Lock()

    def remember(self, any_id: str, script: str, keys: Sequence[str], args: Sequence[Any], *, bound: int) -> None:
        """``bound`` is the place in ``args`` of how many jobs may be New: what was accepted is not refused for that."""
        args = [*args[:bound], 0, *args[bound + 1 :]]
        now = time.monotonic()
        size = sum(len(each) for each in args if isinstance(each, str))
        with self._changing:
            self._forget(any_id)
            self._submits[any_id] = RecentSubmit(now, script, keys, args, size)
            self._size += size
            while self._submits:
                oldest_id, oldest = next(iter(self._submits.items()))
                if oldest.at >= self._oldest() and self._size <= MOST_BYTES:
                    break
                self._forget(oldest_id)

    def forget(self, any_id: str) -> None:
        """It was deleted, and is not to come back."""
        with self._changing:
            self._forget(any_id)

    def heard(self) -> None:
        """The server lives: what was accepted some seconds ago is safe. Until this is called first, it always lives."""
        self._heard_at = time.monotonic()

    def latest(self) -> dict[str, RecentSubmit]:
        """What a server may have lost that is not heard any more, by id, oldest first.

        That is what was accepted shortly before it was heard last, and since: perhaps by another one in its place.
        """
        since = self._oldest()
        with self._changing:
            return {any_id: submit for any_id, submit in self._submits.items() if submit.at >= since}

    def _oldest(self) -> float:
        return min(time.monotonic(), self._heard_at) - KEPT_FOR

    def _forget(self, any_id: str) -> None:
        gone = self._submits.pop(any_id, None)
        self._size -= gone.size if gone else 0
