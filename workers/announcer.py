"""The heartbeat of a worker: which job types it runs, said every few seconds while it lives."""

import logging
import threading
from collections.abc import Sequence
from typing import Any

from jobs.celery_app import JobsCelery
from jobs.errors import StoreUnavailable
from jobs.store.job_types import ANNOUNCE_EVERY, JobTypeInfo, announce

log = logging.getLogger(__name__)


class Announcer:
    """Runs in a thread of the worker's main process from the moment it is ready."""

    def __init__(self, app: JobsCelery, infos: Sequence[JobTypeInfo], every: float = ANNOUNCE_EVERY) -> None:
        self._app, self._infos, self._every = app, infos, every
        self._stopped = threading.Event()

    def start(self, **_: Any) -> None:
        threading.Thread(target=self._run, name="announcer", daemon=True).start()

    def stop(self, **_: Any) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                announce(self._app.backend.store, self._infos)
            except StoreUnavailable as error:
                log.warning("job types not announced: %s", error)
            except Exception:
                log.exception("job types not announced")
            self._stopped.wait(self._every)
