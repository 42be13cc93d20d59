"""Standing webhooks: URLs that are told of the events of all jobs, or of one owner's."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from jobs.connections.availability import available
from jobs.errors import StoreRefused, TooManyWebhooks, WebhookNotFound
from jobs.model.callback import Callback
from jobs.model.event import NAMES
from jobs.model.keys import EVERYBODY, KEYS
from jobs.store.reader import JobReader

MOST_WEBHOOKS = 1000
ACTIVE, DISABLED = "active", "disabled"
"""Disabled: its receiver answered 410 once, and is told nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One of them. ``created_at`` is in microseconds since 1970; earlier events are not told."""

    id: str
    url: str
    owner: str | None
    """Whose jobs; None for everybody's."""
    events: tuple[str, ...]
    created_at: int
    status: str

    @classmethod
    def from_redis(cls, webhook_id: str, fields: Mapping[str, str]) -> "Webhook":
        """Build it from the hash ``jobs:webhook:<id>``.

        Raises:
            WebhookNotFound: it is empty.
            StoreRefused: it is not one of ours.
        """
        if not fields:
            raise WebhookNotFound(webhook_id)
        try:
            return cls(
                id=webhook_id,
                url=fields["url"],
                owner=None if fields["owner"] == EVERYBODY else fields["owner"],
                events=tuple(fields["events"].split(",")),
                created_at=int(fields["created_at"]),
                status=fields["status"],
            )
        except (KeyError, ValueError) as error:
            raise StoreRefused(f"webhook {webhook_id}: {error!r}") from error


class Webhooks:
    """All of them. Every method raises StoreUnavailable when Redis cannot be used."""

    def __init__(self, store: JobReader) -> None:
        self._store = store

    def add(self, callback: Callback, owner: str | None) -> Webhook:
        """Tell ``callback.url`` from now on.

        Raises:
            TooManyWebhooks.
        """
        webhook_id, whose = str(uuid4()), owner or EVERYBODY
        keys = [KEYS.webhook(webhook_id), KEYS.webhooks, *_wanting(whose, callback.events)]
        args = [webhook_id, MOST_WEBHOOKS, "url", callback.url, "owner", whose, "events", ",".join(callback.events)]
        created_at = self._store.call("add_webhook", keys, [*args, "status", ACTIVE])
        if not created_at:
            raise TooManyWebhooks(MOST_WEBHOOKS)
        return Webhook(
            id=webhook_id,
            url=callback.url,
            owner=owner,
            events=callback.events,
            created_at=int(created_at),
            status=ACTIVE,
        )

    def get(self, webhook_id: str) -> Webhook:
        """One of them.

        Raises:
            WebhookNotFound.
        """
        with available():
            return Webhook.from_redis(webhook_id, self._store.client.hgetall(KEYS.webhook(webhook_id)))

    def all(self) -> list[Webhook]:
        """All of them, oldest first."""
        with available():
            ids = self._store.client.zrange(KEYS.webhooks, 0, -1)
            with self._store.client.pipeline(transaction=False) as pipe:
                for webhook_id in ids:
                    pipe.hgetall(KEYS.webhook(webhook_id))
                found = pipe.execute()
        return [Webhook.from_redis(*each) for each in zip(ids, found, strict=True) if each[1]]

    def remove(self, webhook_id: str) -> None:
        """Forget it; what it has not been told yet it never is.

        Raises:
            WebhookNotFound.
        """
        self._end(webhook_id, "")

    def disable(self, webhook_id: str) -> None:
        """Tell it nothing more, and keep it for its owner to see.

        Raises:
            WebhookNotFound.
        """
        self._end(webhook_id, DISABLED)

    def _end(self, webhook_id: str, status: str) -> None:
        webhook = self.get(webhook_id)
        keys = [KEYS.webhook(webhook_id), KEYS.webhooks, *_wanting(webhook.owner or EVERYBODY, NAMES)]
        if not self._store.call("end_webhook", keys, [webhook_id, status]):
            raise WebhookNotFound(webhook_id)


def _wanting(owner: str, events: tuple[str, ...]) -> list[str]:
    return [KEYS.webhooks_wanting(owner, event) for event in events]
