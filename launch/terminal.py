"""What the one terminal shows."""

import sys
import threading

_lock = threading.Lock()


def say(text: str) -> None:
    """Print one whole line, whichever thread it comes from."""
    with _lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def complain(text: str) -> None:
    """Print one whole line on stderr."""
    with _lock:
        sys.stderr.write(f"joborchestrator: {text}\n")
        sys.stderr.flush()
