"""Deliveries: one event to be told to one URL, kept in Redis until it has arrived or is given up."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from jobs.model.event import Event
from jobs.model.keys import EVERYBODY, KEYS
from jobs.store.reader import JobReader

MOST_WAITING = 100_000
"""Deliveries that may wait for one host; what comes on top is set aside at once."""
MOST_KEPT = 10_000
"""Deliveries that were set aside, about; the oldest go first."""
REMEMBERED = 3600.0
"""Seconds for which it is known of a delivery that it has ended, should its event come once more."""
GONE_FOR = 7 * 86_400.0
"""Seconds for which a callback that answered 410 is told nothing."""
CALLBACK = "callback"
"""The target of a delivery that is due to the job's own submit."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One that was taken: whoever took it has it until the lease ends. ``attempt`` counts from 1."""

    id: str
    event_id: str
    job_id: str
    target: str
    """The id of a webhook, or :data:`CALLBACK`."""
    url: str
    host: str
    text: str
    """The CloudEvent."""
    attempt: int


class Deliveries:
    """What is still to be told. Every method raises StoreUnavailable when Redis cannot be used."""

    def __init__(self, store: JobReader, lease: float) -> None:
        """``lease`` is the time in seconds after which what was taken goes to another."""
        self._store, self._lease = store, lease

    def plan(self, event: Event) -> int:
        """Make deliveries of an event, one for each target; how many are new. A repeat makes none."""
        keys = [
            KEYS.record(event.job_id),
            KEYS.callback(event.job_id),
            KEYS.callback_gone(event.job_id),
            KEYS.webhooks_wanting(event.owner, event.name),
            KEYS.webhooks_wanting(EVERYBODY, event.name),
            KEYS.deliveries,
            KEYS.deliveries_to(""),
            KEYS.delivery(""),
            KEYS.webhook(""),
            KEYS.deliveries_dead,
        ]
        args = [event.id, event.job_id, event.name, event.time, event.text, MOST_WAITING, MOST_KEPT]
        return int(self._store.call("plan_deliveries", keys, args))

    def take(self, most: int, at_once: int, busy: Mapping[str, int]) -> tuple[list[Delivery], bool]:
        """What is due, at most ``most``, and so many that none of a host's number exceeds ``at_once``.

        ``busy`` says of how many of a host this process has. The second value says whether there may be more.
        """
        keys = [
            KEYS.deliveries,
            KEYS.deliveries_to(""),
            KEYS.delivery(""),
            KEYS.webhook(""),
            KEYS.callback_gone(""),
        ]
        args = [int(self._lease * 1e6), most, at_once, int(REMEMBERED * 1000), *chain.from_iterable(busy.items())]
        dropped, found = self._store.call("take_deliveries", keys, args)
        taken = [Delivery(*each) for each in found]
        return taken, bool(dropped or taken)

    def arrived(self, delivery: Delivery) -> None:
        """It has arrived, or nobody wants it any more."""
        self._end(delivery, attempt="", reason="")

    def give_up(self, delivery: Delivery, reason: str) -> bool:
        """Set it aside with the reason; False when another process has it by now."""
        return self._end(delivery, attempt=str(delivery.attempt), reason=reason)

    def put_off(self, delivery: Delivery, delay: float) -> bool:
        """Let it be taken again after ``delay`` seconds; False when another process has it by now."""
        keys = [KEYS.delivery(delivery.id), KEYS.deliveries_to(delivery.host), KEYS.deliveries]
        args = [delivery.id, delivery.attempt, delivery.host, int(delay * 1e6)]
        return bool(self._store.call("put_off_delivery", keys, args))

    def end_callback(self, job_id: str) -> None:
        """Tell the job's callback nothing more; what waits for it is dropped."""
        self._store.call("end_callback", [KEYS.callback_gone(job_id)], [int(GONE_FOR * 1000)])

    def _end(self, delivery: Delivery, attempt: str, reason: str) -> bool:
        keys = [KEYS.delivery(delivery.id), KEYS.deliveries_to(delivery.host), KEYS.deliveries_dead]
        args = [delivery.id, attempt, int(REMEMBERED * 1000), reason, MOST_KEPT]
        return bool(self._store.call("end_delivery", keys, args))
