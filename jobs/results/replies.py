"""Waiting for the end of jobs: one reply channel and one reader for the whole process, one wake-up for each waiter.

``AsyncResult.get`` comes here through the result backend. Celery's own consumer subscribes for each task, wakes
everybody for every message and rounds timeouts up to whole seconds; this one does none of that.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Collection
from typing import Any
from uuid import uuid4

import orjson
from celery.backends.asynchronous import BaseResultConsumer
from redis.client import PubSub
from redis.exceptions import RedisError, TimeoutError

from jobs.connections.availability import available
from jobs.connections.client import subscriber
from jobs.errors import StoreUnavailable
from jobs.model.keys import KEYS
from jobs.model.record import Record
from jobs.store.job_store import JobStore
from jobs.store.recent_submits import RecentSubmit

log = logging.getLogger(__name__)

SUBSCRIBED_WITHIN = 2.0
PING_EVERY = 5.0
"""Seconds of silence after which the reader asks the server whether it is still there."""
RECONNECT_AFTER = 0.2
AGAIN_AFTER = 1.0
RECHECK_AT_ONCE = 500


class Waiter:
    """Somebody who waits for one job; a bare lock is the lightest thing that sleeps, in threads and greenlets."""

    __slots__ = ("_lock", "_on_wake", "announced", "final", "job_id")

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.announced = False
        """Whether the job's record names our reply channel, so that its end will be told."""
        self.final: Record | None = None
        """The ended job, once it is known."""
        self._lock = threading.Lock()
        self._lock.acquire()
        self._on_wake: Callable[[], None] | None = None

    def wait(self, seconds: float | None) -> bool:
        """Sleep until woken (True) or ``seconds`` are over (False); None waits for ever."""
        return self._lock.acquire(timeout=-1 if seconds is None else max(0.0, seconds))

    def wake(self) -> None:
        if self._lock.locked():
            self._lock.release()
        if self._on_wake is not None:
            self._on_wake()

    def is_woken_within(self, seconds: float) -> bool:
        """Sleep as :meth:`wait` does, which will then return at once for whoever was woken."""
        woken = self.wait(seconds)
        if woken:
            self._lock.release()
        return woken

    def tell(self, on_wake: Callable[[], None]) -> None:
        """Call ``on_wake`` when woken, now if it has been; it may be called more than once, and must not block."""
        self._on_wake = on_wake
        if not self._lock.locked():
            on_wake()


class ReplyConsumer(BaseResultConsumer):  # type: ignore[misc]
    """The result consumer of :class:`jobs.results.waiting_backend.WaitingBackend`."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._waiters: dict[str, dict[Waiter, None]] = {}
        self._waiting = 0
        self._reader: _Reader | None = None
        self._starting = threading.Lock()
        self._failed_at = float("-inf")
        """When the reply channel could not be subscribed last."""
        self.ending = False
        """Whether the process is about to end: nobody waits any longer."""

    @property
    def waiting(self) -> int:
        """How many wait in this process."""
        return self._waiting

    @property
    def channel(self) -> str:
        """The reply channel of this process; subscribed from the first time it is asked for.

        Raises:
            StoreUnavailable: the subscription cannot be made now.
        """
        asked_at = time.monotonic()
        with self._starting:
            if self._reader is None or self._reader.pid != os.getpid():
                if self._failed_at >= asked_at:  # while we queued for it; to try in turn would take seconds each
                    raise StoreUnavailable("Redis does not answer")
                try:
                    self._reader = _Reader(self.backend.store, self._told, self._recheck, self._submit_again)
                except StoreUnavailable:
                    self._failed_at = time.monotonic()
                    raise
            return self._reader.channel

    def expect(self, job_id: str) -> Waiter:
        """A waiter that is woken when the job's end is told on the reply channel."""
        waiter = Waiter(job_id)
        self._waiters.setdefault(job_id, {})[waiter] = None
        self._waiting += 1
        return waiter

    def forget(self, waiter: Waiter) -> None:
        waiters = self._waiters.get(waiter.job_id, {})
        if waiter in waiters:
            del waiters[waiter]
            self._waiting -= 1
        if not waiters:
            self._waiters.pop(waiter.job_id, None)

    def stop(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop()

    def end_waits(self) -> None:
        """The process is about to end: every wait is over now, whether its job has ended or not."""
        self.ending = True
        for job_id in list(self._waiters):
            self._wake(job_id)

    def cancel_for(self, task_id: str) -> None:
        """Nothing to do: there is no subscription of its own for a task."""

    consume_from = cancel_for

    def _told(self, message: str) -> None:
        """A job has ended: hand its record to whoever waits for it."""
        job_id, flat = orjson.loads(message)
        waiters = self._waiters.get(job_id)
        if waiters:
            record = self.backend.store.record(job_id, flat)
            for waiter in list(waiters):
                waiter.final = record
                waiter.wake()

    def _wake(self, job_id: str) -> None:
        for waiter in list(self._waiters.get(job_id, ())):
            waiter.wake()

    def _submit_again(self, submits: Collection[RecentSubmit]) -> None:
        """Redis is back, perhaps without what it had accepted last."""
        threading.Thread(target=self._insist, args=(submits,), name="submits-again", daemon=True).start()

    def _insist(self, submits: Collection[RecentSubmit]) -> None:
        pause = threading.Event()
        while True:
            try:
                missing = self.backend.store.submit_again(submits)
            except StoreUnavailable as error:
                log.warning("what was accepted last is to be submitted again: %s", error.reason)
                pause.wait(AGAIN_AFTER)
                continue
            if missing:
                log.warning("Redis came back without %d jobs or batches accepted last: submitted again", missing)
            return

    def _recheck(self) -> None:
        """After a gap in the subscription: wake whoever waits for a job that ended meanwhile."""
        job_ids = list(self._waiters)
        for start in range(0, len(job_ids), RECHECK_AT_ONCE):
            for job_id in self.backend.store.ended(job_ids[start : start + RECHECK_AT_ONCE]):
                self._wake(job_id)


class _Reader:
    """The one thread (or greenlet) that reads the reply channel, through every break of the connection.

    Args:
        told: called with each message.
        recheck: called after each gap in the subscription.
        restarted: called when another run of a server answers after the gap, with what was accepted just before it.
    """

    def __init__(
        self,
        store: JobStore,
        told: Callable[[str], None],
        recheck: Callable[[], None],
        restarted: Callable[[Collection[RecentSubmit]], None],
    ) -> None:
        self.pid = os.getpid()
        self.channel = KEYS.reply_channel(uuid4().hex)
        self._store, self._told, self._recheck, self._restarted = store, told, recheck, restarted
        self._stopped = threading.Event()
        self._in_doubt: dict[str, RecentSubmit] = {}
        self._run_id = store.run_id()
        with available():
            pubsub = self._subscribe()
        threading.Thread(target=self._run, args=(pubsub,), name="reply-reader", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def _subscribe(self) -> PubSub:
        pubsub = subscriber(self._store.client)
        try:
            pubsub.subscribe(self.channel)
            if pubsub.get_message(timeout=SUBSCRIBED_WITHIN) is None:
                raise StoreUnavailable("Redis does not answer")
        except BaseException:
            pubsub.close()
            raise
        return pubsub

    def _run(self, first: PubSub) -> None:
        pubsub: PubSub | None = first
        while not self._stopped.is_set():
            try:
                if pubsub is None:
                    pubsub = self._subscribe()
                    self._recheck()
                    self._look_for_restart()
                self._read(pubsub)
            except Exception as error:  # also what is no reply of ours: nobody would be woken without this thread
                if self._stopped.is_set():
                    break
                if isinstance(error, (RedisError, OSError, StoreUnavailable)):
                    log.warning("reply channel lost (%s): subscribing again", error)
                else:
                    log.exception("reply channel: what came is no reply of ours; subscribing again")
                self._in_doubt |= self._store.recent.latest()
                if pubsub is not None:
                    pubsub.close()
                pubsub = None
                self._stopped.wait(RECONNECT_AFTER)
        if pubsub is not None:
            pubsub.close()

    def _look_for_restart(self) -> None:
        run_id = self._store.run_id()
        if run_id != self._run_id:
            self._restarted(self._in_doubt.values())
        self._in_doubt, self._run_id = {}, run_id

    def _read(self, pubsub: PubSub) -> None:
        """Read until the connection breaks, without ``get_message``: it polls before every read, and reconnects.

        After a silence the server is asked; whatever comes next is an answer, also the end of a job just before it.
        """
        connection: Any = pubsub.connection
        is_asked = False
        while not self._stopped.is_set():
            try:
                reply = connection.read_response(timeout=PING_EVERY, disconnect_on_error=False, push_request=True)
            except TimeoutError:
                if is_asked:
                    raise StoreUnavailable("Redis does not answer") from None
                pubsub.ping()
                is_asked = True
                continue
            is_asked = False
            self._store.recent.heard()
            match pubsub.handle_message(reply):
                case {"type": "message", "data": told}:
                    self._told(told)
