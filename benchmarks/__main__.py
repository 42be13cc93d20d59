"""``python -m benchmarks`` (`make bench`): stock Flask + Celery and this project, measured in one run on one machine.

The figures go to stdout as Markdown, what is being done to stderr. Exit code 2: it could not be measured.
"""

import argparse
import shlex
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import events, growth, load, polling, table, waiting
from benchmarks.systems import BenchmarkError, Ours, OursWithTaskEvents, Stock
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
        with (
            Stock(directory / "stock") as stock,
            Ours(directory / "ours") as ours,
            OursWithTaskEvents(directory / "telling") as telling,
        ):
            runs = load.measure((stock, ours, telling), options.rounds, options.seconds, _tell)
            parts = [table.about(ours.redis_url, command), table.throughput(runs)]
        if options.waiters:
            with Ours(directory / "waiting") as ours:
                rounds = waiting.measure(ours, options.rounds, options.waiters, _tell)
            parts.append(table.waiting(rounds, options.waiters))
        if options.stored:
            with Ours(directory / "growth") as ours:
                parts.append(growth.measure(ours, options.stored, _tell))
        if options.polls:
            with polling.OursWithLengths(directory / "polling") as ours:
                parts.append(polling.table(polling.measure(ours, options.polls, _tell)))
        if options.events:
            parts.append(events.measure(directory / "events", options.rounds, options.events, _tell))
    return "\n\n".join(parts)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=_count, default=3, help="rounds, of which medians are shown (%(default)s)")
    parser.add_argument("--seconds", type=_count, default=8, help="seconds of one run (%(default)s)")
    parser.add_argument("--waiters", type=int, default=5000, help="waiting requests; 0 leaves them out (%(default)s)")
    parser.add_argument("--stored", type=int, default=1_000_000, help="jobs stored meanwhile; 0: none (%(default)s)")
    parser.add_argument("--polls", type=int, default=500, help="jobs that are polled; 0 leaves them out (%(default)s)")
    parser.add_argument("--events", type=int, default=10, help="seconds of events; 0 leaves them out (%(default)s)")
    parser.add_argument("--write", type=Path, metavar="FILE", help=f"put the figures into FILE, after {table.BEGIN}")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _tell(line: str) -> None:
    print(f"benchmarks: {line}", file=sys.stderr, flush=True)


def _stop(*_: Any) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
