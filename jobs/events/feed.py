"""The live feed of events in one process: one reader of the stream, whoever listens."""

import logging
import threading
import time
from collections.abc import Callable, Iterator

from jobs.errors import StoreUnavailable
from jobs.events.entries import (
    NEWEST,
    READ_AT_ONCE,
    Entry,
    Page,
    Raw,
    entries,
    id_of,
    is_overtaken,
    newest,
    next_entries,
    page,
)
from jobs.events.listener import Interest, Listener, shelves
from jobs.model.keys import KEYS
from jobs.store.reader import JobReader

log = logging.getLogger(__name__)

READ_FOR = 1.0
"""Seconds that one read of the stream waits for something new."""
AGAIN_AFTER = 0.2
"""Seconds until the stream is read again after that failed."""
TOLD_AT_ONCE = 1_000
"""Times a listener is told of an event before all listeners get their turn to take what they have."""


class Feed:
    """One for each process; it reads while somebody listens."""

    def __init__(self, reader: JobReader, stream_length: int) -> None:
        self._reader = reader
        self._may_have_jumped = min(READ_AT_ONCE, stream_length)
        self._listeners: dict[tuple[str, str], set[Listener]] = {}
        self._lock = threading.Lock()
        """Never held while Redis is asked."""
        self._asking = threading.Lock()
        self._failed_at = float("-inf")
        """When Redis did not say where its stream ends, last."""
        self._is_reading = False
        self._position = "0-0"

    @property
    def position(self) -> str:
        """The id up to which every listener has been told of what it wants."""
        return self._position

    def listen(self, interest: Interest, cut: Callable[[], None] = lambda: None) -> Listener:
        """A listener that misses nothing from now on; give it back with :meth:`leave`.

        Raises:
            StoreUnavailable.
        """
        begins_at = self._end()
        with self._lock:
            if not self._is_reading:
                threading.Thread(target=self._read, name="event-feed", daemon=True).start()
                self._is_reading, self._position = True, begins_at
            listener = Listener(interest, self._position, cut)
            self._listeners.setdefault(interest.shelf, set()).add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """A second time does nothing."""
        shelf = listener.interest.shelf
        with self._lock:
            listeners = self._listeners.get(shelf, set())
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(shelf, None)

    def close(self) -> None:
        """The process is about to end, or has missed something: every listener is closed."""
        for listeners in tuple(self._listeners.values()):
            for listener in tuple(listeners):
                listener.close()

    def pages(self, after: str, interest: Interest, until: str = NEWEST) -> Iterator[Page]:
        """What the stream holds of an interest after the id ``after``, up to the id ``until``; one page at least.

        Raises:
            StoreUnavailable.
        """
        key = KEYS.stream if interest.owner is None else KEYS.stream_of(interest.owner)
        while True:
            found = page(self._reader.client, key, after, until, about=interest.about)
            wanted = [entry for entry in found.entries if interest.covers(entry.event)]
            yield Page(wanted, found.gap, found.last, found.is_full)
            if not found.is_full:
                return
            after = found.last

    def _end(self) -> str:
        """Where a reader that began now would begin."""
        asked_at = time.monotonic()
        with self._asking:
            if self._is_reading:
                return self._position
            if self._failed_at >= asked_at:  # while we queued for it; to try in turn would take seconds each
                raise StoreUnavailable("Redis does not answer")
            try:
                return newest(self._reader.client, KEYS.stream)
            except StoreUnavailable:
                self._failed_at = time.monotonic()
                raise

    def _read(self) -> None:
        while self._somebody_listens():
            try:
                self._tell_all(self._next())
            except StoreUnavailable as error:
                log.warning("events cannot be read: %s", error)
                time.sleep(AGAIN_AFTER)
            except Exception:  # nobody would be told anything without this thread
                log.exception("events cannot be read: whoever listens has to come back")
                time.sleep(AGAIN_AFTER)
                self._give_up()
                return

    def _give_up(self) -> None:
        """Every listener is closed, and comes back; the first has a new reader begin, where the stream ends then."""
        with self._lock:
            self.close()
            self._listeners.clear()
            self._is_reading = False

    def _next(self) -> list[Raw]:
        """What came after the position. What was trimmed away before it was read ends every listener.

        They come back with the last id they have, and are told of the gap.
        """
        client = self._reader.client
        found = next_entries(client, KEYS.stream, self._position, READ_FOR)
        if len(found) >= self._may_have_jumped and is_overtaken(client, KEYS.stream, self._position):
            log.warning("events after %s were trimmed away before they were read", self._position)
            self.close()
        return found

    def _tell_all(self, found: list[Raw]) -> None:
        told = 0
        for entry in entries(found):
            with self._lock:  # who comes meanwhile is told, or begins after it
                told += self._tell(entry)
                self._position = entry.id
            if told >= TOLD_AT_ONCE:
                told = 0
                time.sleep(0)
        if found:
            self._position = id_of(found[-1])

    def _tell(self, entry: Entry) -> int:
        """How many were told."""
        told = 0
        for shelf in shelves(entry.event):
            for listener in tuple(self._listeners.get(shelf, ())):
                if listener.interest.covers(entry.event):
                    listener.tell(entry)
                    told += 1
        return told

    def _somebody_listens(self) -> bool:
        with self._lock:
            self._is_reading = bool(self._listeners)
            return self._is_reading
