"""``python -m faults`` (`make faults`): break everything, look from outside, print one table.

The table goes to stdout as Markdown, what is being done to stderr. Exit code 1: a row does not hold, or a twin, which
has its protection switched off, was not caught.
"""

import argparse
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from faults import table
from faults.outcome import Bench, Outcome, Row, Stopwatch
from faults.rows import ROWS, SHORT

Pair = tuple[Outcome, Outcome | None]
"""Of a row, and of its twin if that was run."""
SHOWN = 20
"""Violations of one row that are printed."""


def main(arguments: list[str]) -> int:
    """Run the rows that were asked for, one after the other."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _stop)
    if options.write and not table.has_markers(options.write):
        _tell(f"{options.write} has no {table.BEGIN} followed by {table.END}")
        return 2
    watch, lines, notes, failed = Stopwatch(), [], [], False
    directory = Path(mkdtemp(prefix="faults-"))
    for row, (outcome, twin) in _runs(_chosen(options), options, directory):
        lines.append(table.line(row.number, row.what, outcome, options.seed, _twin_cell(row, twin)))
        notes += [f"Row {row.number}: {note}" for note in outcome.notes]
        bad = (not outcome.holds and row.number != "stock") or (twin is not None and not row.caught(twin))
        failed = failed or bad
        _show(row, outcome, twin)
    notes.append(f"{watch.seconds:.0f} s in all; `python -m faults {' '.join(arguments)}`, seed {options.seed}.")
    text = table.report(lines, notes)
    print(text)
    if failed:
        _tell(f"the logs are in {directory}")
    else:
        shutil.rmtree(directory)
        if options.write:
            table.write(options.write, text)
    return 1 if failed else 0


def _runs(rows: list[Row], options: argparse.Namespace, directory: Path) -> Iterator[tuple[Row, Pair]]:
    """One after the other, but those that only wait side by side."""
    for beside, some in groupby(rows, lambda row: row.beside):
        if not beside:
            yield from ((row, _run(row, options, directory)) for row in some)
            continue
        group = list(some)
        with ThreadPoolExecutor(len(group)) as pool:
            yield from zip(group, pool.map(lambda row: _run(row, options, directory), group), strict=True)


def _run(row: Row, options: argparse.Namespace, directory: Path) -> Pair:
    outcome = _tried(row.run, _bench(f"row {row.number}", options, directory))
    if row.twin is None or options.no_twins or (options.short and not options.rows and not row.twin_in_short):
        return outcome, None
    return outcome, _tried(row.twin, _bench(f"twin of row {row.number}", options, directory))


def _bench(name: str, options: argparse.Namespace, directory: Path) -> Bench:
    return Bench(directory / name.replace(" ", "-"), random.Random(f"{options.seed}/{name}"), options.short, name)


def _tried(run: Callable[[Bench], Outcome], bench: Bench) -> Outcome:
    """The outcome; a row that cannot be run to its end does not hold. The logs of one that holds are not kept."""
    watch = Stopwatch()
    try:
        outcome = run(bench)
    except Exception:
        outcome = Outcome(broke=traceback.format_exc())
    bench.tell(f"{watch.seconds:.0f} s")
    if outcome.holds:
        shutil.rmtree(bench.directory, ignore_errors=True)
    return outcome


def _show(row: Row, outcome: Outcome, twin: Outcome | None) -> None:
    _tell(f"row {row.number}: {'holds' if outcome.holds else 'does NOT hold'}")
    for violation in outcome.violations[:SHOWN]:
        _tell(f"  {violation}")
    if len(outcome.violations) > SHOWN:
        _tell(f"  and {len(outcome.violations) - SHOWN} more")
    if outcome.broke:
        _tell(outcome.broke)
    if twin is not None:
        caught = f"caught: {row.caught(twin)[0]}" if row.caught(twin) else f"NOT caught {twin.broke}"
        _tell(f"  its twin ({row.twin_is}) was {caught}")


def _twin_cell(row: Row, twin: Outcome | None) -> str:
    if twin is None:
        return ""
    return f"{row.twin_is}: {'caught' if row.caught(twin) else '**not caught**'}"


def _chosen(options: argparse.Namespace) -> list[Row]:
    wanted = options.rows or (SHORT if options.short else list(ROWS))
    unknown = [number for number in wanted if number not in ROWS]
    if unknown:
        raise SystemExit(f"faults: no row {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return [ROWS[number] for number in wanted]


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="the part that every check runs, in less than 100 s")
    parser.add_argument("--rows", type=lambda text: text.split(","), help=f"some of {','.join(ROWS)}")
    parser.add_argument("--seed", type=int, default=20261124, help="of all that is left to chance (%(default)s)")
    parser.add_argument("--no-twins", action="store_true", help="leave the twins out")
    parser.add_argument("--write", type=Path, metavar="FILE", help=f"put the table into FILE, after {table.BEGIN}")
    return parser.parse_args(arguments)


def _tell(line: str) -> None:
    print(f"faults: {line}", file=sys.stderr, flush=True)


def _stop(*_: Any) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
