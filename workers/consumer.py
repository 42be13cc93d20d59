"""Celery's consumer of a worker: it sets aside what it cannot hand to a task, and is soon back at a broker that is."""

import logging
import select
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from celery import signals
from celery.exceptions import WorkerShutdown
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from redis.exceptions import RedisError

from jobs.celery_app import UNCONFIRMED
from jobs.errors import UnusableMessage
from jobs.messages.envelope import check_headers
from jobs.messages.transport import Channel

log = logging.getLogger(__name__)

PAUSES = {"interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}
"""Seconds between two tries to connect; Celery's grow to 30, and a worker would be late when its broker is back."""


class Consumer(CeleryConsumer):  # type: ignore[misc]
    """What :mod:`jobs.messages.envelope` lets through and is no task here.

    A job that has a record is not failed by it.
    """

    set_aside: Callable[[Any, str, Callable[[], None]], None]
    """What the step :class:`workers.set_aside.SetAside` does."""
    fetch_ahead: Any = None
    """The step that fetches jobs ahead, while it does."""

    def start(self) -> None:
        try:
            super().start()
        except WorkerShutdown:
            self._fetch_no_more()  # now: the pool is closed next, which waits for its jobs, and forgets those beyond
            raise

    def _fetch_no_more(self) -> None:
        """What a fetch under way has taken goes back to its queue, and what was fetched ahead."""
        channel = getattr(self.task_consumer, "channel", None)
        if isinstance(channel, Channel):
            with suppress(RedisError):  # then a reconciler finds the jobs
                channel.stop_fetching()
                if self.fetch_ahead is not None:
                    self.fetch_ahead.give_back(self)

    def on_close(self) -> None:
        """At the end, and when the connection is lost, Celery forgets the jobs that no process has accepted.

        A process to which one has been written runs it all the same: forgotten, nobody would renew its lease, and with
        its result unread the process would wait half a minute before it ends, and the worker for it.
        """
        written = list(_written())
        super().on_close()
        for request, outcome in written:
            state.task_reserved(request)
            outcome._cache[outcome._job] = outcome

    def connection_for_write(self, url: str | None = None, heartbeat: float | None = None) -> Any:
        """Celery's, for its events. Where the broker could confirm them nobody waits for that, nor for what it says."""
        is_outside = self.app.settings.broker_url is not None
        options = UNCONFIRMED if is_outside else {}
        connection = self.app.connection_for_write(url=url, heartbeat=heartbeat, transport_options=options)
        if is_outside:
            connection.drain_events = partial(_drain_what_has_come, connection, connection.drain_events)
        return self.ensure_connected(connection)

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, **PAUSES)
        return super().ensure_connected(conn)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        self._set_aside(message, "it names no task")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._set_aside(message, f"no worker of this queue knows the task {message.headers['task'][:200]!r}")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        self._set_aside(message, str(exc), exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        self._set_aside(message, f"its body cannot be read: {exc}", exc)

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        handle = super().create_task_handler(*args, **options)
        passed_on = tuple({*self.connection_errors, *self.channel_errors} - {KeyError})

        is_unchecked = self.app.settings.broker_url is not None  # our transport for Redis checks what it hands on

        def guarded(message: Any) -> None:
            try:
                if is_unchecked and message.headers and "task" in message.headers:
                    check_headers(message.headers)
                handle(message)
            except passed_on:
                raise
            except UnusableMessage as unusable:
                self._set_aside(message, str(unusable), unusable)
            except Exception as error:  # else it ends the worker, and then the next one that gets the message
                log.exception("message not handled")
                self._set_aside(message, f"Celery cannot handle it: {error!r}", error)

        return guarded

    def _set_aside(self, message: Any, reason: str, error: Exception | None = None) -> None:
        self.set_aside(message, reason, partial(self._reject, message, error))

    def _reject(self, message: Any, error: Exception | None) -> None:
        if not message.acknowledged:
            message.reject_log_error(log, self.connection_errors)
        signals.task_rejected.send(sender=self, message=message, exc=error)


def _written() -> Iterator[tuple[Any, Any]]:
    """The requests that a process of the pool has been sent and has not yet accepted, and the pool's note of each."""
    for request in tuple(state.reserved_requests):
        outcome = request._apply_result and request._apply_result()
        if getattr(outcome, "_write_to", None) is not None and not outcome.accepted():
            yield request, outcome


def _drain_what_has_come(connection: Any, drain: Callable[..., Any], **how: Any) -> None:
    """Celery's loop of greenlets waits a tenth of a second for more, after each message: ten jobs a second."""
    what_comes = select.poll()
    what_comes.register(connection.connection.sock, select.POLLIN)
    if what_comes.poll(0):
        drain(**how)
