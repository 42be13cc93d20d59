"""``python -m benchmarks``: the same no-op job through stock Flask + Celery and through ours, in turn, in one run."""

import argparse
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks import waiting
from benchmarks.load import Figures, need_wrk, run
from benchmarks.processes import ours, stock
from benchmarks.report import report, say, write_into

CONNECTIONS = (1, 16, 64)
WARM_UP = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="length of one run of wrk")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each cell; medians are shown")
    parser.add_argument("--no-waiting", action="store_true", help="leave out the 5,000 waiting requests")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the table between the markers of FILE")
    options = parser.parse_args()
    need_wrk()
    runs: dict[tuple[str, int], list[Figures]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        with stock(path) as theirs, ours(path) as own:
            for system in (theirs, own):
                run(system.url, 16, WARM_UP)
            for connections in CONNECTIONS:
                for number in range(options.rounds):
                    for system in (theirs, own):
                        figures = run(system.url, connections, options.seconds)
                        runs[system.name, connections].append(figures)
                        say(f"{system.name}, {connections} connections, round {number + 1}: {figures.rate:.0f}/s")
        found = None
        if not options.no_waiting:
            with ours(path) as own:
                found = waiting.measure(own)
    text = report(runs, found, f"make bench (--seconds {options.seconds:g} --rounds {options.rounds})")
    sys.stdout.write(text)
    if options.write:
        write_into(options.write, text)


if __name__ == "__main__":
    main()
