"""The checker of `make faults` finds every kind of violation: a check that cannot fail proves nothing."""

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from faults import table
from faults.evidence import Evidence
from faults.invariants import INVARIANTS, check, finished_twice, lost
from faults.kills import Kill, recovery_times
from faults.outcome import Outcome

from jobs.model.event import Event

JOB = "6f1c0000-0000-4000-8000-000000000001"
OTHER = "6f1c0000-0000-4000-8000-000000000002"
MOVES = [("created", None, "New", 0), ("updated", "New", "InProgress", 1), ("updated", "InProgress", "New", 1)]
MOVES += [("updated", "New", "InProgress", 2), ("completed", "InProgress", "Completed", 2)]


def event(sequence: int, name: str, old: str | None, status: str, attempt: int) -> Event:
    data = {"job_id": JOB, "status": status, "old_status": old, "attempt": attempt}
    return Event(f"{JOB}:{sequence}", name, f"2026-11-24T03:00:0{sequence}.000Z", "anonymous", sequence, data)


def sound() -> Evidence:
    """A job that ran twice, and ended once."""
    return Evidence(
        accepted={"key-0": [JOB]},
        documents={JOB: {"status": "Completed", "attempt": 2, "error": None, "result": {"attempt": 2}}},
        records={JOB: {"status": "Completed", "attempt": "2", "sequence": "5"}},
        events={JOB: [event(n, *move) for n, move in enumerate(MOVES, 1)]},
        by_status={"New": set(), "InProgress": set(), "Completed": {JOB}},
        statuses=Counter({"202": 1, "503": 3}),
        lasting=["jobs:stream", "jobs:index:owner:a", "default", "_kombu.binding.default"],
        keys_were_sent=True,
    )


def as_status(evidence: Evidence, status: str, sequence: int, attempt: int) -> None:
    """The job, as it stood after its first ``sequence`` events."""
    evidence.documents[JOB] |= {"status": status, "attempt": attempt, "result": None}
    evidence.records[JOB] |= {"status": status, "attempt": str(attempt), "sequence": str(sequence)}
    evidence.events[JOB] = evidence.events[JOB][:sequence]
    evidence.by_status = {status: {JOB}}


def lose_the_record(evidence: Evidence) -> None:
    del evidence.documents[JOB], evidence.records[JOB]
    evidence.events, evidence.by_status = {}, {}


def leave_it_running(evidence: Evidence) -> None:
    as_status(evidence, "InProgress", 4, 2)
    evidence.leases.add(JOB)


def end_it_twice(evidence: Evidence) -> None:
    evidence.events[JOB].append(event(6, "completed", "Completed", "Completed", 2))
    evidence.records[JOB]["sequence"] = "6"


def tell_no_end(evidence: Evidence) -> None:
    evidence.events[JOB].pop()


def tell_another_end(evidence: Evidence) -> None:
    evidence.events[JOB][-1] = event(5, "failed", "InProgress", "Failed", 2)


def tell_another_error(evidence: Evidence) -> None:
    evidence.documents[JOB]["error"] = {"type": "time-limit"}


def lose_an_event(evidence: Evidence) -> None:
    del evidence.events[JOB][2]


def swap_events(evidence: Evidence) -> None:
    events = evidence.events[JOB]
    events[1], events[3] = events[3], events[1]


def move_without_an_event(evidence: Evidence) -> None:
    evidence.records[JOB]["sequence"] = "6"


def answer_something_else(evidence: Evidence) -> None:
    evidence.documents[JOB]["attempt"] = 1
    evidence.documents[JOB]["result"] = None


def forget_its_message(evidence: Evidence) -> None:
    as_status(evidence, "New", 3, 1)
    evidence.may_be_open = True


def forget_its_lease(evidence: Evidence) -> None:
    as_status(evidence, "InProgress", 4, 2)
    evidence.may_be_open = True


def keep_its_lease(evidence: Evidence) -> None:
    evidence.leases.add(JOB)


def keep_it_waiting(evidence: Evidence) -> None:
    evidence.waiting.add(JOB)


def list_it_twice(evidence: Evidence) -> None:
    evidence.by_status["InProgress"].add(JOB)


def list_it_nowhere(evidence: Evidence) -> None:
    evidence.by_status["Completed"].clear()


def queue_it_twice(evidence: Evidence) -> None:
    evidence.queued[JOB] = 2


def hold_a_stale_result(evidence: Evidence) -> None:
    evidence.documents[JOB]["result"] = {"attempt": 1}


def let_a_stale_attempt_report(evidence: Evidence) -> None:
    late = [event(5, "progress", "InProgress", "InProgress", 1), event(6, *MOVES[-1])]
    evidence.events[JOB] = evidence.events[JOB][:4] + late
    evidence.records[JOB]["sequence"] = "6"


def go_on_after_the_end(evidence: Evidence) -> None:
    evidence.events[JOB].append(event(6, "progress", "Completed", "Completed", 2))
    evidence.records[JOB]["sequence"] = "6"


def make_two_jobs_of_one_key(evidence: Evidence) -> None:
    evidence.accepted["key-0"].append(OTHER)


def make_a_job_nobody_knows(evidence: Evidence) -> None:
    evidence.records[OTHER] = {"status": "New", "attempt": "0", "sequence": "0"}


def answer_500(evidence: Evidence) -> None:
    evidence.statuses["500"] = 1


def answer_503_without_retry_after(evidence: Evidence) -> None:
    evidence.hasty_503 = 1


def break_a_connection(evidence: Evidence) -> None:
    evidence.broken.append("ConnectionResetError")


def leave_a_key_for_ever(evidence: Evidence) -> None:
    evidence.lasting.append("jobs:something-else")


def keep_a_final_record_for_ever(evidence: Evidence) -> None:
    evidence.lasting.append(f"jobs:job:{JOB}")


TAMPERINGS: list[tuple[str, Callable[[Evidence], None]]] = [
    ("I1", lose_the_record),
    ("I1", leave_it_running),
    ("I2", end_it_twice),
    ("I2", tell_no_end),
    ("I2", tell_another_end),
    ("I2", tell_another_error),
    ("I3", lose_an_event),
    ("I3", swap_events),
    ("I3", move_without_an_event),
    ("I3", answer_something_else),
    ("I4", forget_its_message),
    ("I4", forget_its_lease),
    ("I4", keep_its_lease),
    ("I4", keep_it_waiting),
    ("I4", list_it_twice),
    ("I4", list_it_nowhere),
    ("I4", queue_it_twice),
    ("I5", hold_a_stale_result),
    ("I5", let_a_stale_attempt_report),
    ("I5", go_on_after_the_end),
    ("I6", make_two_jobs_of_one_key),
    ("I6", make_a_job_nobody_knows),
    ("I7", answer_500),
    ("I7", answer_503_without_retry_after),
    ("I7", break_a_connection),
    ("I10", leave_a_key_for_ever),
    ("I10", keep_a_final_record_for_ever),
]


def test_sound_evidence_has_no_violation() -> None:
    assert check(sound()) == []
    assert (lost(sound()), finished_twice(sound())) == ([], [])


def test_every_invariant_is_tampered_with() -> None:
    assert {name for name, _ in TAMPERINGS} == INVARIANTS.keys()


@pytest.mark.parametrize(("invariant", "tamper"), TAMPERINGS, ids=lambda value: getattr(value, "__name__", value))
def test_a_violation_is_caught(invariant: str, tamper: Callable[[Evidence], None]) -> None:
    evidence = copy.deepcopy(sound())
    tamper(evidence)
    found = check(evidence)
    assert invariant in {violation.invariant for violation in found}
    assert not Outcome().judge(evidence).holds


def test_a_job_in_the_queue_or_fetched_is_not_forgotten() -> None:
    for where in ("queued", "fetched", "scheduled"):
        evidence = sound()
        forget_its_message(evidence)
        getattr(evidence, where).update([JOB])
        assert check(evidence) == [], where


def test_an_open_job_is_lost_only_when_all_must_have_ended() -> None:
    evidence = sound()
    leave_it_running(evidence)
    assert lost(evidence) == [JOB]
    evidence.may_be_open = True
    assert (lost(evidence), check(evidence)) == ([], [])


def test_a_job_that_ended_twice_is_counted() -> None:
    evidence = sound()
    end_it_twice(evidence)
    assert finished_twice(evidence) == [JOB]


def test_recovery_is_from_the_kill_to_the_start_of_the_next_attempt() -> None:
    began = 1_795_489_200.0  # 2026-11-24T03:00:00Z
    kills = [Kill(began + 1.5, "child", {JOB: 1, OTHER: 1}), Kill(began + 3, "worker", {JOB: 2})]
    assert recovery_times(kills, sound()) == [2.5]


def test_recovery_of_a_job_that_was_taken_twice_is_from_the_second_kill() -> None:
    began = 1_795_489_200.0
    assert recovery_times([Kill(began + 2, "child", {JOB: 1}), Kill(began + 3, "child", {JOB: 1})], sound()) == [1.0]


def test_a_kill_without_a_job_and_a_row_that_broke_do_not_hold() -> None:
    assert not Outcome().require([], "nothing was tried").holds
    assert not Outcome(broke="Traceback").holds


def test_the_table_is_written_between_its_markers(tmp_path: Any) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n")
    assert not table.has_markers(page)
    page.write_text(f"before\n{table.BEGIN}\nlast time\n{table.END}\nafter\n")
    assert table.has_markers(page)
    table.write(page, table.report([table.line("1", "kills", Outcome(accepted=10_000, recovery=[1.0, 3.0]), 7)], []))
    text = page.read_text()
    assert "| 1 | kills | 10,000 |" in text
    assert "1.00 / 3.00 / 3.00 (2) | yes |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "last time" not in text
