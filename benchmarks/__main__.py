"""``python -m benchmarks`` (`make bench`): stock Flask + Celery, peers on FastAPI and this project, in one run.

The figures go to stdout as Markdown, what is being done to stderr. Exit code 2: it could not be measured.
"""

import argparse
import json
import shlex
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import burst, events, growth, load, polling, rates, table, waiting
from benchmarks.process import ROOT
from benchmarks.systems import Arq, BenchmarkError, Ours, OursWithTaskEvents, Stock, System, Taskiq
from launch.redis_server import ServerError


def main(arguments: list[str]) -> int:
    """Measure, print, and write where ``--write`` says."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        load.find_wrk()
        if options.write:
            table.check_markers(options.write)
        report = _measure(options, shlex.join(["python", "-m", "benchmarks", *arguments]))
    except (BenchmarkError, ServerError) as error:
        _tell(str(error))
        return 2
    except KeyboardInterrupt:
        _tell("stopped; nothing was written")
        return 130
    print(report)
    if options.write:
        table.write(options.write, report)
    return 0


def _measure(options: argparse.Namespace, command: str) -> str:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="benchmarks-")))
        systems: list[System] = [
            Stock(directory / "stock"),
            Ours(directory / "ours"),
            OursWithTaskEvents(directory / "telling"),
        ]
        peers = _has_peers(options.peers)
        if peers:
            systems += [kind(directory / kind.__name__, options.peers) for kind in (Arq, Taskiq)]
        with ExitStack() as running:
            for system in systems:
                running.enter_context(system)
            runs = load.measure(systems, options.rounds, options.seconds, _tell)
            parts = [table.about(systems[0].redis_url, command, peers), table.throughput(runs), table.submits(runs)]
        if options.waiters:
            with Ours(directory / "waiting") as ours:
                rounds = waiting.measure(ours, options.rounds, options.waiters, _tell)
            parts.append(table.waiting(rounds, options.waiters))
            with burst.PatientOurs(directory / "burst") as ours:
                parts.append(burst.measure(ours, options.rounds, options.waiters, _tell))
        if options.rates:
            with Ours(directory / "rates") as ours:
                parts.append(rates.measure(ours, options.rounds, options.seconds, _tell))
        if options.stored:
            with Ours(directory / "growth") as ours:
                parts.append(growth.measure(ours, options.stored, _tell))
        if options.polls:
            with polling.OursWithLengths(directory / "polling") as ours:
                parts.append(polling.table(polling.measure(ours, options.polls, _tell)))
        if options.events:
            parts.append(events.measure(directory / "events", options.rounds, options.events, _tell))
    if peers and options.write:
        parts.insert(1, _plot(options.peers, options.write.with_name("bench.png"), table.rates(runs)))
    return "\n\n".join(parts)


def _has_peers(python: Path) -> bool:
    if not python.exists():
        _tell(f"FastAPI + arq and + taskiq are left out: there is no {python}; `make .venv/.peers` makes it")
    return python.exists()


def _plot(python: Path, png: Path, rates: dict[str, dict[int, float]]) -> str:
    """Draw the bars with the peers' venv, which has matplotlib; the picture as Markdown."""
    command = [str(python), "-m", "benchmarks.peers.plot", str(png.absolute())]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(rates), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{png} cannot be drawn: {done.stderr.strip()[-500:]}")
    return f"![Requests a second by system, at each number of connections]({png.name})"


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=_count, default=3, help="rounds, of which medians are shown (%(default)s)")
    parser.add_argument("--seconds", type=_count, default=8, help="seconds of one run (%(default)s)")
    parser.add_argument("--waiters", type=int, default=10_000, help="waiting requests; 0 leaves them out (%(default)s)")
    parser.add_argument(
        "--rates", type=int, choices=(0, 1), default=1, help="polls and batches; 0 leaves them out (%(default)s)"
    )
    parser.add_argument("--stored", type=int, default=1_000_000, help="jobs stored meanwhile; 0: none (%(default)s)")
    parser.add_argument("--polls", type=int, default=500, help="jobs that are polled; 0 leaves them out (%(default)s)")
    parser.add_argument("--events", type=int, default=10, help="seconds of events; 0 leaves them out (%(default)s)")
    parser.add_argument(
        "--peers",
        type=_python,
        default=".venv/peers/bin/python",
        metavar="PYTHON",
        help="python of the peers' venv; if it is not there, the peers are left out (%(default)s)",
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help=f"put the figures into FILE, after {table.BEGIN}, and (with peers) bars of them into bench.png beside it",
    )
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _python(text: str) -> Path:
    return Path(text).absolute()  # not resolved: the venv's own link is what makes it the venv's


def _tell(line: str) -> None:
    print(f"benchmarks: {line}", file=sys.stderr, flush=True)


def _stop(*_: Any) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
