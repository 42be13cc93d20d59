"""Durable mode: a service's own cursor in the stream, shared by its processes, with retries and dead letters."""

import logging
import random
import threading
import time
from dataclasses import dataclass

from jobs.errors import GroupMissing, LeaseLost, StoreRefused, StoreUnavailable
from jobs.events.entry_id import just_before
from jobs.events.gap import Gap
from jobs.events.group import Entry, Group, Taken
from jobs.model.event import Event
from subscribers.backlog import Backlog, Delivery
from subscribers.handler import Handler, OnGap, tell_gap
from subscribers.membership import Membership

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200
"""Entries of one read."""
MOST_IN_HAND = 1_000
"""Entries in hand, those that wait for a retry included, past which nothing more is read."""
WORK_AHEAD = 0.2
"""Seconds of work that a process takes from the others at once, as far as it knows how long the handler needs."""
FLUSH_AFTER = 0.05
"""Seconds of handling after which Redis is told what was handled: as much is repeated after a kill, at most."""
WAIT = 1.0
"""Seconds that one look for something new waits."""
AGAIN_AFTER = 0.5
"""Seconds until Redis is tried again."""
AGAIN_AFTER_REFUSAL = 5.0
LONGEST_BACKOFF = 60.0
LONGEST_REASON = 1_000
LONGEST_EVENT = 1_000_000
"""Bytes; ours are far smaller."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the service asks for: see :class:`subscribers.subscriber.Subscriber`."""

    wanted: frozenset[str]
    start: str
    """As for :meth:`Group.join`."""
    max_deliveries: int
    backoff: float


class Durable:
    """The loop of one process. It survives every loss of Redis, and a lease of its own that ran out."""

    def __init__(self, group: Group, terms: Terms, stopped: threading.Event) -> None:
        self._group, self._terms, self._stopped = group, terms, stopped
        self._start, self._again = terms.start, False
        self._backlog = Backlog()
        self._handled: list[Entry] = []
        self._told: list[bytes] = []
        self._place: Membership | None = None
        self._pace = WORK_AHEAD / 10  # seconds an event takes; a guess, at first

    def run(self, handler: Handler, on_gap: OnGap) -> None:
        """Handle events until told to stop; what is in hand then goes to other processes."""
        try:
            while not self._stopped.is_set():
                try:
                    self._step(handler, on_gap)
                except StoreUnavailable as error:
                    log.warning("%s: %s; trying again", self._group.service, error.reason)
                    self._stopped.wait(AGAIN_AFTER_REFUSAL if isinstance(error, StoreRefused) else AGAIN_AFTER)
                except LeaseLost as error:
                    log.warning("%s: %s", self._group.service, error)
                    self._forget()
                except GroupMissing as error:
                    log.error("%s: %s It is made anew.", self._group.service, error)
                    self._start_again()
        finally:
            self._leave()

    def in_hand(self) -> set[str]:
        """See :meth:`subscribers.subscriber.Subscriber.in_hand`."""
        return self._group.pending()

    def _step(self, handler: Handler, on_gap: OnGap) -> None:
        """Say what was handled, take what is next, handle what is due; or wait for something to happen."""
        place = self._join()
        ahead = min(MOST_AT_ONCE, max(1, int(WORK_AHEAD / self._pace))) - self._backlog.ready
        room = max(0, min(ahead, MOST_IN_HAND - len(self._backlog)))
        taken = self._next(place, room)
        self._put_in_hand(taken, on_gap)
        if self._handle(place, handler):
            return
        if self._handled or self._told or (room and taken.read == room):
            return  # there is something to say, or more to read
        retry = self._backlog.next_retry
        pause = WAIT if retry is None else min(WAIT, max(0.0, retry - time.monotonic()))
        if room > 0:
            self._group.wait(taken.position, pause)
        else:
            self._stopped.wait(pause)

    def _join(self) -> Membership:
        if self._place is None:
            place = Membership(self._group)
            place.join(self._start, again=self._again)
            self._place = place
        elif not self._place.is_sure:
            self._place.beat()
        return self._place

    def _next(self, place: Membership, room: int) -> Taken:
        handled, told = self._handled, self._told
        taken = self._group.next(place.consumer, handled, room, len(self._backlog), told)
        self._handled, self._told = [], []
        self._start, self._again = taken.position, False
        return taken

    def _put_in_hand(self, taken: Taken, on_gap: OnGap) -> None:
        for told in taken.gaps:
            tell_gap(self._group.service, self._group.gap(told), on_gap)
            self._told.append(told)
        if taken.is_whole:
            self._backlog.keep_only({entry.id for entry in taken.entries})
        new = [entry for entry in taken.entries if entry.id not in self._backlog]
        gone = [entry for entry in new if entry.text is None]
        if gone:
            gap = Gap(self._group.stream, gone[0].id, gone[-1].id, len(gone))
            tell_gap(self._group.service, gap, on_gap)
            self._handled.extend(gone)
        self._backlog.add(self._delivery(entry) for entry in new if entry.text is not None)

    def _delivery(self, entry: Entry) -> Delivery:
        if entry.attempts is None:
            return Delivery(entry)
        return Delivery(entry, entry.attempts or min(1, self._terms.max_deliveries - 1), is_suspect=True)

    def _handle(self, place: Membership, handler: Handler) -> bool:
        """Handle what is due, for as long as Redis need not hear of it; whether there may be more to do at once."""
        began = time.monotonic()
        count = 0
        while not self._stopped.is_set():
            if not place.is_sure:
                return True
            delivery = self._backlog.due(time.monotonic())
            if delivery is None:
                break
            count += 1
            self._deliver(place, delivery, handler)
            if delivery.is_suspect or time.monotonic() - began > FLUSH_AFTER:
                break
        if count:
            self._pace += 0.3 * ((time.monotonic() - began) / count - self._pace)
        return count > 0

    def _deliver(self, place: Membership, delivery: Delivery, handler: Handler) -> None:
        if delivery.reason is None:
            self._try(place, delivery, handler)
        if delivery.reason is not None:
            self._group.bury(place.consumer, delivery.entry, delivery.reason, delivery.attempts)
            log.error("%s: entry %s is a dead letter: %s", self._group.service, delivery.entry.id, delivery.reason)
            self._backlog.done(delivery)

    def _try(self, place: Membership, delivery: Delivery, handler: Handler) -> None:
        entry = delivery.entry
        try:
            event = _event(entry)
        except ValueError as error:
            delivery.reason = str(error)
            return
        if event.name in self._terms.wanted:
            if delivery.is_suspect:
                if delivery.attempts >= self._terms.max_deliveries:
                    delivery.reason = "the process that handled it died"
                    return
                self._group.attempt(place.consumer, entry.id, delivery.attempts + 1)
            delivery.attempts += 1
            try:
                handler(event)
            except Exception as error:
                self._failed(place, delivery, event, error)
                return
        self._backlog.done(delivery)
        self._handled.append(entry)

    def _failed(self, place: Membership, delivery: Delivery, event: Event, error: Exception) -> None:
        attempts, most = delivery.attempts, self._terms.max_deliveries
        said = "%s: handler failed on event %s (delivery %d of %d)"
        log.warning(said, self._group.service, event.id, attempts, most, exc_info=error)
        if attempts >= most:
            delivery.reason = _told_as(error)
            return
        pause = min(LONGEST_BACKOFF, self._terms.backoff * 2 ** (attempts - 1))
        pause = random.uniform(pause / 2, pause)  # noqa: S311
        was_suspect, delivery.is_suspect = delivery.is_suspect, True
        self._backlog.retry(delivery, time.monotonic() + pause)
        if not was_suspect:
            self._group.attempt(place.consumer, delivery.entry.id, attempts)

    # --- ends

    def _forget(self) -> None:
        """Others have what was in hand: go on as a new consumer."""
        if self._place is not None:
            self._place.lost()
        self._place = None
        self._backlog.clear()
        self._handled, self._told = [], []

    def _start_again(self) -> None:
        """Redis has lost the group: what was in hand is read once more, where the stream still has it."""
        if self._backlog.first_id is not None:
            self._start = just_before(self._backlog.first_id)
        self._again = True
        self._forget()

    def _leave(self) -> None:
        if self._place is None:
            return
        if self._handled or self._told:
            try:
                self._next(self._place, 0)
            except (StoreUnavailable, LeaseLost, GroupMissing) as error:
                log.warning("%s: some events may come again: %s", self._group.service, error)
        self._place.leave()
        self._place = None


def _told_as(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"
    return text[:LONGEST_REASON].encode("utf-8", "backslashreplace").decode()


def _event(entry: Entry) -> Event:
    """The event of an entry.

    Raises:
        ValueError: it holds none.
    """
    text = entry.text or b""
    if not text:
        raise ValueError("no field event")
    if len(text) > LONGEST_EVENT:
        raise ValueError(f"{len(text)} bytes are too many for an event")
    return Event.from_json(text, entry.id)
