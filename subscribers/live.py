"""Live mode: the fanout as the fast path, and the stream for what a break of the connection has swallowed."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

from jobs.connections.client import subscriber
from jobs.events.entry_id import order_of
from jobs.events.gap import Gap
from jobs.model.event import Event
from jobs.model.keys import EVERYBODY, KEYS
from subscribers.handler import Handler, OnGap, tell_gap
from subscribers.repeats import Recent

log = logging.getLogger(__name__)

LOOK_UP_EVERY = 1.0
"""Seconds between two looks at whether to stop."""
PING_AFTER = 5
"""Looks without any message after which the server is asked whether it is still there."""
RECONNECT_AFTER = 0.5
REMEMBERED = 20_000
"""Events by which repeats are known after a break."""
LOOK_BACK = 1_000
"""Milliseconds before the last event from which a break is filled: whatever clock the ids are made with."""
PAGE = 500


@dataclass(frozen=True, slots=True)
class StreamState:
    """What XINFO STREAM says: the ids of the oldest and newest entry, how many there ever were, how many are gone."""

    first_id: str
    last_id: str
    count: int
    trimmed: int


NO_STREAM = StreamState("+", "0-0", 0, 0)


@dataclass(slots=True)
class Position:
    """How far the events were told: up to the entry ``id``, and ``count`` of all the stream ever had."""

    id: str
    count: int
    time: str = ""
    """Of the last event that came by the fanout since then, which does not say where it stands in the stream."""

    @property
    def look_from(self) -> str:
        """The last entry that need not be looked at."""
        try:
            milliseconds = int(datetime.fromisoformat(self.time).timestamp() * 1000) - LOOK_BACK
            return max(self.id, f"{milliseconds}-0", key=order_of)
        except (ValueError, OverflowError):  # there is none, or none of ours
            return self.id


class Live:
    """The loop of one process."""

    def __init__(
        self, client: Redis, service: str, owner: str | None, wanted: frozenset[str], stopped: threading.Event
    ) -> None:
        self._client: Any = client
        self._service, self._wanted, self._stopped = service, wanted, stopped
        self._pattern = KEYS.channel_prefix(owner or EVERYBODY) + "*"
        self._stream = KEYS.stream if owner is None else KEYS.stream_of(owner)
        self._recent = Recent(REMEMBERED)
        self._position: Position | None = None
        self._has_complained = False

    def run(self, handler: Handler, on_gap: OnGap) -> None:
        """Hand over events until told to stop."""
        while not self._stopped.is_set():
            pubsub = subscriber(self._client)
            try:
                self._begin()
                pubsub.psubscribe(self._pattern)
                self._listen(pubsub, handler, on_gap)
            except (RedisError, OSError) as error:
                log.warning("%s: no connection to Redis (%s); trying again", self._service, error)
                self._stopped.wait(RECONNECT_AFTER)
            except Exception:  # what is missed until the next try is filled in, as at a break
                log.exception("%s: connecting again", self._service)
                self._stopped.wait(RECONNECT_AFTER)
            finally:
                pubsub.close()

    def _listen(self, pubsub: Any, handler: Handler, on_gap: OnGap) -> None:
        silent, connection = 0, pubsub.connection
        while not self._stopped.is_set():
            try:  # what ``get_message`` does, without its poll before every read, and without its silent reconnecting
                reply = connection.read_response(timeout=LOOK_UP_EVERY, disconnect_on_error=False, push_request=True)
            except TimeoutError:
                silent += 1
                if silent == PING_AFTER:
                    pubsub.ping()
                elif silent >= 2 * PING_AFTER:
                    raise ConnectionError("no answer to a ping") from None
                continue
            message: dict[str, Any] = pubsub.handle_message(reply) or {"type": None}
            silent = 0
            if message["type"] == "psubscribe":
                log.info("%s: listening to %s", self._service, self._pattern)
                self._fill(handler, on_gap)
            elif message["type"] == "pmessage" and hash(message["data"]) not in self._recent:
                event = self._hand_over(message["data"], handler)
                if event is not None and self._position is not None:
                    self._position.time = event.time
                    self._position.count += 1

    def _hand_over(self, text: bytes, handler: Handler) -> Event | None:
        """Call the handler; the event, if it is one."""
        self._recent.add(hash(text))
        try:
            event = Event.from_json(text)
        except ValueError as error:
            log.warning("%s: left out: %s", self._service, error)
            return None
        if event.name in self._wanted:
            try:
                handler(event)
            except Exception:
                log.exception("%s: handler failed on event %s", self._service, event.id)
        return event

    # --- what the fanout did not bring

    def _begin(self) -> None:
        """Before the first subscription: what comes from here on is told."""
        if self._position is None:
            with self._if_readable():
                state, _ = self._look("+")
                self._position = Position(state.last_id, state.count)

    def _fill(self, handler: Handler, on_gap: OnGap) -> None:
        """Tell what came between the last event and now; what comes from now on comes by the fanout."""
        with self._if_readable():
            if self._position is None:  # it could not be read before
                self._begin()
                return
            end: StreamState | None = None
            while not self._stopped.is_set():
                state, page = self._look(self._position.look_from)
                end = end or state
                self._check_for_gap(self._position, state, on_gap)
                for entry_id, fields in page:
                    if self._stopped.is_set():
                        return
                    if order_of(entry_id.decode()) <= order_of(end.last_id):
                        self._tell(self._position, entry_id.decode(), fields.get(b"event", b""), handler)
                if len(page) < PAGE or order_of(page[-1][0].decode()) >= order_of(end.last_id):
                    self._position = Position(end.last_id, end.count)
                    return

    def _tell(self, position: Position, entry_id: str, text: bytes, handler: Handler) -> None:
        if hash(text) not in self._recent:
            self._hand_over(text, handler)
            position.count += 1
        position.id, position.time = entry_id, ""

    def _check_for_gap(self, position: Position, state: StreamState, on_gap: OnGap) -> None:
        if state.count < position.count:  # another stream of that name: all of it is new
            position.id, position.count, position.time = "0-0", 0, ""
        missed = state.trimmed - position.count
        if missed > 0:
            gap = Gap(self._stream, position.id, state.first_id, missed)
            position.count = state.trimmed
            tell_gap(self._service, gap, on_gap)

    def _look(self, after: str) -> tuple[StreamState, list[tuple[bytes, dict[bytes, bytes]]]]:
        """The stream, and its next entries, at one moment."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.xinfo_stream(self._stream).xrange(
                self._stream, f"({after}" if after != "+" else after, "+", count=PAGE
            )
            info, page = pipe.execute(raise_on_error=False)
        if isinstance(info, ResponseError) and "no such key" in str(info):
            return NO_STREAM, []
        for answer in (info, page):
            if isinstance(answer, Exception):
                raise answer
        first = info["first-entry"][0].decode() if info["first-entry"] else "+"
        count = info["entries-added"]
        return StreamState(first, info["last-generated-id"].decode(), count, count - info["length"]), page

    @contextmanager
    def _if_readable(self) -> Iterator[None]:
        """A user who may not read the stream has the fanout only."""
        try:
            yield
        except ResponseError as error:
            if not self._has_complained:
                log.warning("%s: breaks cannot be filled, %s cannot be read: %s", self._service, self._stream, error)
            self._has_complained = True
