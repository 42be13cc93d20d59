"""The running job that a function is handed: it writes to the store."""

import json
import logging
import time

from jobs.errors import StoreRefused, StoreUnavailable
from jobs.model.claim import Claim
from jobs.store.job_store import JobStore
from jobs.text import text_of

log = logging.getLogger(__name__)

PROGRESS_EVERY = 0.2
"""Seconds between two written reports of progress; of the ones in between only the last is written, at the end."""
LONGEST_MESSAGE = 1000
"""Characters of a report's message that are kept."""


class RunningJob:
    """A :class:`workers.job.Job` that writes to the store."""

    def __init__(self, store: JobStore, claim: Claim) -> None:
        self._store, self._claim = store, claim
        self._written_at = float("-inf")
        self._unwritten = ""
        self._is_done = False

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
        was_done, self._is_done = self._is_done, total is not None and current >= total
        self._unwritten = _progress_json(current, total, message)
        if (self._is_done and not was_done) or time.monotonic() - self._written_at >= PROGRESS_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write the last report, if it has not been."""
        if self._unwritten:
            report, self._unwritten = self._unwritten, ""
            self._written_at = time.monotonic()
            self._tell(report)

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
    if message is not None:
        message = text_of(message)
        if len(message) > LONGEST_MESSAGE:
            message = message[:LONGEST_MESSAGE] + "…"
    percent = round(max(0.0, min(100.0, 100.0 * current / total)), 1) if total else None
    progress = {"percent": percent, "current": current, "total": total, "message": message}
    return json.dumps(progress, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
