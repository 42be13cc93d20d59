"""``python -m subscribers.webhooks``: events are told to callbacks and standing webhooks, signed, until they arrive."""

import signal
import threading

from jobs.connections.client import connect
from jobs.model.event import Event
from jobs.settings import Settings
from jobs.store.reader import JobReader
from jobs.webhooks.deliveries import Deliveries
from jobs.webhooks.registry import Webhooks
from subscribers.delivering import LEASE, Delivering
from subscribers.posting import Poster
from subscribers.schedule import Schedule
from subscribers.service import say, start
from subscribers.subscriber import Subscriber

NAME = "webhooks"
GRACE = 4.0
"""Seconds that deliveries under way have when the service is stopped."""
MOST_TRIES = 20
"""To plan the deliveries of one event, with growing pauses: a quarter of an hour, in all."""


class WebhookService:
    """A durable subscriber that turns each event into deliveries, and the loop that sends them."""

    def __init__(self, settings: Settings, schedule: Schedule | None = None, lease: float = LEASE) -> None:
        if not settings.webhook_secret:
            raise ValueError("without a secret there is nothing to sign with")
        store = JobReader(connect(settings.redis_url), settings)
        poster = Poster(settings.webhook_secret, settings.webhook_allow)
        self._deliveries = Deliveries(store, lease)
        self._delivering = Delivering(self._deliveries, Webhooks(store), poster.post, schedule or Schedule())
        self._subscriber = Subscriber(
            NAME, mode="durable", start="beginning", max_deliveries=MOST_TRIES, settings=settings
        )

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        threading.Thread(target=self._delivering.run, name="delivering", daemon=True).start()
        try:
            self._subscriber.run(self._plan)
        finally:
            self._delivering.stop(GRACE)

    def _plan(self, event: Event) -> None:
        if self._deliveries.plan(event):
            self._delivering.look()


def main() -> None:
    settings = Settings.from_environ()
    if not settings.webhook_secret:
        say("webhooks: off, for JOBS_WEBHOOK_SECRET is not set; there is nothing to do until this is stopped")
        _wait_to_be_stopped()
        return
    say("webhooks: delivering")
    WebhookService(settings).run()


def _wait_to_be_stopped() -> None:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()


if __name__ == "__main__":
    start(main)
