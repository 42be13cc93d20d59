"""What every view works with: the settings, the store, the queue and what workers announced."""

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

from flask import current_app

from app.parameters import ParameterRules
from app.pressure import Pressure
from app.written import Written
from jobs.celery_app import JobsCelery, create_celery
from jobs.connections.line import SharedLine
from jobs.errors import StoreUnavailable
from jobs.events.feed import Feed
from jobs.model.record import Record
from jobs.results.backend import JobBackend
from jobs.settings import Settings
from jobs.store.announced import JobTypes
from jobs.store.batch import Batches
from jobs.store.durations import NOTHING_KNOWN, Durations
from jobs.store.job_store import JobStore
from jobs.webhooks.registry import Webhooks

DURATIONS_TRUSTED_FOR = 1.0
"""Seconds a web process trusts the durations of a type that it read."""


class FrontDoor:
    """One for each web process; it connects to nothing until the first request."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.celery: JobsCelery = create_celery(settings, SharedLine)
        self.backend: JobBackend = self.celery.backend
        self.queue = self.backend.queue
        self.store: JobStore = self.backend.store
        self.batches = Batches(self.store, settings)
        self.types = JobTypes(self.store)
        self.pressure = Pressure(self.store)
        self.feed = Feed(self.store, settings.stream_length)
        self.webhooks = Webhooks(self.store)
        self.rules = ParameterRules()
        self.openapi, self.asyncapi = Written(), Written()
        self._durations: dict[str, _Read] = {}

    @property
    def is_full(self) -> bool:
        """Whether as many requests wait as may."""
        return self.backend.waiting >= self.settings.max_waiters

    def drain(self) -> None:
        """The process is about to end: whoever waits is answered now, and whoever listens comes back elsewhere."""
        self.backend.end_waits()
        self.feed.close()

    def retry_after(self, record: Record) -> int:
        """Whole seconds after which it is worth asking for the job again."""
        read = self._durations_of(record.type)
        if record.run_at is not None:
            return read.durations.retry_after(0.0, starts_in=record.run_at / 1e6 - read.redis_now())
        started = record.started_at
        return read.durations.retry_after(0.0 if started is None else read.redis_now() - started / 1e6)

    def durations(self, job_type: str) -> Durations:
        return self._durations_of(job_type).durations

    def _durations_of(self, job_type: str) -> "_Read":
        """As read within the last second; while one reads, and when that fails, all others take what there was."""
        read = self._durations.get(job_type)
        now = time.monotonic()
        if read is None or now - read.looked_at >= DURATIONS_TRUSTED_FOR:
            read = replace(read, looked_at=now) if read else _Read(NOTHING_KNOWN, time.time(), now, now)
            self._durations[job_type] = read
            if self.backend.is_silent:
                return read
            with suppress(StoreUnavailable):
                durations, redis_time = self.store.durations(job_type)
                read = _Read(durations, redis_time, time.monotonic(), time.monotonic())
                self._durations[job_type] = read
        return read


@dataclass(frozen=True, slots=True)
class _Read:
    """Durations as read at ``at`` (monotonic), when Redis's clock said ``redis_time`` (seconds)."""

    durations: Durations
    redis_time: float
    at: float
    looked_at: float
    """When somebody last set out to read them anew."""

    def redis_now(self) -> float:
        return self.redis_time + time.monotonic() - self.at


def front_door() -> FrontDoor:
    """The front door of the app that answers the present request."""
    return cast(FrontDoor, current_app.extensions["front_door"])
