"""What ``AsyncResult`` asks of the result backend: how a job stands, and to wait for its end."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from celery import states
from celery.backends.redis import RedisBackend
from celery.exceptions import TaskRevokedError, TimeoutError
from celery.result import AsyncResult

from jobs.connections.client import connect
from jobs.connections.line import Line
from jobs.errors import JobFailed, JobNotFound, StoreUnavailable
from jobs.model.record import Record, rfc3339
from jobs.model.status import CELERY_STATE_OF, Status
from jobs.results.replies import ReplyConsumer, Waiter
from jobs.settings import Settings
from jobs.store.job_store import JobStore
from jobs.store.reader import JobReader

LOOK_AGAIN_AFTER = 0.25
"""Seconds between two looks for a job that nobody has submitted yet: a task that was sent by other means."""
LOOKS_AT_ONCE = 8
"""How many of those whose time is over look at once how their jobs stand, each over a connection kept for that."""
LOOK_WITHIN = 0.5
"""Seconds that Redis has to answer them: by so much a wait is longer than it was to be when Redis hangs."""
SILENT_FOR = 1.0
"""Seconds for which they take it from one another that Redis cannot be read."""


class WaitingBackend(RedisBackend):  # type: ignore[misc]
    """Celery's Redis backend with our store underneath, for those who ask; ``app.settings`` holds the settings."""

    ResultConsumer = ReplyConsumer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings: Settings = self.app.settings
        client = connect(self.settings.redis_url)
        self.store = JobStore(client, self.settings, self.app.line(client.connection_pool))
        last = connect(self.settings.redis_url, within=LOOK_WITHIN, again=False, most=LOOKS_AT_ONCE)
        self._last_looks = JobReader(last, self.settings, Line(last.connection_pool, again=False))
        self._expected: dict[int, Waiter] = {}
        self._looking = threading.BoundedSemaphore(LOOKS_AT_ONCE)
        self._silent_until = float("-inf")

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        try:
            return meta_of(self.store.get(task_id))
        except JobNotFound:
            return {"status": states.PENDING, "result": None}

    def get_many(self, task_ids: Any, timeout: float | None = None, **_: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        deadline = None if timeout is None else time.monotonic() + timeout
        for task_id in task_ids:
            result = self.app.AsyncResult(task_id)
            result.get(timeout=deadline and max(0.0, deadline - time.monotonic()), propagate=False)
            yield task_id, self.get_task_meta(task_id)

    def iter_native(self, result: Any, timeout: float | None = None, **_: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from self.get_many([node.id for node in result.results], timeout=timeout)

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Nothing to do: the wait for a result begins with ``get``, not with the send."""

    def _forget(self, task_id: str) -> None:
        """A job's record is not the caller's to forget: ``DELETE /jobs/{id}`` and the retention remove it."""

    # --- waiting

    @property
    def waiting(self) -> int:
        return int(self.result_consumer.waiting)

    @property
    def ending(self) -> bool:
        """Whether :meth:`end_waits` was called: no wait is worth beginning."""
        return bool(self.result_consumer.ending)

    def end_waits(self) -> None:
        """Called once, before the process ends: see :meth:`jobs.results.replies.ReplyConsumer.end_waits`."""
        self.result_consumer.end_waits()

    @property
    def is_silent(self) -> bool:
        """Whether Redis could not be read a moment ago, at the end of somebody's time."""
        return time.monotonic() < self._silent_until

    @property
    def reply_channel(self) -> str:
        return str(self.result_consumer.channel)

    def watch_over_submits(self) -> None:
        """From now on what this process has accepted is submitted again when Redis was restarted and lacks it.

        Raises:
            StoreUnavailable.
        """
        _ = self.reply_channel  # whoever reads it notices

    def expect(self, result: AsyncResult) -> None:
        """Begin to wait for a job that is about to be submitted with ``reply_to=reply_channel``."""
        self._register(result).announced = True

    def add_pending_result(self, result: AsyncResult, weak: bool = False, start_drainer: bool = True) -> AsyncResult:
        """Begin to wait for a job that may be there already: register first, then ask, so that no end is missed."""
        if id(result) not in self._expected:
            channel = self.reply_channel
            waiter = self._register(result)
            try:
                self._announce(waiter, channel)
            except BaseException:
                self.remove_pending_result(result)
                raise
        return result

    def _register(self, result: AsyncResult) -> Waiter:
        waiter: Waiter = self.result_consumer.expect(result.id)
        self._expected[id(result)] = waiter
        return waiter

    def _announce(self, waiter: Waiter, channel: str) -> None:
        """Have the job's end told to us; a job that is not known yet stays unannounced."""
        with suppress(JobNotFound):
            record = self.store.watch(waiter.job_id, channel)
            waiter.announced = True
            if record.is_final:
                waiter.final = record
                waiter.wake()

    def is_woken_within(self, result: AsyncResult, seconds: float) -> bool:
        """Sleep until ``result.get`` would return before its time, or for ``seconds``; the wait must have begun."""
        return self.ending or self._expected[id(result)].is_woken_within(seconds)

    def tell(self, result: AsyncResult, on_wake: Callable[[], None]) -> bool:
        """Have ``on_wake`` called when ``result.get`` would return before its time, now if it would at once.

        False when that cannot be told, and somebody has to block in ``get``: the job was not known when the wait began.
        ``on_wake`` may be called more than once, by the thread that reads the replies, and must not block.
        """
        waiter = self._expected[id(result)]
        if not waiter.announced:
            return False
        waiter.tell(on_wake)
        if self.ending:
            on_wake()
        return True

    def remove_pending_result(self, result: AsyncResult) -> AsyncResult:
        waiter = self._expected.pop(id(result), None)
        if waiter is not None:
            self.result_consumer.forget(waiter)
        return result

    def wait_for_pending(
        self,
        result: AsyncResult,
        timeout: float | None = None,
        callback: Callable[..., Any] | None = None,
        propagate: bool = True,
        on_message: Callable[[dict[str, Any]], None] | None = None,
        **_: Any,
    ) -> Any:
        """Block until the job is final, at most ``timeout`` seconds, exactly. ``on_message`` is given the meta.

        Raises:
            celery.exceptions.TimeoutError: the time is over; the job goes on.
        """
        record = self.record_at_end(result, timeout)
        if record is None or not record.is_final:
            raise TimeoutError("The operation timed out.")
        meta = meta_of(record)
        if on_message is not None:
            on_message(meta)
        result._maybe_set_cache(meta)
        return result.maybe_throw(callback=callback, propagate=propagate)

    def record_at_end(self, result: AsyncResult, timeout: float | None) -> Record | None:
        """What ``result.get`` does, for whoever wants the record: the job once it is final or the time is over.

        None when it could not be read then. The wait must have begun.
        """
        try:
            return self._await(result, timeout)
        finally:
            self.remove_pending_result(result)

    def _await(self, result: AsyncResult, timeout: float | None) -> Record | None:
        """The job once it is final or the time is over; None when it could not be read then."""
        deadline = None if timeout is None else time.monotonic() + timeout
        waiter = self._expected[id(result)]
        while waiter.final is None:
            if self.ending:
                return self._last_look(result.id)
            left = None if deadline is None else deadline - time.monotonic()
            if not waiter.announced and (left is None or left > LOOK_AGAIN_AFTER):
                waiter.wait(LOOK_AGAIN_AFTER)
                with suppress(StoreUnavailable):
                    self._announce(waiter, self.reply_channel)
                continue
            if not waiter.wait(left):
                return waiter.final or self._last_look(result.id)  # a wake-up may have been lost
            if waiter.final is None and not self.ending:
                record = self._read(result.id)
                if record is not None and record.is_final:
                    return record
        return waiter.final

    def _last_look(self, job_id: str) -> Record | None:
        """How the job stands at the end of the time, which is that of hundreds at once perhaps.

        When Redis is silent they are few at once, and the others go without.
        """
        with self._looking:
            if self.is_silent:
                return None
            try:
                return self._last_looks.look(job_id)
            except JobNotFound:
                return None
            except StoreUnavailable:
                self._silent_until = time.monotonic() + SILENT_FOR
                return None

    def _read(self, job_id: str) -> Record | None:
        """Whatever goes wrong with reading means "not ended yet"."""
        try:
            return self.store.look(job_id)
        except (JobNotFound, StoreUnavailable):
            return None


def meta_of(record: Record) -> dict[str, Any]:
    """A record as Celery's result meta."""
    result: Any = None
    if record.status is Status.COMPLETED:
        result = json.loads(record.result_json or "null")
    elif record.status is Status.FAILED:
        error = json.loads(record.error_json or "{}")
        result = JobFailed(error.get("type", "unknown"), error.get("message", ""))
    elif record.status is Status.CANCELLED:
        result = TaskRevokedError("cancelled")
    return {
        "task_id": record.id,
        "status": CELERY_STATE_OF[record.status],
        "result": result,
        "traceback": None,
        "children": [],
        "date_done": rfc3339(record.finished_at),
        "name": record.type,
    }
