"""``python -m benchmarks`` (`make bench`): stock Flask + Celery, peers on FastAPI and this project, in one run.

The figures go to stdout as Markdown, what is being done to stderr. Exit code 2: it could not be measured.
"""

import argparse
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import burst, events, growth, load, polling, rates, table, waiting
from benchmarks.command import PEERS_PYTHON, count, draw, has_peers, python, run, tell
from benchmarks.systems import Arq, Ours, OursInGreenlets, OursWithTaskEvents, Stock, System, Taskiq


def main(arguments: list[str]) -> int:
    """Measure, print, and write where ``--write`` says."""
    options = _options(arguments)
    command = shlex.join(["python", "-m", "benchmarks", *arguments])
    return run(options.write, table.BENCH, lambda: _measure(options, command))


def _measure(options: argparse.Namespace, command: str) -> str:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="benchmarks-")))
        systems: list[System] = [
            Stock(directory / "stock"),
            Ours(directory / "ours"),
            OursInGreenlets(directory / "greenlets"),
            OursWithTaskEvents(directory / "telling"),
        ]
        peers = has_peers(options.peers)
        if peers:
            systems += [kind(directory / kind.__name__, options.peers) for kind in (Arq, Taskiq)]
        with ExitStack() as running:
            for system in systems:
                running.enter_context(system)
            runs = load.measure(systems, options.rounds, options.seconds, tell)
            about = table.about(systems[0].redis_url, command, peers)
        parts = [about, table.throughput(runs), table.submits(runs), table.cpu(runs)]
        if options.waiters:
            with Ours(directory / "waiting") as ours:
                rounds = waiting.measure(ours, options.rounds, options.waiters, tell)
            parts.append(table.waiting(rounds, options.waiters))
            with burst.PatientOurs(directory / "burst") as ours:
                parts.append(burst.measure(ours, options.rounds, options.waiters, tell))
        if options.rates:
            with Ours(directory / "rates") as ours:
                parts.append(rates.measure(ours, options.rounds, options.seconds, tell))
        if options.stored:
            grown = growth.measure(
                directory / "growth", growth.up_to(options.stored), options.rounds, options.seconds, tell
            )
            parts.append(growth.table_of(grown))
        if options.polls:
            with polling.OursWithLengths(directory / "polling") as ours:
                parts.append(polling.table(polling.measure(ours, options.polls, tell)))
        if options.events:
            parts.append(events.measure(directory / "events", options.rounds, options.events, tell))
    if peers and options.write:
        what, png = "Requests a second by system, at each number of connections", options.write.with_name("bench.png")
        parts.insert(1, draw(options.peers, "benchmarks.peers.plot", png, table.rates(runs), what))
    return "\n\n".join(parts)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=count, default=3, help="rounds, of which medians are shown (%(default)s)")
    parser.add_argument("--seconds", type=count, default=8, help="seconds of one run (%(default)s)")
    parser.add_argument("--waiters", type=int, default=10_000, help="waiting requests; 0 leaves them out (%(default)s)")
    parser.add_argument(
        "--rates", type=int, choices=(0, 1), default=1, help="polls and batches; 0 leaves them out (%(default)s)"
    )
    parser.add_argument(
        "--stored",
        type=int,
        default=0,
        metavar="N",
        help="what `make growth` measures, up to N jobs stored; 0 leaves it out (%(default)s)",
    )
    parser.add_argument("--polls", type=int, default=500, help="jobs that are polled; 0 leaves them out (%(default)s)")
    parser.add_argument("--events", type=int, default=10, help="seconds of events; 0 leaves them out (%(default)s)")
    parser.add_argument(
        "--peers",
        type=python,
        default=PEERS_PYTHON,
        metavar="PYTHON",
        help="python of the peers' venv; if it is not there, the peers are left out (%(default)s)",
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help=f"put the figures into FILE, after {table.markers(table.BENCH)[0]}, "
        "and (with peers) bars of them into bench.png beside it",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
