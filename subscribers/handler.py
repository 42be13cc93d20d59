"""The functions that a service brings along: one for events, one for gaps."""

import logging
from collections.abc import Callable

from jobs.events.gap import Gap
from jobs.model.event import Event

log = logging.getLogger(__name__)

Handler = Callable[[Event], None]
OnGap = Callable[[Gap], None]


def tell_gap(service: str, gap: Gap, on_gap: OnGap) -> None:
    """Call ``on_gap``; what goes wrong there is logged with the gap, so that it is never lost in silence."""
    try:
        on_gap(gap)
    except Exception:
        log.exception("%s: the handler of gaps failed on: %s", service, gap)
