"""``python -m benchmarks.guard`` (`make guard`): has a job become dearer than was recorded?

What counts is CPU time, from a request to its result, of the web process, the worker and the Redis server: other
processes make it wait, but hardly grow. There is one connection, and one CPU for all: with several, a process that got
slower finds more to do each time it wakes, and what that saves hides most of what it lost. The time is told in units of
:mod:`benchmarks.calibration`, measured between the rounds, so that a figure recorded on one machine is of use on
another. Noise only adds: the lowest of all rounds counts.
Exit codes: 1, a job became dearer; 2, it could not be measured.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.calibration import cpu_seconds
from benchmarks.posting import post
from benchmarks.systems import BenchmarkError, Ours, System
from launch.redis_server import ServerError

MARGIN = 0.24
"""How much dearer a job may become; docs/performance.md has what was seen without any change."""

CONNECTIONS = 1
WARM_UP, JOBS = 600, 700
"""Jobs before the first round, and in each."""

ROUNDS, MOST_ROUNDS = 3, 8
"""Rounds at least; more only while a figure is above what is allowed."""

UNITS = 100
"""Units of calibration in a round."""

FIGURES = Path(__file__).with_name("guard.json")
HOW_TO_RECORD = "if that is meant: python -m benchmarks.guard --record"


@dataclass
class Measured:
    """The lowest CPU seconds so far: of one unit, and of one job in each process."""

    unit: float = float("inf")
    job: dict[str, float] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """Units a job, by process."""
        return {name: round(seconds / self.unit, 3) for name, seconds in self.job.items()}

    def add_round(self, system: System) -> None:
        before = system.cpu_seconds()
        post(system.port, JOBS, CONNECTIONS)
        for name, seconds in system.cpu_seconds().items():
            self.job[name] = min((seconds - before[name]) / JOBS, self.job.get(name, float("inf")))
        self.unit = min(cpu_seconds(UNITS), self.unit)


def main(arguments: list[str]) -> int:
    """Measure, and compare with what is recorded or record it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--record", action="store_true", help=f"write {FIGURES.name} anew; on a quiet machine")
    record = parser.parse_args(arguments).record
    python = sys.version  # another build of the same version is another 20 % away
    recorded = {} if record else json.loads(FIGURES.read_text())
    judged = recorded["units_a_job"] if recorded.get("python") == python else {}
    _stay_on_one_cpu()
    try:
        figures = measure(judged)
    except (BenchmarkError, ServerError) as error:
        _tell(str(error))
        return 2
    _tell("units of CPU time a job: " + ", ".join(f"{name} {value:.2f}" for name, value in figures.items()))
    if record:
        FIGURES.write_text(json.dumps({"python": python, "units_a_job": figures}, indent=2) + "\n")
    elif not judged:
        _tell(f"recorded with Python {recorded['python']}, this is {python}: shown, not judged")
    complaints = dearer(judged, figures)
    for complaint in complaints:
        _tell(complaint)
    return 1 if complaints else 0


def measure(recorded: Mapping[str, float]) -> dict[str, float]:
    """Units of CPU time that a job costs, by process."""
    measured = Measured()
    with TemporaryDirectory(prefix="guard-") as directory, Ours(Path(directory)) as system:
        post(system.port, WARM_UP, CONNECTIONS)
        for done in range(MOST_ROUNDS):
            if done >= ROUNDS and not dearer(recorded, measured.figures):
                break
            measured.add_round(system)
    return measured.figures


def dearer(recorded: Mapping[str, float], figures: Mapping[str, float]) -> list[str]:
    """A line for each process in which a job costs more than is allowed."""
    return [
        f"a job costs the {name} {figures[name]:.2f} units of CPU time, {figures[name] / was - 1:+.0%} to the recorded "
        f"{was:.2f} (allowed: {MARGIN:+.0%}); {HOW_TO_RECORD}"
        for name, was in recorded.items()
        if figures[name] > was * (1 + MARGIN)
    ]


def _stay_on_one_cpu() -> None:
    """So do the processes that we start; where the system knows no such thing, the figures are lower."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _tell(line: str) -> None:
    print(f"guard: {line}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
