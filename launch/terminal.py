"""What the one terminal shows."""

import sys
import threading
from contextlib import suppress

_lock = threading.Lock()


def say(text: str) -> None:
    """Print one whole line, whichever thread it comes from."""
    with _lock, suppress(OSError):  # a terminal that has gone is no reason to stop
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def complain(text: str) -> None:
    """Print one whole line on stderr."""
    with _lock, suppress(OSError):
        sys.stderr.write(f"joborchestrator: {text}\n")
        sys.stderr.flush()
