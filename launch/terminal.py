"""What the one terminal shows; one that is paused, slow or gone never holds up who speaks."""

import atexit
import os
import queue
import sys
import threading
from contextlib import suppress

_STDOUT, _STDERR = 1, 2
_LINES_WAITING = 10_000
"""More are dropped: what matters is in the log files too."""
_SETTLED_WITHIN = 1.0


class _Terminal:
    """Lines wait here for a thread of its own, the only one that a terminal can block."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[int, str] | threading.Event] = queue.Queue(_LINES_WAITING)
        self._started = threading.Lock()  # taken once, by the first who speaks

    def show(self, descriptor: int, line: str) -> None:
        if self._started.acquire(blocking=False):
            threading.Thread(target=self._write, name="terminal", daemon=True).start()
            atexit.register(self.settle)
        with suppress(queue.Full):
            self._waiting.put_nowait((descriptor, line))

    def settle(self, within: float = _SETTLED_WITHIN) -> None:
        """Return once all that was said is shown, or after about ``within`` seconds."""
        shown = threading.Event()
        with suppress(queue.Full):
            self._waiting.put(shown, timeout=within)
            shown.wait(within)

    def _write(self) -> None:
        while True:
            item = self._waiting.get()
            if isinstance(item, threading.Event):
                item.set()
            else:
                with suppress(OSError):  # a terminal that has gone is no reason to stop
                    _write_all(*item)


def _write_all(descriptor: int, line: str) -> None:
    """Write past ``sys.stdout``: at exit its lock must not be held by a thread that is blocked."""
    stream = sys.stderr if descriptor == _STDERR else sys.stdout
    left = f"{line}\n".encode(getattr(stream, "encoding", None) or "utf-8", "replace")
    while left:
        left = left[os.write(descriptor, left) :]


_terminal = _Terminal()


def say(text: str) -> None:
    """Print one whole line, whichever thread it comes from."""
    _terminal.show(_STDOUT, text)


def complain(text: str) -> None:
    """Print one whole line on stderr."""
    _terminal.show(_STDERR, f"joborchestrator: {text}")


def settle() -> None:
    """Wait, for a second at most, until all that was said is shown."""
    _terminal.settle()
