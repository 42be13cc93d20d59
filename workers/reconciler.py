"""The healer inside every worker; one of them leads at a time, and any living one takes over."""

import logging
import threading
import time
from functools import cached_property
from typing import Any

from jobs.celery_app import JobsCelery
from jobs.errors import StoreUnavailable
from jobs.store.announced import JobTypes
from workers.holder import WORKER

log = logging.getLogger(__name__)

LOOKS_A_LEASE = 12
QUEUES_EVERY = 5.0
"""Seconds between two looks at which queues there are."""
SWEEP_EVERY = 1.0


class Reconciler:
    """Runs in a thread of the worker's main process from the moment it is ready until it is told to stop."""

    def __init__(self, app: JobsCelery) -> None:
        self._app = app
        self._every = app.settings.lease / LOOKS_A_LEASE
        self._stopped = threading.Event()
        self._queues: set[str] = set()
        self._queues_at = self._swept_at = float("-inf")
        self._looked_at: float | None = None
        """When the last call began that Redis answered; None until one has."""

    def start(self, **_: Any) -> None:
        threading.Thread(target=self._run, name="reconciler", daemon=True).start()

    def stop(self, **_: Any) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            try:
                self._look()
            except StoreUnavailable as error:
                log.warning("not reconciled: %s", error)
            except Exception:
                log.exception("not reconciled")

    def _look(self) -> None:
        """For as long again as the pause before it: one call finds some jobs of each kind, and may leave others."""
        began = time.monotonic()
        more = self._reconcile()
        while more and time.monotonic() - began < self._every:
            more = self._reconcile()
        if more is not None and began - self._swept_at >= SWEEP_EVERY:
            self._swept_at = began
            until = time.monotonic() + self._every
            while self._app.backend.recovery.sweep(self._app.settings.retention) and time.monotonic() < until:
                pass

    def _reconcile(self) -> bool | None:
        began, lease = time.monotonic(), self._app.settings.lease
        was_away = self._looked_at is not None and began - self._looked_at > lease / 2
        more: bool | None = self._app.backend.recovery.reconcile(WORKER, self._known_queues(), grace=was_away)
        self._looked_at = began
        return more

    @cached_property
    def _types(self) -> JobTypes:
        return JobTypes(self._app.backend.store)

    def _known_queues(self) -> set[str]:
        if time.monotonic() - self._queues_at >= QUEUES_EVERY:
            self._queues = {self._app.conf.task_default_queue, *self._types.queues()}
            self._queues_at = time.monotonic()
        return self._queues
