"""``python -m app``: the front door alone. ``HOST``, ``PORT`` and ``WEB_CONCURRENCY`` say where and how many."""

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from jobs.collecting import no_collection
from jobs.errors import SettingsError
from jobs.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def main(environ: Mapping[str, str], arguments: Sequence[str] = ()) -> None:
    """Serve until told to stop. What is wrong is one line on stderr, and exit code 2."""
    if arguments:
        _refuse(
            f"python -m app takes no arguments ({' '.join(arguments)[:100]}): HOST, PORT and JOBS_… are its settings"
        )
    settings, host, port, workers = _read(environ)
    _check_free(host, port)
    os.environ.pop("WEB_CONCURRENCY", None)  # gunicorn reads it when it is imported, and fails on an empty one
    from app.server import Server, raise_file_limit

    raise_file_limit()

    def load() -> "WSGIApplication":
        with no_collection():
            from app.factory import create_app

            return create_app(settings)

    Server(host, port, workers, load).run()


def _read(environ: Mapping[str, str]) -> tuple[Settings, str, int, int]:
    """The settings, where to listen, and how many processes; all mistakes are told together."""
    problems: list[str] = []
    numbers = []
    for name, default, most in (("PORT", 8000, 65535), ("WEB_CONCURRENCY", 1, 512)):
        text = environ.get(name) or str(default)
        if text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most:
            numbers.append(int(text))
        else:
            problems.append(f"{name}={text[:40]!r} is not a whole number from 1 to {most}")
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        problems += error.problems
    if problems:
        _refuse(str(SettingsError(problems)))
    port, workers = numbers
    return settings, environ.get("HOST") or "127.0.0.1", port, workers


def _check_free(host: str, port: int) -> None:
    """gunicorn would try for five seconds, with a traceback at the end."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, UnicodeError, TypeError) as error:  # the last two: a HOST that no name can be
            why = getattr(error, "strerror", None) or "no such host"
            _refuse(f"cannot listen on {host[:100]}:{port}: {why}; PORT and HOST change it")


def _refuse(why: str) -> NoReturn:
    sys.stderr.write(f"joborchestrator: {why}\n")
    raise SystemExit(2)


if __name__ == "__main__":
    main(os.environ, sys.argv[1:])
