"""The invariants of docs and FAULTS, as functions of the evidence: each gives the violations that it finds.

====  =====================================================================================================
I1    every accepted id is found and has become final
I2    exactly one final event, equal to the record
I3    folding a job's events gives its record; ``sequence`` has no gap
I4    no record without its message or its lease; one message at most; indexes and records agree
I5    no write of a stale attempt is visible
I6    one key, one job; and with keys, no job that nobody asked for
I7    no 5xx but 503, and that with Retry-After
I10   every key that is left has a TTL or a reason
====  =====================================================================================================

I9 (what processes hold) is in ``usage``; I8 (a durable subscriber handles every event at least once, in the order of
its job) is judged by the ninth row, ``rows/subscribers``.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from faults.evidence import Evidence, attempt_of, result_of
from jobs.model.event import FINAL_EVENT_OF, Event
from jobs.model.keys import KEYS, Keys
from jobs.model.status import FINAL, Status

FINAL_EVENTS = frozenset(FINAL_EVENT_OF.values())

HAVE_TTL = ("jobs:job:", "jobs:idempotency:")
REASONS = (
    # the table of keys is the list of reasons
    *(re.sub("<.*?>|…", "*", name) for name in re.findall("``(jobs:.+?)``", str(Keys.__doc__))),
    "default*",  # the queue: one list a priority
    "_kombu.binding*",  # Celery's routing, a few
    "unacked*",  # Celery's, messages of plain tasks
)


@dataclass(frozen=True, slots=True)
class Violation:
    """One invariant that does not hold for one job ('' for none in particular)."""

    invariant: str
    job_id: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.job_id} {self.what}".replace("  ", " ")


Found = Iterator[tuple[str, str]]


def check(evidence: Evidence) -> list[Violation]:
    """All that is wrong."""
    return [
        Violation(name, job_id, what) for name, invariant in INVARIANTS.items() for job_id, what in invariant(evidence)
    ]


def lost(evidence: Evidence) -> list[str]:
    """Accepted jobs that are not there, or will never end."""
    return [job_id for job_id, _ in _i1_final(evidence)]


def finished_twice(evidence: Evidence) -> list[str]:
    return [job_id for job_id, events in evidence.events.items() if len(_finals(events)) > 1]


def _i1_final(evidence: Evidence) -> Found:
    for job_id in evidence.ids:
        document = evidence.documents.get(job_id)
        if document is None:
            yield job_id, "was accepted and is not there"
        elif document["status"] not in FINAL and not evidence.may_be_open:
            yield job_id, f"is still {document['status']}, attempt {document['attempt']}"


def _i2_one_final_event(evidence: Evidence) -> Found:
    for job_id, document in evidence.documents.items():
        finals = _finals(evidence.events.get(job_id, []))
        status = Status(document["status"])
        if len(finals) != (status in FINAL):
            yield job_id, f"is {status} and has {len(finals)} final events"
        elif finals:
            yield from _differences(job_id, document, finals[0])


def _differences(job_id: str, document: dict[str, object], final: Event) -> Found:
    told = (final.data["status"], final.data["attempt"], final.data.get("error"))
    known = (document["status"], document["attempt"], document["error"])
    if told != known:
        yield job_id, f"its final event says {told}, the record {known}"


def _i3_events_give_the_record(evidence: Evidence) -> Found:
    for job_id, fields in evidence.records.items():
        events = evidence.events.get(job_id, [])
        sequences = [event.sequence for event in events]
        if sequences != list(range(1, len(events) + 1)):
            yield job_id, f"the sequence of its events is {sequences}"
            continue
        folded = _fold(events)
        known = (fields["status"], attempt_of(fields), int(fields["sequence"]))
        if folded != known:
            yield job_id, f"its events give {folded}, the record is {known}"
        document = evidence.documents.get(job_id)
        if document and (document["status"], document["attempt"]) != known[:2]:
            yield job_id, f"the API says {document['status']}, the record {fields['status']}"


def _fold(events: list[Event]) -> tuple[str, int, int]:
    status: str | None = None
    for event in events:
        if event.data["old_status"] != status:
            return f"{status}, then a move from {event.data['old_status']}", 0, event.sequence
        status = event.data["status"]
    return str(status), events[-1].data["attempt"] if events else 0, len(events)


def _i4_none_forgotten(evidence: Evidence) -> Found:
    for job_id, fields in evidence.records.items():
        status, held = fields["status"], job_id in evidence.leases
        if status == Status.NEW and not (evidence.queued[job_id] or job_id in evidence.fetched | evidence.scheduled):
            yield job_id, "is New and nobody will run it: it has no message, and no worker has fetched that"
        if status == Status.IN_PROGRESS and not held:
            yield job_id, "is InProgress and has no lease"
        if status in FINAL and (held or job_id in evidence.waiting or job_id in evidence.scheduled):
            yield job_id, f"is {status} and still held, waiting or scheduled"
        listed = [name for name, ids in evidence.by_status.items() if job_id in ids]
        if listed != [status]:
            yield job_id, f"is {status} and in the indexes of {listed}"
    for job_id, messages in evidence.queued.items():
        if messages > 1:
            yield job_id, f"has {messages} messages"


def _i5_no_stale_write(evidence: Evidence) -> Found:
    for job_id, events in evidence.events.items():
        current, ended = 0, False
        for event in events:
            if ended:
                yield job_id, f"{event.name} after its final event"
            if event.data["attempt"] < current:
                yield job_id, f"{event.name} of attempt {event.data['attempt']} while {current} runs"
            current, ended = event.data["attempt"], ended or event.name in FINAL_EVENTS
    for job_id, document in evidence.documents.items():
        by = result_of(document).get("attempt", document["attempt"])
        if by != document["attempt"]:
            yield job_id, f"holds the result of attempt {by}, its attempt is {document['attempt']}"


def _i6_one_key_one_job(evidence: Evidence) -> Found:
    for key, ids in evidence.accepted.items():
        if len(ids) > 1:
            yield ids[1], f"is a second job of {key}, besides {ids[0]}"
    if evidence.keys_were_sent:
        for job_id in evidence.records.keys() - set(evidence.ids):
            yield job_id, "is a job that no answer named"


def _i7_no_5xx(evidence: Evidence) -> Found:
    for status, count in evidence.statuses.items():
        if status.startswith("5") and status != "503":
            yield "", f"{count} answers were {status}"
    if evidence.hasty_503:
        yield "", f"{evidence.hasty_503} answers were 503 without Retry-After"
    for how in evidence.broken:
        yield "", f"a request was not answered: {how}"


def _i10_no_key_for_ever(evidence: Evidence) -> Found:
    open_records = {KEYS.record(job_id) for job_id, f in evidence.records.items() if f["status"] not in FINAL}
    for key in evidence.lasting:
        if key not in open_records and (
            key.startswith(HAVE_TTL) or not any(fnmatch(key, pattern) for pattern in REASONS)
        ):
            yield key.removeprefix(KEYS.record("")), f"{json.dumps(key)} has neither TTL nor reason"


def _finals(events: list[Event]) -> list[Event]:
    return [event for event in events if event.name in FINAL_EVENTS]


INVARIANTS: dict[str, Callable[[Evidence], Found]] = {
    "I1": _i1_final,
    "I2": _i2_one_final_event,
    "I3": _i3_events_give_the_record,
    "I4": _i4_none_forgotten,
    "I5": _i5_no_stale_write,
    "I6": _i6_one_key_one_job,
    "I7": _i7_no_5xx,
    "I10": _i10_no_key_for_ever,
}
