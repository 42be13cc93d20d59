"""Deliveries that were given up, kept with the reason until a person has looked at them."""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.errors import DeadLetterIncomplete, DeadLetterNotFound
from jobs.letters.stream import Letters
from jobs.model.callback import CallbackUrl
from jobs.model.event import Event
from jobs.model.keys import KEYS
from jobs.store.reader import JobReader


@dataclass(frozen=True, slots=True)
class UndeliveredEvent:
    """One delivery that was set aside. ``delivery`` is ``<event id> <id of the webhook, or callback>``."""

    id: str
    at: str
    reason: str
    attempts: int
    url: str
    delivery: str
    event: str
    """The CloudEvent, as JSON."""

    @classmethod
    def from_redis(cls, entry_id: str, fields: Mapping[str, str]) -> "UndeliveredEvent":
        at, reason, url, delivery, event = (
            fields.get(name, "") for name in ("at", "reason", "url", "delivery", "event")
        )
        attempts = fields.get("attempts", "")
        return cls(entry_id, at, reason, int(attempts) if attempts.isdecimal() else 0, url, delivery, event)


class UndeliveredEvents(Letters[UndeliveredEvent]):
    """The stream ``jobs:deliveries:dead``."""

    key = KEYS.deliveries_dead

    def __init__(self, store: JobReader) -> None:
        super().__init__(store.client, UndeliveredEvent)
        self._store = store

    def put_back(self, letter: UndeliveredEvent) -> None:
        """Make the delivery anew, with all its attempts: see :meth:`Letters.put_back`."""
        try:
            event = Event.from_json(letter.event)
            CallbackUrl.from_text(letter.url)
        except ValueError as error:
            raise DeadLetterIncomplete(letter.id, str(error)) from error
        if not letter.delivery.startswith(f"{event.id} "):
            raise DeadLetterIncomplete(letter.id, "its delivery is not of its event")
        keys = [self.key, KEYS.deliveries, KEYS.deliveries_to(""), KEYS.delivery("")]
        if not self._store.call("put_back_delivery", keys, [letter.id]):
            raise DeadLetterNotFound(letter.id)
