"""The subscriber: one loop that hands each event of an owner to one function."""

import logging
import signal
import threading
from collections.abc import Callable, Iterable
from typing import Any

from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError

from jobs.events import NAMES, Event
from jobs.keys import KEYS
from jobs.redis_client import connect
from jobs.settings import Settings

log = logging.getLogger(__name__)

Handler = Callable[[Event], None]

EVERYBODY = "*"
LOOK_UP_EVERY = 1.0
"""Seconds between two looks at whether to stop."""
PING_AFTER = 5
"""Looks without any message after which the server is asked whether it is still there."""
RECONNECT_AFTER = 0.5


class Subscriber:
    """A service that is told what happens to jobs.

    Args:
        service: the name of the subscribing service, for its logs.
        owner: whose jobs; everybody's without it.
        events: which events (see ``jobs.events.NAMES``); all of them without it.
        mode: ``"live"``: told of what happens while connected, with a reconnect after every break. What happens
            during a break is not told.
        settings: where Redis is; read from the environment without it.

    Raises:
        ValueError: no such event or mode.
        SettingsError: the environment holds a wrong setting.
    """

    def __init__(
        self,
        service: str,
        *,
        owner: str | None = None,
        events: Iterable[str] | None = None,
        mode: str = "live",
        settings: Settings | None = None,
    ) -> None:
        wanted = frozenset(NAMES if events is None else events)
        if not wanted <= frozenset(NAMES):
            unknown = ", ".join(sorted(wanted - frozenset(NAMES)))
            raise ValueError(f"no such event: {unknown}; there are {', '.join(NAMES)}")
        if mode != "live":
            raise ValueError(f"no such mode: {mode!r}; there is 'live'")
        self.service, self._wanted = service, wanted
        self._pattern = KEYS.channel_prefix(owner or EVERYBODY) + "*"
        self._client: Redis = connect((settings or Settings.from_environ()).redis_url)
        self._stopped = threading.Event()

    def run(self, handler: Handler) -> None:
        """Call ``handler`` with every wanted event, in order, until :meth:`stop`, SIGTERM or SIGINT.

        An error of the handler is logged, and the next event goes on.
        """
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self.stop())
        while not self._stopped.is_set():
            pubsub = self._client.pubsub()
            try:
                pubsub.psubscribe(self._pattern)
                self._listen(pubsub, handler)
            except (RedisError, OSError) as error:
                log.warning("%s: connection to Redis lost (%s); connecting again", self.service, error)
                self._stopped.wait(RECONNECT_AFTER)
            finally:
                pubsub.close()

    def stop(self) -> None:
        """Return from :meth:`run` within about a second."""
        self._stopped.set()

    def _listen(self, pubsub: PubSub, handler: Handler) -> None:
        silent = 0
        while not self._stopped.is_set():
            message: dict[str, Any] | None = pubsub.get_message(timeout=LOOK_UP_EVERY)
            if message is None:
                silent += 1
                if silent == PING_AFTER:
                    pubsub.ping()
                elif silent >= 2 * PING_AFTER:
                    raise ConnectionError("no answer to a ping")
                continue
            silent = 0
            if message["type"] == "psubscribe":
                log.info("%s: listening to %s", self.service, self._pattern)
            elif message["type"] == "pmessage":
                self._hand_over(message["data"], handler)

    def _hand_over(self, text: str, handler: Handler) -> None:
        try:
            event = Event.from_json(text)
        except ValueError as error:
            log.warning("%s: left out: %s", self.service, error)
            return
        if event.name in self._wanted:
            try:
                handler(event)
            except Exception:
                log.exception("%s: handler failed on event %s", self.service, event.id)
