"""``python -m benchmarks.pools`` (`make pools`): which of Celery's pools suits which jobs, and what each cannot do.

Jobs a second and the worker's CPU time of a job come from systems that take turns; what a pool does to jobs that go
wrong is tried (:mod:`benchmarks.trials`); and so is what it changes to have more jobs fetched ahead, or more web
processes.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Self

from redis import Redis

from benchmarks import load, machine, table, trials
from benchmarks.command import count, run, tell
from benchmarks.load import Run
from benchmarks.process import MeasuredProcess
from benchmarks.processes import LOADS, NOOP, OursWithProcesses
from benchmarks.systems import READY_WITHIN, BenchmarkError, Ours
from benchmarks.trials import OursWithPool, Tried
from jobs.model.keys import KEYS

SECTION = "pools"
POOLS = (("prefork", 2), ("threads", 2), ("threads", 50), ("solo", 1), ("gevent", 50))
TRIED = (("prefork", 2), ("threads", 2), ("solo", 1), ("gevent", 50))
MULTIPLIERS = (1, 2, 4)
WEBS = (1, 2, 4)
LONG = 2.0
"""Seconds of the job that others may have been fetched behind."""
QUICK = 8
"""Jobs that are submitted after it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run, and the worker's CPU seconds for each job that ended meanwhile."""

    run: Run
    cpu: float


class OursWithPrefetch(OursWithProcesses):
    """Ours with a worker that fetches so many jobs for each of its two processes."""

    def __init__(self, directory: Path, multiplier: int) -> None:
        super().__init__(directory, 2)
        self.multiplier, self.name = multiplier, str(multiplier)

    def worker_arguments(self) -> list[str]:
        return [*super().worker_arguments(), "--prefetch-multiplier", str(self.multiplier)]


class OursWithTwoWorkers(OursWithPrefetch):
    """With a second worker, one process in each."""

    def __init__(self, directory: Path, multiplier: int) -> None:
        super().__init__(directory, multiplier)
        self.count = 1
        self._second: MeasuredProcess | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        self._second = self._start([*self.worker_arguments(), "-n", "second@bench", "-l", "info"], 0, "second.log")
        deadline = time.monotonic() + READY_WITHIN
        while "second@bench ready." not in self._second.last_words:
            if time.monotonic() > deadline:
                self.stop()
                raise BenchmarkError("a second worker is not ready")
            time.sleep(0.2)
        return self

    def stop(self) -> None:
        if self._second is not None:
            self._second.stop()
            self._second = None
        super().stop()


class OursWithWebs(OursWithProcesses):
    """Ours with so many web processes."""

    def __init__(self, directory: Path, webs: int) -> None:
        super().__init__(directory, 2)
        self.webs, self.name = webs, str(webs)

    def environ(self, port: int) -> dict[str, str]:
        return {**super().environ(port), "WEB_CONCURRENCY": str(self.webs)}


def main(arguments: list[str]) -> int:
    """Measure, print, and write where ``--write`` says."""
    options = _options(arguments)
    return run(
        options.write, SECTION, lambda: _report(options, shlex.join(["python", "-m", "benchmarks.pools", *arguments]))
    )


def measure(systems: Sequence[Ours], rounds: int, seconds: int) -> list[Measured]:
    """``rounds`` runs of each load for each system; they take turns, and turns in who goes first."""
    found = []
    for system in systems:
        load.run(system, LOADS[NOOP], load.WARM_UP)
    for number in range(rounds):
        for what in LOADS.values():
            machine.wait_until_quiet(load.PATIENCE)
            for system in systems[:: 1 if number % 2 == 0 else -1]:
                before, finished = system.cpu_seconds()["worker"], _finished(system)
                seen = load.run(system, what, seconds)
                took = system.cpu_seconds()["worker"] - before
                found.append(Measured(seen, took / (_finished(system) - finished)))
        tell(f"pools: round {number + 1}")
    return found


def rates_table(head: str, found: Sequence[Measured]) -> str:
    """Jobs a second and CPU time by system and kind of job, medians with (lowest to highest)."""
    lines = [
        f"| {head} | {' | '.join(f'{kind}, jobs/s | CPU ms' for kind in LOADS)} |",
        f"|---|{'---:|' * 2 * len(LOADS)}",
    ]
    for name in dict.fromkeys(one.run.system for one in found):
        cells = []
        for what in LOADS.values():
            some = [one for one in found if one.run.system == name and one.run.load == what]
            cells.append(table.cell([one.run.rate for one in some], "{:.0f}"))
            cells.append(f"{1000 * median(one.cpu for one in some):.2f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *table.validity([one.run for one in found])])


def held_back(system: Ours) -> float:
    """The seconds that the slowest of some quick jobs took, submitted while one worker of two has a long job."""
    system.ask("POST", "/jobs", {"type": "demo.random_delay", "parameters": {"seconds": LONG}})
    time.sleep(LONG / 10)
    quick = [system.ask("POST", "/jobs", {"type": "demo.noop"})["id"] for _ in range(QUICK)]
    ended = [system.ask("GET", f"/jobs/{job_id}?wait={10 * LONG:g}") for job_id in quick]
    return max(_seconds(job["finished_at"]) - _seconds(job["created_at"]) for job in ended)


def held_back_text(seconds: dict[int, float]) -> str:
    """``seconds`` by multiplier."""
    told = ", ".join(f"{value:.2f} s with {multiplier}" for multiplier, value in seconds.items())
    return (
        f"Two workers with one process each, a job of {LONG:g} s and then {QUICK} that do nothing: the slowest of these"
        f" took {told}."
    )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _finished(system: Ours) -> int:
    with Redis.from_url(system.redis_url) as redis:
        return int(redis.hget(KEYS.counts, "finished") or 0)


def _report(options: argparse.Namespace, command: str) -> str:
    with TemporaryDirectory(prefix="pools-") as name:
        directory = Path(name)
        with ExitStack() as stack:
            systems = [stack.enter_context(OursWithPool(directory / f"{p}{n}", p, n)) for p, n in POOLS]
            parts = [table.about(systems[0].redis_url, command, peers=False)]
            parts.append(rates_table("pool", measure(systems, options.rounds, options.seconds)))
        parts.append(trials.table_of(dict(_try(directory / f"tried-{p}", p, n) for p, n in TRIED)))
        with ExitStack() as stack:
            fetching = [stack.enter_context(OursWithPrefetch(directory / f"fetch{m}", m)) for m in MULTIPLIERS]
            parts.append(rates_table("prefetch multiplier", measure(fetching, options.rounds, options.seconds)))
        with ExitStack() as stack:
            serving = [stack.enter_context(OursWithWebs(directory / f"web{n}", n)) for n in WEBS]
            parts.append(rates_table("web processes", measure(serving, options.rounds, options.seconds)))
        parts.append(held_back_text({m: _held_back(directory / f"two{m}", m) for m in MULTIPLIERS}))
    return "\n\n".join(parts)


def _try(directory: Path, pool: str, number: int) -> tuple[str, dict[str, str]]:
    with Tried(directory, pool, number) as system:
        found = {name: trial(system) for name, trial in trials.TRIALS.items()}
    tell(f"pools: {system.name} tried")
    return system.name, found


def _held_back(directory: Path, multiplier: int) -> float:
    with OursWithTwoWorkers(directory, multiplier) as system:
        return held_back(system)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pools", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=count, default=3, help="rounds, of which medians are shown (%(default)s)")
    parser.add_argument("--seconds", type=count, default=4, help="seconds of one run (%(default)s)")
    where = f"put the figures into FILE, after {table.markers(SECTION)[0]}"
    parser.add_argument("--write", type=Path, metavar="FILE", help=where)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
