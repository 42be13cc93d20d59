"""What `make growth` says of its figures: a verdict that cannot turn out badly is none."""

from collections.abc import Callable

import pytest

from benchmarks.calls import AT_A_TURN, CALLS, Call, medians
from benchmarks.growth import MOST, MOST_BYTES, Filled, Growth, Level, curves, table_of, up_to, verdict
from benchmarks.load import Load, Run
from benchmarks.processes import COMPUTING, COUNTS, LOADS, NOOP, WAITING


def level(stored: int, ratio: Callable[[Call], float] = lambda _: 1.0, size: float = 0.0) -> Level:
    took = {call: [(2.0, 2.0 * ratio(call)), (4.0, 4.0 * ratio(call))] for call in CALLS}
    return Level(stored, took, [0.01, 0.02], size, 46_000_000)


def run(processes: int, load: Load, rate: float) -> Run:
    return Run(str(processes), load, int(rate * 2), 2.0, 1.0, 2.0, 0, 0, 0.0)


RUNS = [run(count, load, 100.0 * count) for load in LOADS.values() for count in COUNTS]


class Watched:
    """A client that notes who was asked, and answers in so many milliseconds."""

    def __init__(self, name: str, milliseconds: float, asked: list[str]) -> None:
        self._name, self._milliseconds, self._asked = name, milliseconds, asked

    def reconnect(self) -> None:
        """It has no connection."""

    def milliseconds(self, call: Call) -> float:
        self._asked.append(self._name)
        return self._milliseconds


def test_figures_within_what_is_asked_are_said_to_be() -> None:
    said = verdict(level(1_000_000, lambda _: MOST, MOST_BYTES))
    assert "submit, get and list are within 1.1 x" in said
    assert "1,200 bytes of Redis (as asked" in said
    assert "**" not in said


@pytest.mark.parametrize("slow", [call for call in CALLS if call.judged], ids=lambda call: call.name)
def test_a_call_above_it_is_named(slow: Call) -> None:
    said = verdict(level(1_000_000, lambda call: 1.2 if call is slow else 1.0, 1000))
    assert f"**{slow.name}: above the 1.1 x allowed.**" in said


def test_a_submit_that_waits_is_shown_and_not_judged() -> None:
    slow = [call for call in CALLS if not call.judged]
    assert [call.name for call in slow] == ["submit and wait"]
    assert "**" not in verdict(level(1_000_000, lambda call: 1.5 if call in slow else 1.0, 1000))


def test_a_job_of_too_many_bytes_is_told() -> None:
    assert "1,201 bytes of Redis (**more than asked**" in verdict(level(1_000_000, size=1_201))


def test_the_table_has_a_column_for_each_number_of_stored_jobs_with_its_ratio() -> None:
    levels = [level(0), level(100_000, lambda _: 1.5), level(1_000_000, lambda _: 2.0)]
    lines = table_of(Growth([Filled("Redis 7", levels, 1.25)], RUNS)).splitlines()
    assert lines[0] == "**Redis 7**"
    assert lines[2] == "| p50 ms; ratio to none stored | 0 stored | 100,000 stored | 1,000,000 stored |"
    cells = "3.00; 1.00 (1.00 to 1.00) | 4.50; 1.50 (1.50 to 1.50) | 6.00; 2.00 (2.00 to 2.00)"
    assert f"| get a job | {cells} |" in lines
    assert "While Redis rewrites its append-only file, a submit takes 1.25 x as long." in lines
    assert "| 4 | 400 | 4.00 | 400 | 4.00 | 400 | 4.00 |" in lines


def test_what_is_drawn_is_what_is_in_the_table() -> None:
    other = Filled("Valkey 9", [level(0)], None)
    drawn = curves(Growth([other, Filled("Redis 7", [level(0), level(10, lambda _: 2.0)], None)], RUNS))
    assert drawn["server"] == "Redis 7"
    assert drawn["stored"] == [0, 10]
    assert drawn["calls"]["submit"] == [3.0, 6.0]
    assert drawn["none_stored"]["submit"] == [3.0, 3.0]
    assert drawn["rates"] == {kind: [100.0, 200.0, 400.0] for kind in (NOOP, WAITING, COMPUTING)}


def test_each_server_has_a_table_and_a_verdict_of_its_own() -> None:
    good, bad = level(10, size=1_000), level(10, lambda _: 2.0, size=1_000)
    first, second = table_of(Growth([Filled("A", [good], None), Filled("B", [bad], None)], RUNS)).split("**B**")
    assert "within 1.1 x" in first
    assert "above the 1.1 x allowed" in second


def test_three_numbers_of_stored_jobs_are_measured() -> None:
    assert up_to(1_000_000) == [0, 100_000, 1_000_000]


def test_clients_take_turns_and_turns_in_who_goes_first() -> None:
    asked: list[str] = []
    pair = [Watched("empty", 1.0, asked), Watched("filled", 3.0, asked)]
    assert medians(pair, CALLS[0], turns=2) == [1.0, 3.0]
    assert asked[::AT_A_TURN] == ["empty", "filled", "filled", "empty"]
