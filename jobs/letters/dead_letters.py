"""Messages that no worker can run, kept with the reason until a person has looked at them."""

import logging
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kombu.utils.json import dumps

from jobs.connections.availability import available, is_away
from jobs.connections.scripts import Scripts
from jobs.errors import DeadLetterIncomplete, DeadLetterNotFound
from jobs.letters.stream import Letters
from jobs.model.keys import KEYS

log = logging.getLogger(__name__)

MOST_KEPT = 10_000
"""Dead letters, about; the oldest go first."""
LONGEST_TEXT = 100_000
"""Bytes of a message that are kept."""
KEPT_KEY_SECONDS = 7 * 86_400
"""How long a key is kept that stood where a queue belongs."""
OF_ANOTHER_BROKER = "it came from RabbitMQ, and Redis has no queue to put it into"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that was set aside. ``queue`` is the Redis list it came from, ``message`` its text.

    ``note`` says what the text is not; a message that has one cannot be put back.
    """

    id: str
    at: str
    reason: str
    queue: str
    message: str
    note: str = ""

    @classmethod
    def from_redis(cls, entry_id: str, fields: Mapping[str, str]) -> "DeadLetter":
        return cls(entry_id, *(fields.get(name, "") for name in ("at", "reason", "queue", "message", "note")))


class DeadLetters(Letters[DeadLetter]):
    """The stream ``jobs:dead``. To set aside and to free works with a client that does not decode, too."""

    key = KEYS.dead

    def __init__(self, client: Any) -> None:
        super().__init__(client, DeadLetter)
        self._scripts = Scripts(client)

    def set_aside(self, reason: str, queue: str, raw: bytes, note: str = "") -> None:
        """Keep a message, and count it in ``jobs:counts``."""
        message, what_is_missing = kept(raw)
        values = [reason, queue, message, what_is_missing or note, MOST_KEPT]
        self._scripts.call("set_aside", [KEYS.dead, KEYS.counts], values)

    def set_aside_or_tell(
        self, reason: str, queue: str, raw: bytes, note: str = "", *, or_not_yet: bool = False
    ) -> None:
        """The same for a worker, which goes on even when it is not possible: then the log has the message.

        Raises:
            StoreUnavailable: only with ``or_not_yet``: Redis is away, and it is to be tried again.
        """
        try:
            with available():
                self.set_aside(reason, queue, raw, note)
        except Exception as error:  # whatever it is, the message is still to be acknowledged, or it blocks its worker
            if or_not_yet and is_away(error):
                raise
            log.warning("a message of %r cannot be run: %s", queue, reason)
            log.error("it is lost, for it could not be kept (%s): %r", error.__cause__ or error, raw[:2000])
        else:
            log.warning("a message of %r is set aside: %s", queue, reason)

    def set_aside_seen(self, reason: str, message: Any) -> None:
        """The same for one that Celery has seen, of whichever broker; it is still to be acknowledged or rejected.

        Raises:
            StoreUnavailable: Redis is away, and another broker has the message: it is to be tried again.
        """
        is_of_redis = hasattr(message, "_raw")
        try:
            letter = _of_redis(message) if is_of_redis else _of_another_broker(message)
        except Exception as error:  # it may hold anything
            letter = "", repr(message).encode(), f"it cannot be read: {error}"
        self.set_aside_or_tell(reason, *letter, or_not_yet=not is_of_redis)

    def free(self, queues: Sequence[str]) -> list[str]:
        """Rename what stands in place of these lists and is none, for a week; the new names."""
        names = [KEYS.not_a_queue(queue) for queue in queues]
        renamed: list[str] = self._scripts.call("free", [*queues, *names], [KEPT_KEY_SECONDS])
        return renamed

    def put_back(self, letter: DeadLetter) -> None:
        """Put the message at the end of its queue: see :meth:`Letters.put_back`."""
        if letter.note:
            raise DeadLetterIncomplete(letter.id, letter.note)
        if not self._scripts.call("put_back", [KEYS.dead, letter.queue], [letter.id]):
            raise DeadLetterNotFound(letter.id)


def _of_redis(message: Any) -> tuple[str, bytes, str]:
    """The list it came from, its text, and no note: the text is all of it."""
    return message.channel.came_from(message), dumps(message._raw).encode(), ""


def _of_another_broker(message: Any) -> tuple[str, bytes, str]:
    """Its queue, the text that it would have in Redis, and the note that it has never been there."""
    body = message.body
    raw = body.encode(message.content_encoding) if isinstance(body, str) else bytes(body)
    envelope = {
        "body": b64encode(raw).decode(),
        "content-encoding": message.content_encoding,
        "content-type": message.content_type,
        "headers": message.headers,
        "properties": {
            **{name: value for name, value in message.properties.items() if name != "application_headers"},
            "delivery_info": message.delivery_info,
            "body_encoding": "base64",
        },
    }
    return str(message.delivery_info["routing_key"]), dumps(envelope).encode(), OF_ANOTHER_BROKER


def kept(raw: bytes) -> tuple[str, str]:
    """The text of ``raw`` as a dead letter keeps it, and a note if that is not all of it."""
    part = raw[:LONGEST_TEXT]
    note = f"the first {LONGEST_TEXT} of {len(raw)} bytes" if len(raw) > LONGEST_TEXT else ""
    try:
        return part.decode(), note
    except UnicodeDecodeError:
        text = part.decode(errors="backslashreplace")
        return text, note or r"not UTF-8: the bytes that are no text are shown as \x.."
