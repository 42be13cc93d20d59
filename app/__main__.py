"""``python -m app``: the front door alone. ``HOST``, ``PORT`` and ``WEB_CONCURRENCY`` say where and how many."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from jobs.collecting import no_collection
from jobs.errors import SettingsError
from jobs.listening import HIGHEST_PORT, LOCALHOST, number, refused
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
    port = number(environ, "PORT", 8000, HIGHEST_PORT, problems)
    workers = number(environ, "WEB_CONCURRENCY", 1, 512, problems)
    try:
        settings = Settings.from_environ(environ)
    except SettingsError as error:
        problems += error.problems
    if problems:
        _refuse(str(SettingsError(problems)))
    return settings, environ.get("HOST") or LOCALHOST, port, workers


def _check_free(host: str, port: int) -> None:
    """gunicorn would try for five seconds, with a traceback at the end."""
    refusal = refused(host, port)
    if refusal is not None:
        _refuse(f"cannot listen on {host[:100]}:{port}: {refusal.why}; PORT and HOST change it")


def _refuse(why: str) -> NoReturn:
    sys.stderr.write(f"joborchestrator: {why}\n")
    raise SystemExit(2)


if __name__ == "__main__":
    main(os.environ, sys.argv[1:])
