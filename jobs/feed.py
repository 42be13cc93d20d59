"""The live feed of events in one process: one reader of the stream, whoever listens."""

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jobs.availability import available
from jobs.entry_id import order_of
from jobs.errors import StoreUnavailable
from jobs.events import Event
from jobs.keys import KEYS
from jobs.reader import JobReader

log = logging.getLogger(__name__)

MOST_BEHIND = 1_000
"""Events that wait for a slow listener; with more it is cut off, and comes back with the last id it has seen."""
READ_FOR = 1.0
"""Seconds that one read of the stream waits for something new."""
READ_AT_ONCE = 500
AGAIN_AFTER = 0.2


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as it stands in the stream. ``text`` is the CloudEvent as JSON."""

    id: str
    event: Event
    text: str

    @property
    def order(self) -> tuple[int, int]:
        return order_of(self.id)


class Listener:
    """Somebody who wants some of the events; closed by the feed when it is too slow or the process ends."""

    def __init__(self, wants: Callable[[Event], bool]) -> None:
        self.wants = wants
        self.is_closed = False
        self._waiting: queue.Queue[Entry | None] = queue.Queue(MOST_BEHIND)

    def next(self, within: float) -> Entry | None:
        """The next event; None when none came ``within`` seconds, or the listener is closed."""
        try:
            return self._waiting.get(timeout=within)
        except queue.Empty:
            return None

    def tell(self, entry: Entry) -> None:
        try:
            self._waiting.put_nowait(entry)
        except queue.Full:
            self.is_closed = True

    def close(self) -> None:
        self.is_closed = True
        if not self._waiting.full():
            self._waiting.put_nowait(None)


class Feed:
    """One for each process; it reads while somebody listens."""

    def __init__(self, reader: JobReader) -> None:
        self._reader = reader
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._is_reading = False

    def listen(self, wants: Callable[[Event], bool]) -> Listener:
        """A listener that misses nothing from now on; give it back with :meth:`leave`.

        Raises:
            StoreUnavailable.
        """
        listener = Listener(wants)
        with self._lock:
            if not self._is_reading:
                position = self._newest()
                self._is_reading = True
                threading.Thread(target=self._read, args=(position,), name="event-feed", daemon=True).start()
            self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)

    def close(self) -> None:
        """The process is about to end: every listener is closed."""
        for listener in list(self._listeners):
            listener.close()

    def since(self, after: str, owner: str | None) -> Iterator[Entry]:
        """What the stream holds after the id ``after``: of one owner, or all.

        Raises:
            StoreUnavailable.
        """
        key = KEYS.stream if owner is None else KEYS.stream_of(owner)
        while True:
            with available():
                found = self._reader.client.xrange(key, f"({after}", "+", count=READ_AT_ONCE)
            yield from _entries(found)
            if len(found) < READ_AT_ONCE:
                return
            after = found[-1][0]

    def _newest(self) -> str:
        with available():
            newest: list[tuple[str, Any]] = self._reader.client.xrevrange(KEYS.stream, count=1)
        return newest[0][0] if newest else "0-0"

    def _read(self, position: str) -> None:
        pause = threading.Event()
        while self._somebody_listens():
            try:
                with available():
                    found = self._reader.client.xread({KEYS.stream: position}, READ_AT_ONCE, int(READ_FOR * 1000))
            except StoreUnavailable as error:
                log.warning("events cannot be read: %s", error)
                pause.wait(AGAIN_AFTER)
                continue
            for _, entries in found:
                position = entries[-1][0]
                for entry in _entries(entries):
                    self._tell(entry)

    def _somebody_listens(self) -> bool:
        with self._lock:
            self._is_reading = bool(self._listeners)
            return self._is_reading

    def _tell(self, entry: Entry) -> None:
        for listener in list(self._listeners):
            if listener.wants(entry.event):
                listener.tell(entry)


def _entries(found: list[tuple[str, dict[str, str]]]) -> Iterator[Entry]:
    for entry_id, fields in found:
        try:
            yield Entry(entry_id, Event.from_json(fields["event"]), fields["event"])
        except (KeyError, ValueError) as error:
            log.warning("entry %s of the stream is passed over: %s", entry_id, error)
