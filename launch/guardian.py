"""Ends what a launcher that was killed leaves behind; it knows who runs, and notices that its pipe has closed.

The death signal of ``child.py`` is not enough: a worker that is asked to end first finishes its job, however long
that takes, and the children of our children are not told at all.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL; few, since the server ends at the same time."""


class Guardian:
    """The launcher's side of it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def tell(self, leaders: Iterable[int]) -> None:
        """Say who runs now: the process ids of session leaders, in place of those told before."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # it was killed: then the death signal is what is left
                os.write(self._process.stdin.fileno(), f"{' '.join(map(str, leaders))}\n".encode())

    def dismiss(self) -> None:
        """Nobody runs any more: it ends."""
        self.tell([])
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()


def guard(told: Iterable[str]) -> None:
    """Read who runs until the launcher has gone, then end who is left of them with their sessions."""
    leaders: list[int] = []
    for line in told:
        leaders = [int(pid) for pid in line.split()]
    for leader in leaders:
        with suppress(ProcessLookupError):
            os.kill(leader, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and any(_signal_session(leader, 0) for leader in leaders):
        time.sleep(0.05)
    for leader in leaders:
        _signal_session(leader, signal.SIGKILL)


def _signal_session(leader: int, number: int) -> bool:
    """Whether anybody was there to get it."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a zombie
        return False
    return True


if __name__ == "__main__":
    guard(sys.stdin)
