"""The end of a worker that is asked to stop: what still runs after the grace goes back to the queue."""

import _thread
import logging
import os
import signal
import time
from contextlib import suppress
from typing import Any

from redis.exceptions import RedisError

from jobs.celery_app import JobsCelery
from jobs.errors import StoreUnavailable
from jobs.messages.transport import Channel
from workers.request import held, plain_tasks, process_of

log = logging.getLogger(__name__)


class Shutdown:
    """Celery's own waits for running jobs without limit; this bounds it."""

    def __init__(self, app: JobsCelery) -> None:
        self._app = app
        self._grace = app.settings.grace

    def begin(self, how: str, **_: Any) -> None:
        """``how`` is Celery's word: Warm lets running jobs finish."""
        if how == "Warm":
            # a Thread waits until it has started, which a signal handler may not with a pool of gevent
            _thread.start_new_thread(self._after_grace, ())

    def _after_grace(self) -> None:
        time.sleep(self._grace)
        try:
            self._give_back_all()
        except Exception:
            log.exception("not all of what runs goes back to the queue")
        finally:
            os._exit(0)

    def _give_back_all(self) -> None:
        running = [request for request in held() if request.holder]
        log.warning("the grace of %g s is over; %d running jobs go back to the queue", self._grace, len(running))
        for request in running:
            try:
                self._app.backend.recovery.give_back(request.id, request.holder)
            except StoreUnavailable:
                pass  # then its lease ends, and it is found
            except Exception:
                log.exception("job %s: not given back", request.id)
            _end(request.process)
        for task in plain_tasks():  # another broker gives them out again when the connection is gone
            if isinstance(task.message.channel, Channel):
                with suppress(RedisError):
                    task.message.channel.give_back_noted(task.message)
            _end(process_of(task))


def _end(process: int | None) -> None:
    if process not in {None, os.getpid()}:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
