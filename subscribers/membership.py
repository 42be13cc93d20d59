"""A process's place in the group of its service: a lease that a thread renews, and that can be lost."""

import logging
import os
import threading
import time
from secrets import token_hex

from jobs.errors import GroupMissing, LeaseLost, StoreUnavailable
from jobs.events.group import Group
from jobs.settings import BEATS_A_LEASE

log = logging.getLogger(__name__)


class Membership:
    """From :meth:`join` until :meth:`leave`, one consumer by a name of its own. For one process, and once."""

    def __init__(self, group: Group) -> None:
        self.consumer = f"{os.uname().nodename}-{os.getpid()}-{token_hex(4)}"
        self._group = group
        self._sure_until = 0.0
        self._nothing_taken_until = 0.0
        self._left = threading.Event()

    def join(self, start: str, *, again: bool) -> None:
        """Take a place; for ``start`` and ``again`` see :meth:`Group.join`.

        Raises:
            StoreUnavailable.
        """
        began = time.monotonic()
        if self._group.join(self.consumer, start, again=again):
            log.info("%s: new group on %s", self._group.service, self._group.stream)
        self._sure_until = began + self._group.lease
        threading.Thread(target=self._beat_on, name="subscription", daemon=True).start()

    @property
    def is_sure(self) -> bool:
        """Whether nobody can have taken over: if not, :meth:`beat` tells, before anything more is handled."""
        return time.monotonic() < self._sure_until

    def beat(self) -> None:
        """Renew the lease.

        Nothing is taken from others for a lease after a time without Redis: they could not renew theirs either.

        Raises:
            StoreUnavailable, LeaseLost, GroupMissing.
        """
        began, lease = time.monotonic(), self._group.lease
        if began > self._sure_until - lease / 2:
            self._nothing_taken_until = began + lease
        self._group.beat(self.consumer, takes=began >= self._nothing_taken_until)
        self._sure_until = began + lease

    def leave(self) -> None:
        """Give the place up: what is in hand goes to others at once, if Redis can be used."""
        self._left.set()
        try:
            self._group.leave(self.consumer)
        except StoreUnavailable as error:
            log.warning("%s: left without a word (%s): its lease has to run out", self._group.service, error.reason)

    def lost(self) -> None:
        """Others have it all: nothing is renewed any more."""
        self._left.set()

    def _beat_on(self) -> None:
        while not self._left.wait(self._group.lease / BEATS_A_LEASE):
            try:
                self.beat()
            except StoreUnavailable as error:
                log.warning("%s: lease not renewed: %s", self._group.service, error.reason)
            except (LeaseLost, GroupMissing):
                self._sure_until = 0.0  # the loop asks, and hears of it
                return
            except Exception:
                log.exception("%s: lease not renewed", self._group.service)
