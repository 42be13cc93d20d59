"""The end of a worker that is asked to stop: what still runs after the grace goes back to the queue."""

import logging
import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any

from jobs.celery_app import JobsCelery
from jobs.errors import StoreUnavailable
from workers.request import held

log = logging.getLogger(__name__)


class Shutdown:
    """Celery's own waits for running jobs without limit; this bounds it."""

    def __init__(self, app: JobsCelery) -> None:
        self._app = app
        self._grace = app.settings.grace

    def begin(self, how: str, **_: Any) -> None:
        """``how`` is Celery's word: Warm lets running jobs finish."""
        if how == "Warm":
            threading.Thread(target=self._after_grace, name="shutdown", daemon=True).start()

    def _after_grace(self) -> None:
        time.sleep(self._grace)
        running = {job_id: request for job_id, request in held().items() if request.holder}
        log.warning("the grace of %g s is over; %d running jobs go back to the queue", self._grace, len(running))
        for job_id, request in running.items():
            with suppress(StoreUnavailable):  # then its lease ends, and it is found
                self._app.backend.recovery.give_back(job_id, request.holder)
            if request.worker_pid != os.getpid():
                with suppress(ProcessLookupError):
                    os.kill(request.worker_pid, signal.SIGKILL)
        os._exit(0)
