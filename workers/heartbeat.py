"""The worker's sign of life: it renews the leases of all that it holds, whatever the job functions are doing."""

import logging
import os
import threading
from collections.abc import Callable
from signal import SIGKILL
from typing import Any

from jobs.celery_app import JobsCelery
from jobs.errors import StoreUnavailable
from jobs.settings import BEATS_A_LEASE
from workers.request import JobRequest, held

log = logging.getLogger(__name__)


class Heartbeat:
    """Runs in a thread of the worker's main process, from the moment it is ready until the process ends."""

    def __init__(self, app: JobsCelery) -> None:
        self._app = app
        self._every = app.settings.lease / BEATS_A_LEASE
        self._told: dict[tuple[str, str], bool] = {}
        """The attempts that count no more, by job and holder, and whether their process was to be ended."""

    def start(self, sender: Any, **_: Any) -> None:
        """``sender`` is Celery's consumer."""
        threading.Thread(target=self._run, args=(sender,), name="heartbeat", daemon=True).start()

    def _run(self, consumer: Any) -> None:
        pause = threading.Event()
        while not pause.wait(self._every):
            try:
                self._beat(consumer)
            except StoreUnavailable as error:
                log.warning("leases not renewed: %s", error)
            except Exception:  # without this thread every long job would be run again and again
                log.exception("leases not renewed")

    def _beat(self, consumer: Any) -> None:
        requests = held()
        lost = self._app.backend.recovery.renew([(request.id, request.holder) for request in requests])
        for request in requests:
            attempt = request.id, request.holder
            if attempt not in lost or self._told.get(attempt) in (True, lost[attempt]):
                continue
            if lost[attempt]:
                log.warning("job %s: cancelled by force; its process is ended", request.id)
                _end(consumer, request)
            else:
                log.warning("job %s: this worker's attempt counts no more; it is told at its next progress", request.id)
        self._told = lost
        if any(_has_died(request.process) for request in requests):
            _in_main_thread(consumer, consumer.pool.maintain_pool)


def _end(consumer: Any, request: JobRequest) -> None:
    """End the process that runs it, from the main thread, which knows whether it still does."""

    def end() -> None:
        if request in held():
            try:
                request.terminate(consumer.pool, signal=SIGKILL.name)
            except NotImplementedError:
                log.warning("job %s: this pool cannot end a running job", request.id)

    _in_main_thread(consumer, end)


def _has_died(pid: int | None) -> bool:
    """Whether a child of ours has ended that the pool has not yet noticed; it looks every five seconds only."""
    if pid is None or pid == os.getpid():
        return False
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def _in_main_thread(consumer: Any, call: Callable[[], None]) -> None:
    """The pool belongs to the main thread, where there is an event loop."""
    if consumer.hub is None:
        call()
    else:
        consumer.hub.call_soon(call)
