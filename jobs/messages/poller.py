"""kombu's poller of a Redis connection, which can be woken by others than Redis."""

from collections.abc import Callable
from contextlib import suppress
from socket import socket, socketpair
from typing import Any

from kombu.transport import redis
from kombu.utils.eventio import READ


class Poller(redis.MultiChannelPoller):
    """For a worker without an event loop, one of greenlets: one of them waits here for messages, up to two seconds.

    When it comes here with no room for a message it has asked for none, and would learn of new room only afterwards.
    """

    _bell: tuple[socket, socket] | None = None
    """Rung at the first, heard at the second."""
    _waits = False
    """Whether somebody does so, or is about to, and has not been woken."""

    def get(self, callback: Callable[..., Any], timeout: float | None = None) -> None:
        if self._bell is None:
            self._bell = socketpair()
            for end in self._bell:
                end.setblocking(False)
            self.poller.register(self._bell[1], READ)
        self._waits = True
        try:
            super().get(callback, timeout)  # type: ignore[no-untyped-call]
        finally:
            self._waits = False

    def wake(self) -> None:
        """Have whoever waits look again at what it may ask for; where an event loop does that, nobody waits here."""
        if self._waits and self._bell is not None:
            self._waits = False
            with suppress(BlockingIOError):  # it has been rung often, and something else was heard each time
                self._bell[0].send(b"\0")

    def handle_event(self, fileno: int, event: int) -> Any:
        if self._bell is None or fileno != self._bell[1].fileno():
            return super().handle_event(fileno, event)  # type: ignore[no-untyped-call]
        self._bell[1].recv(4096)
        return True  # as after a message: Celery goes once around its loop

    def close(self) -> None:
        super().close()  # type: ignore[no-untyped-call]
        if self._bell is not None:
            self.poller.unregister(self._bell[1])
            for end in self._bell:
                end.close()
            self._bell = None
