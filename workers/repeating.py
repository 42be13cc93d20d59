"""What the worker's event loop does again and again."""

from collections.abc import Callable
from typing import Any


class Repeating:
    """Calls ``call`` after each ``pause()`` seconds, until it is stopped.

    kombu's ``call_repeatedly`` cannot be stopped where the timer is gevent's: what it gives is its first call.
    """

    def __init__(self, timer: Any, pause: Callable[[], float], call: Callable[[], None]) -> None:
        self._timer, self._pause, self._call = timer, pause, call
        self._is_stopped = False
        self._next: Any = None
        self._go_on()

    def stop(self) -> None:
        self._is_stopped = True
        if self._next is not None:
            self._next.cancel()

    def _go_on(self) -> None:
        if not self._is_stopped:
            self._next = self._timer.call_after(self._pause(), self._run)

    def _run(self) -> None:
        self._next = None
        try:
            self._call()
        finally:
            self._go_on()
