"""What `make pools` says of its figures."""

from benchmarks.load import Load, Run
from benchmarks.pools import Measured, held_back_text, rates_table
from benchmarks.processes import COMPUTING, LOADS, NOOP, WAITING
from benchmarks.trials import TRIALS, table_of


def measured(system: str, load: Load, rate: float, cpu: float, unexpected: int = 0) -> Measured:
    return Measured(Run(system, load, int(rate), 1.0, 1.0, 2.0, unexpected, 0, 0.0), cpu)


def test_each_pool_has_a_row_with_rate_and_cpu_time_of_each_kind_of_job() -> None:
    found = [
        measured(system, LOADS[kind], rate, cpu)
        for kind, rate, cpu in ((NOOP, 800.0, 0.0008), (WAITING, 40.0, 0.002), (COMPUTING, 160.0, 0.01))
        for system in ("prefork, 2", "solo")
    ]
    lines = rates_table("pool", found).splitlines()
    assert lines[2:4] == [f"| {name} | 800 | 0.80 | 40 | 2.00 | 160 | 10.00 |" for name in ("prefork, 2", "solo")]
    assert "All 2000 answers were 200." in lines


def test_the_median_of_the_rounds_is_shown() -> None:
    found = [measured("solo", load, rate, rate / 1e6) for load in LOADS.values() for rate in (100.0, 300.0, 200.0)]
    assert "| solo | 200 (100 to 300) | 0.20 |" in rates_table("pool", found)


def test_answers_that_were_not_200_are_told() -> None:
    found = [measured("solo", load, 100.0, 0.001, unexpected=3) for load in LOADS.values()]
    assert "**solo, 16 connections: 3 of 100 answers were not 200" in rates_table("pool", found)


def test_each_trial_has_a_row_with_the_outcome_for_each_pool() -> None:
    lines = table_of({"prefork": dict.fromkeys(TRIALS, "ended"), "solo": dict.fromkeys(TRIALS, "runs on")}).splitlines()
    assert lines[0] == "| tried | prefork | solo |"
    assert lines[2:] == [f"| {trial} | ended | runs on |" for trial in TRIALS]


def test_how_long_quick_jobs_were_held_back_is_told_by_multiplier() -> None:
    assert held_back_text({1: 0.012, 2: 1.8}).endswith("took 0.01 s with 1, 1.80 s with 2.")
