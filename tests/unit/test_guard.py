"""The guard of `make check` sees a job that became dearer: a check that cannot fail proves nothing."""

import json

import pytest

from benchmarks.guard import FIGURES, MARGIN, dearer

RECORDED = json.loads(FIGURES.read_text())["units_a_job"]
PROCESSES = ("web", "worker", "server")


def test_the_recorded_figures_themselves_pass() -> None:
    assert RECORDED.keys() == set(PROCESSES)
    assert dearer(RECORDED, RECORDED) == []


@pytest.mark.parametrize("process", PROCESSES)
def test_a_quarter_more_in_one_process_is_told_by_name(process: str) -> None:
    [complaint] = dearer(RECORDED, RECORDED | {process: RECORDED[process] * 1.25})
    assert f"costs the {process} " in complaint
    assert "+25%" in complaint
    assert "--record" in complaint


def test_what_noise_adds_is_allowed() -> None:
    assert dearer(RECORDED, {process: was * (1 + MARGIN * 0.99) for process, was in RECORDED.items()}) == []


def test_a_cheaper_job_is_no_complaint() -> None:
    assert dearer(RECORDED, {process: was / 2 for process, was in RECORDED.items()}) == []
