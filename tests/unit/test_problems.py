"""Problem documents."""

import json

from app.problems import CONTENT_TYPE, problem, problem_bytes


def test_members_stand_in_the_order_people_read_them() -> None:
    document = problem(404, "not-found", "Not found", "There is no job.", instance="/jobs/1")
    assert list(document) == ["type", "title", "status", "detail", "instance"]
    assert document["type"] == "/problems/not-found"


def test_the_bytes_are_the_document_as_utf_8() -> None:
    body = problem_bytes(422, "invalid-request", "Invalid request", "Grüße passen nicht.", errors=[])
    assert json.loads(body) == problem(422, "invalid-request", "Invalid request", "Grüße passen nicht.", errors=[])
    assert "Grüße".encode() in body


def test_the_content_type_is_that_of_rfc_9457() -> None:
    assert CONTENT_TYPE == "application/problem+json"
