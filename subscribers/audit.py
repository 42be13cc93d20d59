"""``python -m subscribers.audit``: every event of every job, once, in a file of JSON lines."""

import logging
import time

from jobs.errors import StoreUnavailable
from jobs.settings import Settings
from subscribers.audit_file import AuditFile
from subscribers.service import start
from subscribers.subscriber import Subscriber

log = logging.getLogger(__name__)

NAME = "audit"
AS_OFTEN_AS_IT_TAKES = 2**31
"""Deliveries: a full disk makes no dead letters."""
AGAIN_AFTER = 1.0


def main() -> None:
    settings = Settings.from_environ()
    subscriber = Subscriber(
        NAME, mode="durable", start="beginning", max_deliveries=AS_OFTEN_AS_IT_TAKES, settings=settings
    )
    file = AuditFile(settings.audit_file or settings.data_dir / "audit.jsonl")
    found = file.look_up(_in_hand(subscriber))
    if found:
        log.warning(
            "%d events were written before the last end and not acknowledged: they are not written again", found
        )
    subscriber.run(file.append)


def _in_hand(subscriber: Subscriber) -> set[str]:
    """What the last process may have written and not acknowledged: we have the file's lock, so it is dead."""
    while True:
        try:
            return subscriber.in_hand()
        except StoreUnavailable as error:
            log.warning("%s; trying again", error.reason)
            time.sleep(AGAIN_AFTER)


if __name__ == "__main__":
    start(main)
