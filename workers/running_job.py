"""The running job that a function is handed: it writes to the store."""

import json
import logging
import time

from jobs.claim import Claim
from jobs.errors import StoreRefused, StoreUnavailable
from jobs.store import JobStore

log = logging.getLogger(__name__)

PROGRESS_EVERY = 0.2
"""Seconds between two written reports of progress; the ones in between are dropped, the last one is not."""


class RunningJob:
    """A :class:`workers.job.Job` that writes to the store."""

    def __init__(self, store: JobStore, claim: Claim) -> None:
        self._store, self._claim = store, claim
        self._written_at = float("-inf")

    @property
    def id(self) -> str:
        return self._claim.id

    @property
    def owner(self) -> str:
        return self._claim.owner

    @property
    def attempt(self) -> int:
        return self._claim.attempt

    def progress(self, current: float, total: float | None = None, message: str | None = None) -> None:
        done = total is not None and current >= total
        now = time.monotonic()
        if done or now - self._written_at >= PROGRESS_EVERY:
            self._written_at = now
            self._tell(_progress_json(current, total, message))

    def raise_if_cancelled(self) -> None:
        self._tell()

    def _tell(self, progress_json: str = "") -> None:
        """The work goes on when Redis is away: it may well be back for the result."""
        try:
            self._store.progress(self._claim, progress_json)
        except StoreRefused:
            raise
        except StoreUnavailable as away:
            log.warning("job %s goes on, though nobody can be told how far it is: %s", self.id, away.reason)


def _progress_json(current: float, total: float | None, message: str | None) -> str:
    percent = round(min(100.0, 100.0 * current / total), 1) if total else None
    progress = {"percent": percent, "current": current, "total": total, "message": message}
    return json.dumps(progress, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
