"""What is known of all durable subscriptions, and what a person does with one: replay it, or drop it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis.exceptions import ResponseError

from jobs.connections.availability import available
from jobs.errors import StoreRefused, SubscriptionInUse, SubscriptionNotFound
from jobs.events.entry_id import just_before, order_of
from jobs.events.group import PARTS, subscription_name
from jobs.model.keys import EVERYBODY, KEYS
from jobs.store.reader import JobReader

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Subscription:
    """One service's place in a stream."""

    service: str
    owner: str | None
    """Whose events; None: everybody's."""
    stream: str
    """The Redis key."""
    pending: int
    """Events that a process has in hand."""
    lag: int | None
    """Events that no process has read yet; None where Redis cannot count them."""
    consumers: int
    """Living processes."""
    dead_letters: int
    last_seen_at: int
    """When a process was seen last, in microseconds."""
    last_delivered_id: str


@dataclass(frozen=True, slots=True)
class Buried:
    """One dead letter of a subscription. ``entry`` is where the event stands, or stood, in the stream."""

    id: str
    at: str
    reason: str
    attempts: int
    entry: str
    event: str
    note: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """``after`` is the last entry that does not come again. With ``is_cut`` the stream begins later than was asked."""

    after: str
    events: int
    is_cut: bool


class Subscriptions:
    """All durable subscriptions. Every method raises StoreUnavailable when Redis cannot be used."""

    def __init__(self, reader: JobReader) -> None:
        self._reader, self._client = reader, reader.client

    def all(self) -> list[Subscription]:
        """Those whose group is there, by stream and name."""
        with available():
            seen: dict[str, str] = self._client.hgetall(KEYS.subscriptions)
            now, _ = self._client.time()
        groups = self._groups({_stream(name) for name in seen})
        names = [name for name in seen if _service(name) in groups[_stream(name)]]
        with available(), self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.zcount(KEYS.subscription(name, "consumers"), now * 1_000_000, "+inf")
                pipe.xlen(KEYS.subscription(name, "dead"))
            counts = pipe.execute()
        found = [
            _subscription(name, seen[name], groups[_stream(name)][_service(name)], living, letters)
            for name, living, letters in zip(names, counts[::2], counts[1::2], strict=True)
        ]
        return sorted(found, key=lambda each: (each.stream, each.service))

    def dead_letters(self, service: str, owner: str | None) -> Iterator[Buried]:
        """The dead letters of one, oldest first.

        Raises:
            SubscriptionNotFound.
        """
        name = self._known(service, owner)
        start = "-"
        while True:
            with available():
                page = self._client.xrange(KEYS.subscription(name, "dead"), start, "+", count=PAGE)
            for entry_id, fields in page:
                texts = [fields.get(field, "") for field in ("entry", "event", "note")]
                yield Buried(entry_id, fields["at"], fields["reason"], int(fields["attempts"]), *texts)
            if len(page) < PAGE:
                return
            start = f"({page[-1][0]}"

    def forget_dead_letters(self, service: str, owner: str | None) -> int:
        """Remove the dead letters of one; how many there were.

        Raises:
            SubscriptionNotFound.
        """
        key = KEYS.subscription(self._known(service, owner), "dead")
        with available(), self._client.pipeline() as pipe:
            count, _ = pipe.xlen(key).delete(key).execute()
        return int(count)

    def replay(self, service: str, owner: str | None, first: str) -> Replayed:
        """Have every event from the entry ``first`` on come again, whether processes of the service live or not.

        Raises:
            SubscriptionNotFound.
        """
        stream = _stream(self._known(service, owner))
        after = just_before(first)
        with available():
            try:
                info = self._client.xinfo_stream(stream)
            except ResponseError as error:  # no stream
                raise SubscriptionNotFound(subscription_name(service, owner)) from error
            count, last = info["entries-added"], info["last-generated-id"]
            events = self._count(stream, after, last)
            after = min(after, last, key=order_of)  # nothing that is to come is left out
            try:
                self._client.xgroup_setid(stream, service, after, entries_read=count - events)
            except ResponseError as error:  # no group
                raise SubscriptionNotFound(subscription_name(service, owner)) from error
        oldest = info["first-entry"]
        is_trimmed = info["length"] < count and (oldest is None or order_of(first) < order_of(oldest[0]))
        return Replayed(after, events, is_trimmed)

    def drop(self, service: str, owner: str | None) -> None:
        """Forget it, its dead letters too; its service starts as one that never ran.

        Raises:
            SubscriptionNotFound.
            SubscriptionInUse: a process of it lives.
        """
        name = subscription_name(service, owner)
        kept = [KEYS.subscription(name, part) for part in PARTS]
        keys = [_stream(name), *kept, KEYS.subscriptions, KEYS.subscription(name, "dead")]
        living = self._reader.call("drop", keys, [service, name])
        if living < 0:
            raise SubscriptionNotFound(name)
        if living:
            raise SubscriptionInUse(name, living)

    def _known(self, service: str, owner: str | None) -> str:
        name = subscription_name(service, owner)
        with available():
            if not self._client.hexists(KEYS.subscriptions, name):
                raise SubscriptionNotFound(name)
        return name

    def _groups(self, streams: set[str]) -> dict[str, dict[str, dict[str, Any]]]:
        """What Redis says of the groups of each stream, by name; nothing of one that is not there."""
        with available(), self._client.pipeline(transaction=False) as pipe:
            for stream in streams:
                pipe.xinfo_groups(stream)
            answers = pipe.execute(raise_on_error=False)
            found: dict[str, dict[str, dict[str, Any]]] = {}
            for stream, answer in zip(streams, answers, strict=True):
                if isinstance(answer, Exception) and "no such key" not in str(answer):
                    raise answer
                groups = [] if isinstance(answer, Exception) else answer
                found[stream] = {group["name"]: group for group in groups}
        return found

    def _count(self, stream: str, after: str, last: str) -> int:
        """Entries after the one and up to the other."""
        count = 0
        found: int
        while True:
            found, reached = self._reader.call("span", [stream], [after, last, PAGE])
            count += found
            if found < PAGE:
                return count
            after = reached


def entry_at(text: str) -> str:
    """The id that an RFC 3339 time with its offset, or the id of an entry, stands for.

    Raises:
        ValueError: it is neither.
    """
    if re.fullmatch(r"[0-9]{1,15}(-[0-9]{1,19})?", text, re.ASCII):
        return text if "-" in text else f"{text}-0"
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no offset, nor Z")
    return f"{max(0, int(at.timestamp() * 1000))}-0"


def _subscription(name: str, seen_at: str, group: dict[str, Any], living: int, letters: int) -> Subscription:
    if not seen_at.isdecimal():
        raise StoreRefused(f"{KEYS.subscriptions} holds no time for {name}")
    return Subscription(
        service=_service(name),
        owner=_owner(name),
        stream=_stream(name),
        pending=group["pending"],
        lag=group["lag"],
        consumers=living,
        dead_letters=letters,
        last_seen_at=int(seen_at),
        last_delivered_id=group["last-delivered-id"],
    )


def _service(name: str) -> str:
    return name.partition(":")[2]


def _owner(name: str) -> str | None:
    owner = name.partition(":")[0]
    return None if owner == EVERYBODY else owner


def _stream(name: str) -> str:
    owner = _owner(name)
    return KEYS.stream if owner is None else KEYS.stream_of(owner)
