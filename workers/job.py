"""What a job function is handed: the one job it runs, and how to say how far it is."""

import json
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # to be imported with nothing that a pool of gevent has to patch first: see __main__
    from jobs.claim import Claim
    from jobs.store import JobStore

PROGRESS_EVERY = 0.2
"""Seconds between two written reports of progress; the ones in between are dropped, the last one is not."""


class Job(Protocol):
    """The running job as its function sees it."""

    @property
    def id(self) -> str:
        """The job's id, in our API, in Flower and in the logs."""

    @property
    def owner(self) -> str: ...

    @property
    def attempt(self) -> int:
        """1 for the first run. A job may start more than once: make the work idempotent per (id, attempt)."""

    def progress(self, current: float, total: float | None = None, message: str | None = None) -> None:
        """Report how far the work is: ``current`` of ``total``, in whatever unit.

        Raises:
            Superseded: the job was cancelled or is run by somebody else; let it pass.
        """

    def raise_if_cancelled(self) -> None:
        """Raise Superseded when the work is no longer wanted."""


class RunningJob:
    """A :class:`Job` that writes to the store."""

    def __init__(self, store: "JobStore", claim: "Claim") -> None:
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
            self._store.progress(self._claim, _progress_json(current, total, message))

    def raise_if_cancelled(self) -> None:
        self._store.progress(self._claim)


def _progress_json(current: float, total: float | None, message: str | None) -> str:
    percent = round(min(100.0, 100.0 * current / total), 1) if total else None
    progress = {"percent": percent, "current": current, "total": total, "message": message}
    return json.dumps(progress, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
