"""Problem documents."""

import json

import pytest

from app.problems import CONTENT_TYPE, problem, problem_bytes, reference


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


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/jobs/1", "/jobs/1"),
        ("/jobs/a b", "/jobs/a%20b"),
        ("/jobs/a?b#c%\n", "/jobs/a%3Fb%23c%25%0A"),
        ("/ü", "/%C3%BC"),
    ],
)
def test_a_path_becomes_a_uri_reference(path: str, instance: str) -> None:
    assert reference(path) == instance
