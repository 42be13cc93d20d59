"""``python -m support.quick_webhooks``: the service that delivers, with pauses and a lease that a test can wait for."""

from jobs.settings import Settings
from subscribers.schedule import Schedule
from subscribers.service import start
from subscribers.webhooks import WebhookService

SCHEDULE = Schedule(pauses=(0.1, 0.2, 0.3), jitter=0.1)
LEASE = 2.0


def main() -> None:
    WebhookService(Settings.from_environ(), SCHEDULE, LEASE).run()


if __name__ == "__main__":
    start(main)
