"""What workers have announced, as front doors and reconcilers read it."""

import logging
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from jobs.errors import UnknownJobType
from jobs.store.job_types import JobTypeInfo

if TYPE_CHECKING:
    from jobs.store.job_store import JobStore

log = logging.getLogger(__name__)

ALIVE_FOR = 15
"""Seconds after its last announcement that a type counts as run by a living worker."""

REREAD_AFTER = 2.0
"""Seconds a front door trusts what it read; an unknown type is looked up at once."""


class JobTypes:
    """What was announced, read again every few seconds. What cannot be read counts as never announced."""

    def __init__(self, store: "JobStore") -> None:
        self._store = store
        self._known: dict[str, JobTypeInfo] = {}
        self._texts: dict[str, str] = {}
        self._read_at = -REREAD_AFTER
        self._told: set[str] = set()
        """What was logged of announcements that cannot be read: once, though they come again every few seconds."""

    def get(self, name: str) -> JobTypeInfo:
        """The type of that name, whether or not a worker lives at this moment: its jobs wait for one.

        Raises:
            UnknownJobType: nobody ever announced it.
        """
        info = self._known.get(name)
        if info is None or self._is_stale():
            self._reread()
            info = self._known.get(name)
        if info is None:
            raise UnknownJobType(name, list(self._known))
        return info

    def living(self) -> list[JobTypeInfo]:
        """The types that living workers announced, by name."""
        self._reread()
        alive = self._store.types_seen_within(ALIVE_FOR)
        return [self._known[name] for name in sorted(alive) if name in self._known]

    def queues(self) -> set[str]:
        """The queues of all types, also of those that no worker runs at this moment."""
        self._reread()
        return {info.queue for info in self._known.values()}

    def _is_stale(self) -> bool:
        return time.monotonic() - self._read_at >= REREAD_AFTER

    def _reread(self) -> None:
        texts = self._store.announced_types()
        self._read_at = time.monotonic()
        if texts != self._texts:
            self._known = dict(self._readable(texts))
            self._texts = texts

    def _readable(self, texts: Mapping[str, str]) -> Iterator[tuple[str, JobTypeInfo]]:
        for name, text in texts.items():
            try:
                yield name, JobTypeInfo.from_json(text)
            except ValueError as error:
                self._tell_once(f"job type {name!r} cannot be read: {error}")

    def _tell_once(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            log.error("%s", what)
