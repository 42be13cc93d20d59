"""Messages that no worker can run, kept with the reason until a person has looked at them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.errors import DeadLetterIncomplete, DeadLetterNotFound
from jobs.keys import KEYS
from jobs.letters import Letters
from jobs.scripts import Scripts

MOST_KEPT = 10_000
"""Dead letters, about; the oldest go first."""
LONGEST_TEXT = 100_000
"""Bytes of a message that are kept."""
KEPT_KEY_SECONDS = 7 * 86_400
"""How long a key is kept that stood where a queue belongs."""


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

    def set_aside(self, reason: str, queue: str, raw: bytes) -> None:
        """Keep a message, and count it in ``jobs:counts``."""
        message, note = kept(raw)
        self._scripts.call("set_aside", [KEYS.dead, KEYS.counts], [reason, queue, message, note, MOST_KEPT])

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


def kept(raw: bytes) -> tuple[str, str]:
    """The text of ``raw`` as a dead letter keeps it, and a note if that is not all of it."""
    part = raw[:LONGEST_TEXT]
    note = f"the first {LONGEST_TEXT} of {len(raw)} bytes" if len(raw) > LONGEST_TEXT else ""
    try:
        return part.decode(), note
    except UnicodeDecodeError:
        text = part.decode(errors="backslashreplace")
        return text, note or r"not UTF-8: the bytes that are no text are shown as \x.."
