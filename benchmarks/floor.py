"""``python -m benchmarks.floor``: what a submit takes of the web process, and what a framework alone would take.

Whole systems without their worker, and views that do nothing beside them. The table goes to stdout as Markdown.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import load, machine, table
from benchmarks.command import PEERS_PYTHON, count, has_peers, python, run, tell
from benchmarks.load import SUBMITS, Run
from benchmarks.systems import HOST, Arq, Ours, Peer, System, Taskiq

SECTION = "floor"


class Bare(System):
    """A web process that keeps nothing, under gunicorn with gevent as ours is."""

    def __init__(self, directory: Path, name: str, module: str) -> None:
        super().__init__(directory)
        self.name, self._module = name, module

    def web_arguments(self, port: int) -> list[str]:
        where = ["--bind", f"{HOST}:{port}", "--no-control-socket"]
        return ["gunicorn", "--worker-class", "gevent", "--workers", "1", *where, f"{self._module}:app"]

    def worker_arguments(self) -> list[str]:
        return []

    def environ(self, port: int) -> dict[str, str]:
        return {}


class BareFastApi(Peer):
    name = "a FastAPI view that does nothing"
    web = "benchmarks.peers.fastapi_view:app"

    def worker_arguments(self) -> list[str]:
        return []


def measure(systems: Sequence[System], rounds: int, seconds: int) -> list[Run]:
    """``rounds`` runs of submits for each system; they take turns, and turns in who goes first."""
    for system in systems:
        load.send(system, SUBMITS, 1)
    runs = []
    for number in range(rounds):
        machine.wait_until_quiet(load.PATIENCE)
        runs += [load.send(system, SUBMITS, seconds) for system in systems[:: 1 if number % 2 == 0 else -1]]
        tell(f"floor: round {number + 1}")
    return runs


def table_of(runs: Sequence[Run]) -> str:
    """Medians over the rounds with (lowest to highest)."""
    lines = [
        f"| submit, {SUBMITS.connections} connections, no worker | answers/s | web µs | server µs |",
        "|---|---:|---:|---:|",
    ]
    for name in dict.fromkeys(one.system for one in runs):
        some = [one for one in runs if one.system == name]
        each = [
            table.cell([1e6 * one.cpu[part] / one.requests for one in some], "{:.0f}") for part in ("web", "server")
        ]
        lines.append(f"| {name} | {table.cell([one.rate for one in some], '{:.0f}')} | {' | '.join(each)} |")
    return "\n".join([*lines, "", *table.validity(runs)])


def main(arguments: list[str]) -> int:
    """Measure, print, and write where ``--write`` says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=count, default=5, help="rounds, of which medians are shown (%(default)s)")
    parser.add_argument("--seconds", type=count, default=2, help="seconds of one run, at most 3 (%(default)s)")
    parser.add_argument(
        "--peers", type=python, default=PEERS_PYTHON, metavar="PYTHON", help="python of the peers' venv (%(default)s)"
    )
    where = f"put the table into FILE, after {table.markers(SECTION)[0]}"
    parser.add_argument("--write", type=Path, metavar="FILE", help=where)
    options = parser.parse_args(arguments)
    what = shlex.join(["python", "-m", "benchmarks.floor", *arguments])
    return run(options.write, SECTION, lambda: _report(options, what))


def _report(options: argparse.Namespace, what: str) -> str:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="floor-")))
        peers = has_peers(options.peers)
        systems: list[System] = [
            Bare(directory / "wsgi", "gunicorn, a WSGI function that does nothing", "benchmarks.bare.wsgi_view"),
            Bare(directory / "flask", "a Flask view that does nothing", "benchmarks.bare.flask_view"),
            Bare(directory / "smorest", "a flask-smorest view that does nothing", "benchmarks.bare.smorest_view"),
            Ours(directory / "ours"),
        ]
        if peers:
            systems += [kind(directory / kind.__name__, options.peers) for kind in (BareFastApi, Arq, Taskiq)]
        for system in systems:
            stack.enter_context(system)
            system.stop_worker()
        about = table.about(systems[0].redis_url, what, peers)
        return "\n\n".join([about, table_of(measure(systems, options.rounds, options.seconds))])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
