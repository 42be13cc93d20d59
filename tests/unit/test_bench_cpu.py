"""CPU time of a job, by process, beside that of stock."""

from benchmarks.load import WAITS, Load, Run
from benchmarks.table import cpu


def measured(system: str, load: Load, web: float, worker: float) -> Run:
    """A run of 1,000 requests; seconds of CPU time."""
    return Run(system, load, 1000, 2.0, 1.0, 2.0, 0, 0, 0.0, {"web": web, "worker": worker, "server": 0.5})


def test_it_is_told_in_milliseconds_at_16_connections_with_the_ratio_of_runs_side_by_side() -> None:
    runs = [
        *(measured("stock", WAITS[1], web, 2.0) for web in (1.5, 2.5)),
        *(measured("ours", WAITS[1], web, 0.5) for web in (1.0, 1.5)),
        measured("stock", WAITS[0], 100, 100),
        measured("ours", WAITS[0], 100, 100),
    ]
    head, _, stock, ours = cpu(runs).splitlines()
    assert "16 connections" in head
    assert (
        stock == "| stock | 2.00 (1.50 to 2.50) | 2.00 (2.00 to 2.00) | 0.50 (0.50 to 0.50) | 4.50 (4.00 to 5.00) | 1 |"
    )
    assert ours.endswith("| 2.25 (2.00 to 2.50) | 0.50 (0.50 to 0.50) |")
