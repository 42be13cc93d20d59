"""How the services we ship start: settings checked, logs on, one clear line for what is wrong."""

import logging
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from jobs.errors import SettingsError


def start(run: Callable[[], None]) -> None:
    """Run a service until it is stopped; a wrong setting is one line on stderr and exit code 2.

    Who stops it before it listens to signals of its own, because Redis is away, say, ends it too, with exit code 0.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        run()
    except SettingsError as error:
        sys.stderr.write(f"joborchestrator: {error}\n")
        raise SystemExit(2) from None


def _end(*_: object) -> NoReturn:
    raise SystemExit(0)


def say(text: str) -> None:
    """Print one line, now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
