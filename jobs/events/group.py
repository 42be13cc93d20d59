"""The consumer group of a durable subscriber: every verb on it is one atomic step in Redis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from jobs.connections.availability import available
from jobs.connections.line import Line
from jobs.connections.scripts import Scripts
from jobs.errors import GroupMissing, LeaseLost
from jobs.events.gap import Gap
from jobs.letters.dead_letters import MOST_KEPT, kept
from jobs.model.keys import EVERYBODY, KEYS
from jobs.settings import Settings

PARTS = ("consumers", "held", "attempts", "gaps")
"""What a group is kept with, beside the stream; in the order in which scripts take them."""
PAGE = 1000
LEASES_KEPT = 10
"""What a group is kept with outlives so many leases, however short ``JOBS_RETENTION`` is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the stream as a consumer has it in hand. ``job`` names what its order counts in."""

    id: str
    job: bytes
    text: bytes | None
    """None when nothing of it is left."""
    attempts: int | None
    """Deliveries that failed or whose process died; None when nothing is known against it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a consumer got. With ``is_whole`` the entries are all it has in hand, else only new ones."""

    read: int
    """Entries read from the stream, also those that went to other consumers."""
    position: str
    """The last entry that the group has read: the newest of all, if fewer were read than were asked for."""
    entries: list[Entry]
    is_whole: bool
    gaps: list[bytes]
    """Lost to the group: to be told, and said to have been told at the next call (see :meth:`Group.gap`)."""


class Group:
    """The group of ``service`` on the stream of one owner, or of all.

    Every method raises StoreUnavailable when Redis cannot be used; those that name a consumer raise LeaseLost when
    others have taken all it had or it has left, and GroupMissing when Redis knows no such group.

    Args:
        client: of bytes, for the stream may hold anything.
    """

    def __init__(self, client: Redis, settings: Settings, service: str, owner: str | None) -> None:
        self.service, self.stream = service, KEYS.stream if owner is None else KEYS.stream_of(owner)
        self.lease = settings.lease
        self._client: Any = client
        self._scripts = Scripts(client, Line(client.connection_pool).ask)
        self._name = subscription_name(service, owner)
        self._keys = [self.stream, *(KEYS.subscription(self._name, part) for part in PARTS)]
        self._keep = int(max(settings.retention, LEASES_KEPT * settings.lease) * 1000)

    def join(self, consumer: str, start: str, *, again: bool = False) -> bool:
        """Become a consumer; whether the group is new.

        ``start`` is where a new one begins: ``$`` now, ``0`` at the oldest entry, or the last id that is not wanted;
        with ``again`` one that is there goes back to there, if it is further (for ``$``, it never is).
        """
        keys = [*self._keys, KEYS.subscriptions]
        arguments = [self.service, consumer, *self._terms(), start, "again" if again else ""]
        return bool(self._call("join", keys, arguments))

    def beat(self, consumer: str, *, takes: bool) -> None:
        """Renew the lease; with ``takes``, also take over what dead consumers have left."""
        keys = [*self._keys, KEYS.subscriptions]
        match self._call("beat", keys, [self.service, consumer, *self._terms(), "take" if takes else ""]):
            case 0:
                raise LeaseLost(consumer)
            case -1:
                raise GroupMissing(self.service, self.stream)

    def leave(self, consumer: str) -> str:
        """Hand everything to a living consumer; its name, '' when there is none."""
        heir: bytes = self._call("leave", self._keys, [self.service, consumer])
        return heir.decode()

    def next(
        self, consumer: str, handled: Sequence[Entry], most: int, in_hand: int, told: Sequence[bytes] = ()
    ) -> Taken:
        """Acknowledge what was handled and gaps that were told, and take up to ``most`` entries more.

        ``in_hand`` counts the entries that the consumer has and has not handled.
        """
        last = {entry.job: entry.id for entry in handled}
        ids, pairs = [entry.id for entry in handled], [part for pair in last.items() for part in pair]
        arguments = [self.service, consumer, most, in_hand, len(ids), len(last), *ids, *pairs, *told]
        match self._call("next", self._keys, arguments):
            case [b"ok", read, position, entries, whole, gaps]:
                found = [_entry(*each) for each in entries]
                return Taken(read, position.decode(), found, whole == 1, gaps)
            case [b"removed"]:
                raise LeaseLost(consumer)
        raise GroupMissing(self.service, self.stream)

    def attempt(self, consumer: str, entry_id: str, attempts: int) -> None:
        """Keep how often an entry was, or is about to be, handed to the handler."""
        if not self._call("attempt", self._keys, [consumer, entry_id, attempts]):
            raise LeaseLost(consumer)

    def bury(self, consumer: str, entry: Entry, reason: str, attempts: int) -> None:
        """Move an entry to the dead letters."""
        text, note = kept(entry.text or b"")
        arguments = [self.service, consumer, entry.id, entry.job, reason, attempts, text, note, MOST_KEPT]
        if not self._call("bury", [*self._keys, KEYS.subscription(self._name, "dead")], arguments):
            raise LeaseLost(consumer)

    def wait(self, after: str, seconds: float) -> None:
        """Until the stream has an entry after the id ``after``, or the time is over."""
        with available():
            self._client.xread({self.stream: after}, count=1, block=max(1, int(seconds * 1000)))

    def gap(self, told: bytes) -> Gap:
        """One of the gaps of :class:`Taken`."""
        after, before, missed = told.decode().split()
        return Gap(self.stream, after, before, None if missed == "?" else int(missed))

    def pending(self) -> set[str]:
        """The ids of all entries that some consumer has in hand."""
        found: set[str] = set()
        start = "-"
        while True:
            with available():
                try:
                    page = self._client.xpending_range(self.stream, self.service, start, "+", PAGE)
                except ResponseError as error:
                    if "NOGROUP" in str(error):
                        return found
                    raise
            found.update(entry["message_id"].decode() for entry in page)
            if len(page) < PAGE:
                return found
            start = f"({page[-1]['message_id'].decode()}"

    def _terms(self) -> tuple[int, int, str]:
        return int(self.lease * 1e6), self._keep, self._name

    def _call(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        with available():
            return self._scripts.call(script, keys, arguments)


def subscription_name(service: str, owner: str | None) -> str:
    """What a group is called among all subscriptions."""
    return f"{owner or EVERYBODY}:{service}"


def _entry(entry_id: bytes, job: bytes, text: bytes | None, attempts: bytes | None) -> Entry:
    return Entry(entry_id.decode(), job, text, None if attempts is None else int(attempts))
