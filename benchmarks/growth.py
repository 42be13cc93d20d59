"""``python -m benchmarks.growth`` (`make growth`): what stored jobs and more worker processes change.

Two systems run side by side, and only the store of one is filled; both get the same calls in turns, so that a ratio is
of the same minutes: with the server that `make run` takes, and with the redis-server of the machine, if there is one.
Then systems with 1, 2 and 4 worker processes get the same jobs in turns.
"""

import argparse
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from redis import Redis

from benchmarks import load, machine, processes, table
from benchmarks.calls import CALLS, SUBMIT, Call, Client, medians
from benchmarks.command import PEERS_PYTHON, count, draw, python, run, tell
from benchmarks.filling import bytes_used, fill, is_rewriting, settle
from benchmarks.load import Run
from benchmarks.systems import Ours
from launch.redis_server import find_binary

SECTION = "growth"
MOST = 1.1
"""How much longer submit, get and list may take with all jobs stored than with none."""
MOST_BYTES = 1_200
"""What a stored no-op job may take of Redis, without its events."""
TURNS = 8
"""Turns of 25 calls that a round has for each call."""
SETTLING = 80
"""Turns of submits before anything is measured: a rewrite of its file forks Redis, which then pays for its first write
to each page of memory (75 page faults a job at first, with 100,000 stored, and 2 after some 1,000 jobs)."""


@dataclass(frozen=True, slots=True)
class Level:
    """So many jobs stored: for each call, median milliseconds of the empty and of the filled system in each round."""

    stored: int
    took: dict[Call, list[tuple[float, float]]]
    others: list[float]
    """Share of the machine that others used in each round (see :mod:`benchmarks.machine`)."""
    bytes_a_job: float
    """0 where none is stored."""
    stream_bytes: int
    """What the two streams of events hold."""

    def milliseconds(self, call: Call) -> float:
        return median(filled for _, filled in self.took[call])

    def ratios(self, call: Call) -> list[float]:
        """To the system beside it, with none stored."""
        return [filled / empty for empty, filled in self.took[call]]


@dataclass(frozen=True, slots=True)
class Filled:
    """What stored jobs change with one Redis-protocol server."""

    server: str
    levels: list[Level]
    rewriting: float | None
    """How much longer a submit took while Redis rewrote its append-only file; None: that was too short to measure."""


@dataclass(frozen=True, slots=True)
class Growth:
    filled: list[Filled]
    """By server."""
    runs: list[Run]
    """By number of worker processes."""


def main(arguments: list[str]) -> int:
    """Measure, print, and write where ``--write`` says."""
    options = _options(arguments)
    command = shlex.join(["python", "-m", "benchmarks.growth", *arguments])
    return run(options.write, SECTION, lambda: _report(options, command))


def up_to(stored: int) -> list[int]:
    """The numbers of stored jobs that are measured, up to the last."""
    return [0, stored // 10, stored]


def servers() -> list[str]:
    """The binaries of the servers that are filled."""
    return list(dict.fromkeys([find_binary(), *filter(None, [shutil.which("redis-server")])]))


def measure(directory: Path, stored: Sequence[int], rounds: int, seconds: int, tell: Callable[[str], None]) -> Growth:
    """``stored`` ascends; ``seconds`` is how long a run with so many worker processes takes."""
    directory.mkdir()
    filled = [_fill(directory / str(n), server, stored, rounds, tell) for n, server in enumerate(servers())]
    return Growth(filled, processes.measure(directory, rounds, seconds, tell))


def table_of(growth: Growth) -> str:
    """The figures as Markdown, judged."""
    return "\n\n".join([*map(_table_of_filled, growth.filled), processes.table_of(growth.runs)])


def _table_of_filled(filled: Filled) -> str:
    head = " | ".join(f"{level.stored:,} stored" for level in filled.levels)
    lines = [
        f"**{filled.server}**",
        "",
        f"| p50 ms; ratio to none stored | {head} |",
        f"|---|{'---:|' * len(filled.levels)}",
    ]
    for call in CALLS:
        cells = [
            f"{level.milliseconds(call):.2f}; {table.cell(level.ratios(call), '{:.2f}')}" for level in filled.levels
        ]
        lines.append(f"| {call.name} | {' | '.join(cells)} |")
    others = [share for level in filled.levels for share in level.others]
    lines += ["", table.quiet(others), "", verdict(filled.levels[-1])]
    if filled.rewriting is not None:
        lines += ["", f"While Redis rewrites its append-only file, a submit takes {filled.rewriting:.2f} x as long."]
    return "\n".join(lines)


def verdict(level: Level) -> str:
    """Whether what was asked for holds."""
    above = [call.name for call in CALLS if call.judged and median(level.ratios(call)) > MOST]
    held = (
        f"**{', '.join(above)}: above the {MOST} x allowed.**"
        if above
        else f"submit, get and list are within {MOST} x, as asked."
    )
    bytes_held = "as asked" if level.bytes_a_job <= MOST_BYTES else "**more than asked**"
    return (
        f"With {level.stored:,} jobs stored: {held} A stored no-op job takes {level.bytes_a_job:,.0f} bytes of Redis "
        f"({bytes_held}: at most {MOST_BYTES:,}), without its events; the two streams of events, which are bounded, "
        f"take {level.stream_bytes / 1e6:,.0f} MB."
    )


def curves(growth: Growth) -> dict[str, Any]:
    """What is drawn, with the last of the servers: see :mod:`benchmarks.peers.curves`."""
    filled = growth.filled[-1]
    return {
        "server": filled.server,
        "stored": [level.stored for level in filled.levels],
        "calls": {call.name: [level.milliseconds(call) for level in filled.levels] for call in CALLS},
        "none_stored": {
            call.name: [median(empty for empty, _ in level.took[call]) for level in filled.levels] for call in CALLS
        },
        "processes": list(processes.COUNTS),
        "rates": processes.curves(growth.runs),
    }


def _fill(directory: Path, server: str, stored: Sequence[int], rounds: int, tell: Callable[[str], None]) -> Filled:
    with (
        Ours(directory / "empty", server=server) as empty,
        Ours(directory / "filled", server=server) as filled,
        Client(empty.port) as at_empty,
        Client(filled.port) as at_filled,
    ):
        pair = at_empty, at_filled
        name = table.server_of(filled.redis_url)
        for call in CALLS:
            medians(pair, call, TURNS)  # so that nothing happens for the first time
        levels: list[Level] = []
        for wanted in stored:
            bytes_a_job = _grow(filled.redis_url, levels[-1].stored if levels else 0, wanted, tell)
            medians(pair, SUBMIT, SETTLING)
            levels.append(_level(pair, wanted, rounds, bytes_a_job, bytes_used(filled.redis_url)[1]))
            tell(f"growth: {name}: measured with {wanted:,} jobs stored")
        return Filled(name, levels, _while_rewriting(pair, filled.redis_url))


def _grow(url: str, has: int, wanted: int, tell: Callable[[str], None]) -> float:
    """Store jobs until there are so many, and return what each of the new ones takes, in bytes; 0 without any."""
    if wanted == has:
        return 0.0
    before, _ = bytes_used(url)
    fill(url, has, wanted, tell)
    settle(url)
    return (bytes_used(url)[0] - before) / (wanted - has)


def _level(pair: Sequence[Client], stored: int, rounds: int, bytes_a_job: float, stream_bytes: int) -> Level:
    took: dict[Call, list[tuple[float, float]]] = {call: [] for call in CALLS}
    others = []
    for _ in range(rounds):
        machine.wait_until_quiet(load.PATIENCE)
        began = machine.read()
        for call in CALLS:
            empty, filled = medians(pair, call, TURNS)
            took[call].append((empty, filled))
        others.append(machine.taken_by_others(began, machine.read()))
    return Level(stored, took, others, bytes_a_job, stream_bytes)


def _while_rewriting(pair: Sequence[Client], url: str) -> float | None:
    ratios = []
    with Redis.from_url(url) as redis:
        redis.bgrewriteaof()
        while is_rewriting(redis):
            empty, filled = medians(pair, SUBMIT, 1)
            ratios.append(filled / empty)
    return median(ratios[:-1]) if len(ratios) > 2 else None  # the last one was partly after it


def _report(options: argparse.Namespace, command: str) -> str:
    with TemporaryDirectory(prefix="growth-") as name:
        directory = Path(name)
        with Ours(directory / "about") as ours:
            about = table.about(ours.redis_url, command, peers=False)
        growth = measure(directory / "growth", up_to(options.stored), options.rounds, options.seconds, tell)
    parts = [about, table_of(growth)]
    if options.write and options.peers.exists():
        what, png = (
            "Time of a call by jobs stored, jobs a second by worker processes",
            options.write.with_name("growth.png"),
        )
        parts.insert(1, draw(options.peers, "benchmarks.peers.curves", png, curves(growth), what))
    elif options.write:
        tell(f"nothing is drawn: there is no {options.peers}; `make .venv/.peers` makes it")
    return "\n\n".join(parts)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=count, default=5, help="rounds, of which medians are shown (%(default)s)")
    parser.add_argument("--seconds", type=count, default=4, help="seconds of a run by processes (%(default)s)")
    parser.add_argument("--stored", type=count, default=1_000_000, help="jobs stored at last (%(default)s)")
    parser.add_argument(
        "--peers", type=python, default=PEERS_PYTHON, metavar="PYTHON", help="python that has matplotlib (%(default)s)"
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help=f"put the figures into FILE, after {table.markers(SECTION)[0]}, and curves into growth.png beside it",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
