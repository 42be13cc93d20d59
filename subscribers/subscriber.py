"""The subscriber: one loop that hands each event of an owner to one function."""

import logging
import signal
import threading
from collections.abc import Iterable

from jobs.connections.client import connect
from jobs.events.gap import Gap
from jobs.events.group import Group
from jobs.model.event import NAMES
from jobs.names import OWNER, SERVICE
from jobs.settings import Settings
from subscribers.durable import Durable, Terms
from subscribers.handler import Handler, OnGap
from subscribers.live import Live

log = logging.getLogger(__name__)

MODES = ("live", "durable")
STARTS = {"now": "$", "beginning": "0"}


class Subscriber:
    """A service that is told what happens to jobs.

    Args:
        service: the name of the subscribing service: for its logs, and of its group in durable mode.
        owner: whose jobs; everybody's without it.
        events: which events (see ``jobs.model.event.NAMES``); all of them without it.
        mode: ``"live"``: told of what happens while it runs, at once; what happened during a break of the connection
            is told after it. ``"durable"``: told of everything since the service first ran, at least once, in order
            within a job; its processes share the work.
        start: durable mode, where a service begins that never ran before: ``"now"``, or ``"beginning"`` with the oldest
            event that is kept.
        max_deliveries: durable mode: how often the handler is tried with an event before that is a dead letter.
        backoff: durable mode: seconds until the first retry, with jitter; doubled each time, a minute at most.
        settings: where Redis is, and how long a lease lasts; read from the environment without it.

    Raises:
        ValueError: no such event, mode, start, owner, or name of a service.
        SettingsError: the environment holds a wrong setting.
    """

    def __init__(
        self,
        service: str,
        *,
        owner: str | None = None,
        events: Iterable[str] | None = None,
        mode: str = "live",
        start: str = "now",
        max_deliveries: int = 5,
        backoff: float = 1.0,
        settings: Settings | None = None,
    ) -> None:
        wanted = frozenset(NAMES if events is None else events)
        _check(service, owner, wanted, mode, start, max_deliveries, backoff)
        settings = settings or Settings.from_environ()
        client = connect(settings.redis_url, as_text=False)
        self.service = service
        self._stopped = threading.Event()
        self._loop: Live | Durable
        if mode == "durable":
            terms = Terms(wanted, STARTS[start], max_deliveries, backoff)
            self._loop = Durable(Group(client, settings, service, owner), terms, self._stopped)
        else:
            self._loop = Live(client, service, owner, wanted, self._stopped)

    def run(self, handler: Handler, on_gap: OnGap | None = None) -> None:
        """Call ``handler`` with every wanted event, in order, until :meth:`stop`, SIGTERM or SIGINT.

        An error of the handler is logged. In live mode the next event goes on; in durable mode the event comes again,
        later events of its job wait for it, and other jobs go on.

        ``on_gap`` is told when events were removed before they could be handed over; without it that is an error in
        the log.
        """
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stop())
        self._loop.run(handler, on_gap or self._log_gap)

    def stop(self) -> None:
        """Return from :meth:`run` within about a second, once the handler has returned."""
        self._stopped.set()

    def in_hand(self) -> set[str]:
        """Durable mode: the ids of the entries that some process of the service has, or had when it died.

        Raises:
            StoreUnavailable.
        """
        return self._loop.in_hand() if isinstance(self._loop, Durable) else set()

    def _log_gap(self, gap: Gap) -> None:
        log.error("%s: %s", self.service, gap)


def _check(
    service: str,
    owner: str | None,
    wanted: frozenset[str],
    mode: str,
    start: str,
    max_deliveries: int,
    backoff: float,
) -> None:
    if not wanted <= frozenset(NAMES):
        unknown = ", ".join(sorted(wanted - frozenset(NAMES)))
        raise ValueError(f"no such event: {unknown}; there are {', '.join(NAMES)}")
    if mode not in MODES:
        raise ValueError(f"no such mode: {mode!r}; there are {', '.join(MODES)}")
    if start not in STARTS:
        raise ValueError(f"no such start: {start!r}; there are {', '.join(STARTS)}")
    if owner is not None and not OWNER.allows(owner):
        raise ValueError(f"no such owner: {owner!r}; one is {OWNER.words}")
    if mode == "live" and start != "now":
        raise ValueError("no such start in live mode: it tells what happens from now on")
    if mode == "durable" and not SERVICE.allows(service):
        raise ValueError(f"no such service: {service!r}; a durable one is named with {SERVICE.words}")
    if max_deliveries < 1 or backoff < 0:
        raise ValueError("no such terms: at least one delivery, and a backoff of at least 0 seconds")
