"""Entries of the streams of events: what one is, and pages of them, with what was trimmed away unread named."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from redis.client import NEVER_DECODE
from redis.exceptions import ResponseError

from jobs.connections.availability import available
from jobs.events.entry_id import just_before, order_of
from jobs.events.gap import Gap
from jobs.model.event import Event

log = logging.getLogger(__name__)

READ_AT_ONCE = 200
NEWEST = "+"


Raw = tuple[bytes, dict[bytes, bytes]]
"""What redis-py makes of an entry. Bytes: anybody may have written it, and text of another encoding would not pass."""
EVENT = b"event"
AS_BYTES = {NEVER_DECODE: True}


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One event as it stands in a stream. ``text`` is the CloudEvent as JSON."""

    id: str
    event: Event
    text: str

    @property
    def order(self) -> tuple[int, int]:
        return order_of(self.id)


@dataclass(frozen=True, slots=True)
class Page:
    """What a stream held after an id; ``last`` is the id where the next page begins.

    That is never after the end of the stream: an id of another time stands for now.
    """

    entries: list[Entry]
    gap: Gap | None
    last: str
    is_full: bool


def page(client: Any, key: str, after: str, until: str = NEWEST, *, about: str = "") -> Page:
    """The next entries after the id ``after``, up to the id ``until``.

    Args:
        about: a text that every wanted entry contains; an entry without it is passed over unread.

    Raises:
        StoreUnavailable.
    """
    with available(), client.pipeline(transaction=False) as pipe:
        pipe.execute_command("XRANGE", key, f"({after}", until, "COUNT", READ_AT_ONCE, **AS_BYTES)
        pipe.execute_command("XINFO STREAM", key, **AS_BYTES)
        found, info = pipe.execute(raise_on_error=False)
        if isinstance(found, ResponseError):
            raise found
    gap = Gap(key, after, _oldest(info) or "+", None) if _is_overtaken(info, after) else None
    end = _end(info)
    last = id_of(found[-1]) if found else end if gap else min(after, end, key=order_of)
    wanted = (raw for raw in found if about.encode() in raw[1].get(EVENT, b""))
    return Page(list(entries(wanted)), gap, last, len(found) == READ_AT_ONCE)


def next_entries(client: Any, key: str, after: str, within: float) -> list[Raw]:
    """What comes after the id ``after``, as soon as there is something; nothing after ``within`` seconds.

    Raises:
        StoreUnavailable.
    """
    block = int(within * 1000)
    with available():
        command = ("XREAD", "COUNT", READ_AT_ONCE, "BLOCK", block, "STREAMS", key, after)
        answer = client.execute_command(*command, **AS_BYTES)
    return answer[0][1] if answer else []


def newest(client: Any, key: str) -> str:
    """The id of the newest entry; one before all others if there is none.

    Raises:
        StoreUnavailable.
    """
    with available():
        found: list[Raw] = client.execute_command("XREVRANGE", key, "+", "-", "COUNT", 1, **AS_BYTES)
    return id_of(found[0]) if found else "0-0"


def is_overtaken(client: Any, key: str, after: str) -> bool:
    """Whether entries after the id ``after`` may have been trimmed away.

    Raises:
        StoreUnavailable.
    """
    with available(), client.pipeline(transaction=False) as pipe:
        pipe.execute_command("XINFO STREAM", key, **AS_BYTES)
        (info,) = pipe.execute(raise_on_error=False)
    return _is_overtaken(info, after)


def entries(found: Iterable[Raw]) -> Iterator[Entry]:
    """What is an event of ours; all else is logged and passed over."""
    for raw in found:
        try:
            text = raw[1][EVENT].decode()
            yield Entry(id_of(raw), Event.from_json(text), text)
        except (KeyError, ValueError) as error:
            log.warning("entry %s of the stream is passed over: %s", id_of(raw), str(error)[:200])


def id_of(raw: Raw) -> str:
    return raw[0].decode()


# --- what XINFO STREAM says; it is an error when there is no such stream


def _is_overtaken(info: dict[str, Any] | ResponseError, after: str) -> bool:
    """It is not known whether what was trimmed came after ``after``, unless the next one is still there."""
    if isinstance(info, ResponseError) or info["entries-added"] == info["length"]:
        return False
    oldest = _oldest(info)
    return order_of(after) < order_of(just_before(oldest) if oldest else _end(info))


def _oldest(info: dict[str, Any] | ResponseError) -> str | None:
    return None if isinstance(info, ResponseError) or not info["first-entry"] else id_of(info["first-entry"])


def _end(info: dict[str, Any] | ResponseError) -> str:
    return "0-0" if isinstance(info, ResponseError) else info["last-generated-id"].decode()
