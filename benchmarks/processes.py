"""Jobs a second by the number of a worker's processes: jobs that do nothing, that wait, and that compute."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks import load, machine, table
from benchmarks.load import Load, Run
from benchmarks.systems import Ours

COUNTS = (1, 2, 4)
CONNECTIONS = 16
WAITS_FOR = 0.05
"""Seconds of a job that waits; a process runs 20 of them in a second and no more."""
TURNS = 200_000
"""Of a loop in pure Python: some 15 ms of CPU time."""
NOOP, WAITING, COMPUTING = "no-op", f"wait of {1000 * WAITS_FOR:.0f} ms", "computation"


def _job(job_type: str, parameters: str) -> Load:
    return Load(CONNECTIONS, f'{{"type":"{job_type}","parameters":{parameters},"wait":10}}')


LOADS = {
    NOOP: Load(CONNECTIONS),
    WAITING: _job("demo.random_delay", f'{{"seconds":{WAITS_FOR}}}'),
    COMPUTING: _job("bench.compute", f'{{"turns":{TURNS}}}'),
}


class OursWithProcesses(Ours):
    """Ours with so many processes in its worker."""

    def __init__(self, directory: Path, count: int) -> None:
        super().__init__(directory)
        self.count, self.name = count, str(count)

    def worker_arguments(self) -> list[str]:
        return ["workers", "-c", str(self.count)]

    def environ(self, port: int) -> dict[str, str]:
        return {**super().environ(port), "JOBS_MODULES": "benchmarks.kinds"}


def measure(directory: Path, rounds: int, seconds: int, tell: Callable[[str], None]) -> list[Run]:
    """``rounds`` runs of each load for each number of processes; they take turns, and turns in who goes first."""
    runs = []
    with ExitStack() as stack:
        systems = [stack.enter_context(OursWithProcesses(directory / str(count), count)) for count in COUNTS]
        for system in systems:
            load.run(system, LOADS[NOOP], load.WARM_UP)
        for number in range(rounds):
            for what in LOADS.values():
                machine.wait_until_quiet(load.PATIENCE)
                runs += [load.run(system, what, seconds) for system in systems[:: 1 if number % 2 == 0 else -1]]
            tell(f"processes: round {number + 1}")
    return runs


def rates(runs: list[Run], kind: str, count: int) -> list[float]:
    """Jobs a second in each round."""
    return [run.rate for run in runs if run.load == LOADS[kind] and run.system == str(count)]


def table_of(runs: list[Run]) -> str:
    """Medians over the rounds with (lowest to highest); ratios are of runs made side by side."""
    lines = [
        f"| worker processes | {' | '.join(f'{kind}, jobs/s | to 1' for kind in LOADS)} |",
        f"|---:|{'---:|' * 2 * len(LOADS)}",
    ]
    for count in COUNTS:
        cells = []
        for kind in LOADS:
            some = rates(runs, kind, count)
            ratios = [rate / one for rate, one in zip(some, rates(runs, kind, COUNTS[0]), strict=True)]
            cells += [table.cell(some, "{:.0f}"), table.cell(ratios, "{:.2f}")]
        lines.append(f"| {count} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *table.validity(runs)])


def curves(runs: list[Run]) -> dict[str, list[float]]:
    """Median jobs a second by kind of job, in the order of ``COUNTS``."""
    return {kind: [median(rates(runs, kind, count)) for count in COUNTS] for kind in LOADS}
