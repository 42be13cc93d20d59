"""The job document, the cursor, the event line: pure translations."""

import json

import pytest

from app.cursor import from_cursor, next_link, to_cursor
from app.documents import etag, job_document
from app.schemas import JobSchema
from jobs.model.event import Event
from jobs.model.record import Record, rfc3339
from jobs.model.status import Status
from jobs.store.listing import Position
from subscribers.lines import line

RECORD = Record(
    id="6f1c0a2b-0000-4000-8000-000000000000",
    type="t",
    owner="me",
    status=Status.FAILED,
    parameters_json='{"n":123456789012345678901234567890}',
    attempt=1,
    max_attempts=3,
    queue="default",
    priority=5,
    created_at=1_795_509_860_123_456,
    sequence=4,
    error_json='{"type":"x","message":"y","retryable":false}',
    started_at=1_795_509_861_000_000,
    finished_at=1_795_509_863_500_000,
    expires_at=1_796_114_663_500_000,
)


def test_the_document_fits_its_own_schema() -> None:
    document = json.loads(job_document(RECORD, "http://jobs.example"))
    assert JobSchema().validate(document) == {}
    assert document["parameters"] == {"n": 123456789012345678901234567890}
    assert document["duration"] == 2.5
    assert document["created_at"] == "2026-11-24T08:44:20.123Z"
    assert document["error"]["type"] == "x"
    assert etag(RECORD) == f"6f1c0a2b-{RECORD.created_at:x}-4"


def test_no_time_is_null() -> None:
    assert rfc3339(None) is None


def test_a_cursor_comes_back_as_the_position() -> None:
    position = Position(1_795_509_860_123_456, RECORD.id)
    assert from_cursor(to_cursor(position)) == position
    assert next_link("http://x/jobs", [("owner", "a b"), ("cursor", "old")], position) == (
        f'<http://x/jobs?owner=a+b&cursor={to_cursor(position)}>; rel="next"'
    )


@pytest.mark.parametrize("cursor", ["", "x", "W10", "bnVsbA", "WzEsMl0", "é", "A" * 300, "W3RydWUsImEiXQ"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match=r"^Not a cursor"):
        from_cursor(cursor)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"type":1}', '{"type":"job.eaten","specversion":"1.0"}', "\x00"]
)
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  json's own error is one
        Event.from_json(text)


def test_an_event_is_one_readable_line() -> None:
    data = {
        "job_id": "i",
        "job_type": "t",
        "owner": "me",
        "status": "InProgress",
        "old_status": "InProgress",
        "attempt": 1,
    }
    progress = {"percent": None, "current": 3, "total": None, "message": "rows"}
    event = Event("i:3", "progress", "2026-11-24T08:44:20.123Z", "me", 3, {**data, "progress": progress})
    assert line(event) == "08:44:20.123 t i InProgress 3 rows  (owner me)"
