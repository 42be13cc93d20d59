"""A stream of Server-Sent Events: first what happened, then what happens, each event once and what is lost named."""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from secrets import randbelow

import orjson

from app.schemas import GAP
from jobs.errors import StoreUnavailable
from jobs.events.entries import Entry, Page
from jobs.events.entry_id import just_before, order_of
from jobs.events.feed import Feed
from jobs.events.gap import Gap
from jobs.events.listener import Interest, Listener

log = logging.getLogger(__name__)

HEARTBEAT_EVERY = 15.0
"""Seconds of silence after which a comment is sent: proxies keep the connection, and a client that left is noticed."""
COME_BACK_AFTER = 1_000
"""Milliseconds after which a browser connects again; up to twice as many, so that a thousand do not come at once."""


class EventStream:
    """The body of an answer. It must be closed, begun or not; the server does so.

    Args:
        interest: which events; those of one job end with its final one.
        past: what happened, as :meth:`Feed.pages` gives it; without it the stream begins now.
        goes_on: whether anything can come after the past.
        cut: ends the connection of a client that reads too slowly.

    Raises:
        StoreUnavailable.
    """

    def __init__(
        self,
        feed: Feed,
        interest: Interest,
        *,
        past: Iterable[Page] | None = None,
        goes_on: bool = True,
        cut: Callable[[], None],
    ) -> None:
        self._feed, self._interest, self._cut = feed, interest, cut
        self._past, self._goes_on = past or (), goes_on
        self._sent, self._has_ended = "0-0", False
        self._listener: Listener | None = None
        if past is None:
            self._sent = self._listen().after

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield self._opening()
            for page in self._past:
                yield from self._chunk(page.entries, page)
                if self._has_ended:
                    return
            if self._goes_on:
                yield from self._meanwhile()
                yield from self._coming()
        except StoreUnavailable as error:
            log.info("a stream of events ends: %s", error)  # the client comes back with the last id it has

    def close(self) -> None:
        if self._listener is not None:
            self._feed.leave(self._listener)

    def _listen(self) -> Listener:
        self._listener = self._feed.listen(self._interest, self._cut)
        return self._listener

    def _opening(self) -> bytes:
        """When to come back; and where to go on from, for a client that loses us before the first event."""
        retry = f"retry: {COME_BACK_AFTER + randbelow(COME_BACK_AFTER)}\n\n".encode()
        return retry if self._listener is None else retry + _resume_at(self._sent)

    def _meanwhile(self) -> Iterator[bytes]:
        """A client that catches up does so at its own pace; only then it listens, and what came in between is read."""
        if self._listener is None:
            listener = self._listen()
            for page in self._feed.pages(self._sent, self._interest, listener.after):
                yield from self._chunk(page.entries, page)
                if self._has_ended:
                    return

    def _coming(self) -> Iterator[bytes]:
        assert self._listener is not None
        while not self._has_ended and not self._listener.is_closed:
            told_up_to = self._feed.position
            entries = self._listener.take(HEARTBEAT_EVERY)
            if entries:
                yield from self._chunk(entries)
            elif not self._listener.is_closed:
                self._sent = max(self._sent, told_up_to, key=order_of)
                yield b":\n" + _resume_at(self._sent)

    def _chunk(self, entries: list[Entry], page: Page | None = None) -> Iterator[bytes]:
        """These entries, but for those that were sent before, as one piece; the final event of a job is the last."""
        lines: list[bytes] = []
        if page is not None and page.gap is not None and not self._begins(entries):
            lines.append(_gap(page.gap, page.last))
        for entry in entries:
            if order_of(entry.id) > order_of(self._sent):
                self._sent = entry.id
                lines.append(_event(entry))
                if self._interest.ends_with(entry.event):
                    self._has_ended = True
                    break
        if page is not None and not self._has_ended:
            self._sent = max(self._sent, page.last, key=order_of)
        if lines:
            yield b"".join(lines)

    def _begins(self, entries: list[Entry]) -> bool:
        """Whether the first event of the job is among them: then nothing of it was trimmed away."""
        return self._interest.job_id is not None and bool(entries) and entries[0].event.name == "created"


def _resume_at(entry_id: str) -> bytes:
    """No event, but a browser keeps the id."""
    return f"id: {entry_id}\n\n".encode()


@lru_cache(maxsize=128)
def _event(entry: Entry) -> bytes:
    """Written once, whoever listens."""
    data = re.sub(r"\r\n?|\n", "\ndata: ", entry.text)  # ours is one line; JSON may have more
    return f"id: {entry.id}\nevent: {entry.event.name}\ndata: {data}\n\n".encode()


def _gap(gap: Gap, end: str) -> bytes:
    """Told with an id of its own, before that of what is left: who comes back with it is not told again."""
    is_nothing_left = gap.before == "+"
    data = orjson.dumps({"after": gap.after, "before": None if is_nothing_left else gap.before}).decode()
    return f"id: {end if is_nothing_left else just_before(gap.before)}\nevent: {GAP}\ndata: {data}\n\n".encode()
