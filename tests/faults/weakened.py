"""``python -m faults.weakened WHAT web|worker [options]``: a process of ours with one protection switched off.

This is what twins run. The switches are here, in the tests, and not in what they weaken.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

ALL: dict[str, Callable[[], None]] = {}


def weakening(switch: Callable[[], None]) -> Callable[[], None]:
    ALL[switch.__name__] = switch
    return switch


@weakening
def unwatched() -> None:
    """No lease is renewed, and nobody looks for jobs that were lost."""
    from workers.heartbeat import Heartbeat
    from workers.reconciler import Reconciler

    Heartbeat.start = Reconciler.start = _nothing  # type: ignore[method-assign]


@weakening
def unfenced() -> None:
    """Progress and end of an attempt are written whether or not it is still the job's."""
    from jobs.store.job_store import JobStore

    plain = JobStore.call

    def call(self: JobStore, script: str, keys: Any, args: Any) -> Any:
        if script == "finish":
            args = [*args[:5], "", "", *args[7:]]
        if script == "progress":
            return [1]
        return plain(self, script, keys, args)

    JobStore.call = call  # type: ignore[method-assign]


@weakening
def patient() -> None:
    """Redis may take a minute for an answer."""
    from jobs.connections import client

    client.ANSWER_WITHIN = 60.0


@weakening
def deaf() -> None:
    """A gap in the reply channel goes unnoticed, and the record is not read again at the end of a wait."""
    from jobs.results.replies import ReplyConsumer
    from jobs.results.waiting_backend import WaitingBackend

    ReplyConsumer._recheck = _nothing  # type: ignore[method-assign]
    WaitingBackend._read = WaitingBackend._last_look = _nothing  # type: ignore[method-assign]


@weakening
def forgetful() -> None:
    """What was accepted is not submitted again when Redis has lost it."""
    from jobs.results.replies import ReplyConsumer

    ReplyConsumer._submit_again = _nothing  # type: ignore[method-assign]


@weakening
def greedy() -> None:
    """Jobs are accepted however full Redis is, and none may end once it is."""
    from app.pressure import Pressure
    from jobs.connections import scripts

    scripts._flags = lambda _: "#!lua\n"
    Pressure.check = _nothing  # type: ignore[method-assign]


@weakening
def slow() -> None:
    """Every request keeps the whole process busy for a while."""
    import time

    from flask import Flask

    plain = Flask.full_dispatch_request

    def dispatch(self: Flask, *args: Any) -> Any:
        until = time.perf_counter() + 0.05
        while time.perf_counter() < until:
            pass
        return plain(self, *args)

    Flask.full_dispatch_request = dispatch  # type: ignore[method-assign]


def _nothing(*_: Any, **__: Any) -> None:
    """In place of what is switched off."""


def main(what: str, role: str, options: list[str]) -> None:
    """Switch it off, and be the process."""
    run(role, options, ALL[what])


def run(role: str, options: list[str], prepare: Callable[[], None]) -> None:
    """Be a web process or a worker, prepared."""
    if role == "web":
        from app.__main__ import main as web

        _prepare_at_load(prepare)
        web(os.environ)
    else:
        prepare()
        from workers.__main__ import main as worker

        worker(options)


def _prepare_at_load(prepare: Callable[[], None]) -> None:
    """In the process that serves, once gevent has patched it."""
    from app.server import Server

    plain = Server.load

    def load(self: Server) -> Any:
        prepare()
        return plain(self)

    Server.load = load  # type: ignore[method-assign]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
