"""The loop that takes deliveries which are due and has each sent by a thread of its own."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from jobs.errors import StoreUnavailable, WebhookNotFound
from jobs.webhooks.deliveries import CALLBACK, Deliveries, Delivery
from jobs.webhooks.registry import Webhooks
from subscribers.posting import Answer, NotAnswered
from subscribers.schedule import Schedule

log = logging.getLogger(__name__)

AT_ONCE = 64
"""Deliveries under way in one process."""
OF_ONE_HOST = 4
"""Of these to one host: sixteen hosts must hang before others wait, and then for one attempt's time."""
LOOK_EVERY = 0.5
"""Seconds between two looks at what is due, when nothing says that there is more."""
LEASE = 60.0
"""Seconds after which what a process took is taken for abandoned; an attempt takes a quarter of that, at most."""
LONGEST_REASON = 200
"""Characters that are kept of an error which nobody expected."""

Post = Callable[[Delivery], Answer]


class Delivering:
    """Sends what is due until it is stopped. Several processes share the work."""

    def __init__(self, deliveries: Deliveries, webhooks: Webhooks, post: Post, schedule: Schedule) -> None:
        self._deliveries, self._webhooks, self._post, self._schedule = deliveries, webhooks, post, schedule
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._look = threading.Event()
        self._stopped = threading.Event()

    def run(self) -> None:
        """Return some time after :meth:`stop`; what is under way then goes on."""
        while not self._stopped.is_set():
            self._look.clear()
            try:
                more = self._take()
            except StoreUnavailable as error:
                log.warning("no deliveries: %s", error.reason)
                more = False
            except Exception:
                log.exception("no deliveries")
                more = False
            if not more:
                self._look.wait(LOOK_EVERY)

    def look(self) -> None:
        """There is something new to be delivered."""
        self._look.set()

    def stop(self, within: float) -> None:
        """Take nothing more, and give what is under way so many seconds; the rest is another's when its lease ends."""
        self._stopped.set()
        self._look.set()
        deadline = time.monotonic() + within
        while self._under_way() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _under_way(self) -> int:
        with self._lock:
            return self._busy.total()

    def _take(self) -> bool:
        with self._lock:
            busy = dict(self._busy)
        free = AT_ONCE - sum(busy.values())
        if not free:
            return False
        taken, more = self._deliveries.take(free, OF_ONE_HOST, busy)
        for delivery in taken:
            with self._lock:
                self._busy[delivery.host] += 1
            try:
                threading.Thread(target=self._deliver, args=(delivery,), name="delivery", daemon=True).start()
            except RuntimeError:  # no thread is to be had; it is due again when the lease ends
                self._release(delivery)
                raise
        return more

    def _deliver(self, delivery: Delivery) -> None:
        try:
            self._settle(delivery)
        except StoreUnavailable as error:  # it is sent once more when the lease ends
            log.warning("delivery %s: %s", delivery.id, error.reason)
        except Exception:
            log.exception("delivery %s", delivery.id)
        finally:
            self._release(delivery)

    def _release(self, delivery: Delivery) -> None:
        with self._lock:
            self._busy[delivery.host] -= 1
            if not self._busy[delivery.host]:
                del self._busy[delivery.host]
        self._look.set()

    def _settle(self, delivery: Delivery) -> None:
        """Send it, and write down what came of it."""
        try:
            answer = self._post(delivery)
        except NotAnswered as error:
            self._fail(delivery, str(error), None)
            return
        except Exception as error:  # a bug, or a URL that an older version took: the schedule ends that, too
            log.exception("delivery %s", delivery.id)
            self._fail(delivery, f"{type(error).__name__}: {str(error)[:LONGEST_REASON]}", None)
            return
        if answer.has_arrived:
            self._deliveries.arrived(delivery)
            log.info("delivery %s: arrived at %s, attempt %d", delivery.id, delivery.host, delivery.attempt)
        elif answer.is_gone:
            self._end_target(delivery)
            self._deliveries.arrived(delivery)
            log.warning("delivery %s: %s answered 410 and is told nothing more", delivery.id, delivery.host)
        else:
            self._fail(delivery, f"answered {answer.status}", answer.retry_after)

    def _fail(self, delivery: Delivery, reason: str, asked: float | None) -> None:
        pause = self._schedule.pause(delivery.attempt, asked)
        if pause is None:
            self._deliveries.give_up(delivery, reason)
            log.warning("delivery %s: given up after attempt %d: %s", delivery.id, delivery.attempt, reason)
        else:
            self._deliveries.put_off(delivery, pause)
            log.warning(
                "delivery %s: %s, attempt %d: %s; again in %.0f s",
                *(delivery.id, delivery.host, delivery.attempt, reason, pause),
            )

    def _end_target(self, delivery: Delivery) -> None:
        if delivery.target == CALLBACK:
            self._deliveries.end_callback(delivery.job_id)
            return
        with suppress(WebhookNotFound):  # it may have been removed meanwhile
            self._webhooks.disable(delivery.target)
