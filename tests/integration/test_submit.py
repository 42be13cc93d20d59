"""POST /jobs: 200 in time, 202 when not."""

import contextlib
from uuid import uuid4

import pytest
from support.eventually import eventually
from support.service import Service
from support.timing import assert_takes


def test_a_job_that_ends_within_the_wait_is_answered_200(service: Service) -> None:
    answer = service.submit("sample.greet", parameters={"name": "Ada", "times": 2}, owner="me", wait=10)
    job = answer.json()
    assert answer.status_code == 200
    assert job["result"] == {"text": "Hello Ada! Hello Ada!", "day": None, "owner": "me", "attempt": 1}
    assert job["status"] == "Completed"
    assert answer.headers["Content-Location"] == f"{service.url}/jobs/{job['id']}"
    assert "Location" not in answer.headers
    assert "Retry-After" not in answer.headers


def test_a_job_that_takes_longer_is_answered_202_after_exactly_the_wait(service: Service) -> None:
    def submit_and_wait() -> None:
        answer = service.submit("demo.random_delay", parameters={"seconds": 1}, wait=0.25)
        assert answer.status_code == 202
        assert answer.headers["Location"] == f"{service.url}/jobs/{answer.json()['id']}"
        assert int(answer.headers["Retry-After"]) >= 1
        assert "Content-Location" not in answer.headers

    assert_takes(submit_and_wait, at_least=0.25, at_most=0.30)


def test_a_job_is_answered_when_it_ends_and_not_at_the_next_tick(service: Service) -> None:
    def submit_and_wait() -> None:
        answer = service.submit("demo.random_delay", parameters={"seconds": 0.2}, wait=5)
        assert answer.status_code == 200

    assert_takes(submit_and_wait, at_least=0.2, at_most=0.29)


def test_without_a_wait_the_answer_is_at_once(service: Service) -> None:
    answer = service.submit("demo.random_delay", parameters={"seconds": 0.1})
    assert answer.status_code == 202
    job = answer.json()
    assert job["status"] == "New"
    assert job["attempt"] == 0
    assert service.finished(job["id"])["status"] == "Completed"


def test_the_document_has_just_the_members_of_the_contract(service: Service) -> None:
    job = service.submit(parameters={"a": [1, None]}, wait=5, tags={"team": "a b"}, priority=7).json()
    assert list(job) == [
        *("id", "type", "owner", "status", "parameters", "result", "error", "progress", "attempt", "max_attempts"),
        *("queue", "priority", "tags", "created_at", "run_at", "started_at", "finished_at", "expires_at"),
        *("duration", "links"),
    ]
    assert job["parameters"] == job["result"] == {"a": [1, None]}
    assert job["owner"] == "anonymous"
    assert job["queue"] == "default"
    assert job["priority"] == 7
    assert job["tags"] == {"team": "a b"}
    own = f"{service.url}/jobs/{job['id']}"
    assert job["links"] == {"self": own, "result": f"{own}/result", "events": f"{own}/events"}
    assert job["created_at"] <= job["started_at"] <= job["finished_at"] < job["expires_at"]


def test_numbers_come_back_as_they_were_sent(service: Service) -> None:
    sent = (
        b'{"type":"demo.noop","wait":5,"parameters":{"big":123456789012345678901234567890,"job":1,"self":2,"x":1.10}}'
    )
    result = service.post("/jobs", sent).json()["result"]
    assert result == {"big": 123456789012345678901234567890, "job": 1, "self": 2, "x": 1.1}


def test_a_failed_job_is_a_state_and_not_an_http_error(service: Service) -> None:
    answer = service.submit("demo.fail", parameters={"message": "out of paper"}, wait=5)
    assert answer.status_code == 200
    assert answer.json()["status"] == "Failed"
    assert answer.json()["error"] == {"type": "demo-failure", "message": "out of paper", "retryable": False}


@pytest.mark.parametrize(
    ("prefer", "status", "applied"),
    [
        ("wait=5", 200, "wait=5"),
        ("respond-async, wait=5", 200, "respond-async, wait=5"),
        ("respond-async", 202, "respond-async"),
        ("RESPOND-ASYNC;x=1, Wait=5", 200, "respond-async, wait=5"),
        ("wait=0.25", 202, "wait=0.25"),
        ("wait=100000", 200, "wait=60"),
        ("return=minimal, wait=5", 204, "wait=5, return=minimal"),
        ("handling=lenient", 202, None),
        (";;==,,", 202, None),
    ],
)
def test_prefer_in_all_its_forms(service: Service, prefer: str, status: int, applied: str | None) -> None:
    delay = 86_400 if status == 202 else 0
    answer = service.submit("demo.random_delay", parameters={"seconds": 0.05}, delay=delay, headers={"Prefer": prefer})
    assert answer.status_code == status
    assert answer.headers.get("Preference-Applied") == applied
    if status == 204:
        assert answer.content == b""
        assert "/jobs/" in answer.headers["Content-Location"]


def test_the_wait_of_the_body_comes_before_prefer(service: Service) -> None:
    answer = service.submit(wait=5, headers={"Prefer": "respond-async"})
    assert answer.status_code == 200
    assert "Preference-Applied" not in answer.headers


def test_minimal_is_for_completed_jobs_only(service: Service) -> None:
    answer = service.submit("demo.fail", wait=5, headers={"Prefer": "return=minimal"})
    assert answer.status_code == 200
    assert answer.json()["error"]["type"] == "demo-failure"


def test_a_chosen_id_makes_the_submit_repeatable(service: Service) -> None:
    job_id = str(uuid4())
    first = service.submit(id=job_id.upper(), parameters={"n": 1}, wait=5)
    again = service.submit(id=job_id, parameters={"n": 1}, wait=0)
    other = service.submit(id=job_id, parameters={"n": 2})
    assert first.json()["id"] == job_id
    assert (again.status_code, again.json()) == (200, first.json())
    assert other.status_code == 409


def test_the_same_idempotency_key_gives_the_same_job(service: Service) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first = service.submit(parameters={"n": 1}, wait=5, headers=key)
    again = service.submit(parameters={"n": 1}, wait=5, headers=key)
    other_owner = service.submit(parameters={"n": 1}, wait=5, owner="somebody", headers=key)
    other_body = service.submit(parameters={"n": 2}, wait=5, headers=key)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert other_owner.json()["id"] != first.json()["id"]
    assert other_body.status_code == 422


def test_an_id_is_known_with_a_key_or_without_and_a_key_knows_its_id(service: Service) -> None:
    for keys in (({"Idempotency-Key": str(uuid4())}, {}), ({}, {"Idempotency-Key": str(uuid4())})):
        job_id = str(uuid4())
        first, again, third = (service.submit(id=job_id, wait=5, headers=headers) for headers in (*keys, keys[0]))
        assert [answer.json()["id"] for answer in (first, again, third)] == [job_id] * 3
        assert [answer.status_code for answer in (first, again, third)] == [200] * 3
        key = keys[0] or keys[1]
        assert service.submit(wait=5, headers=key).status_code == 422, "the key came with an id"
        assert service.submit(id=job_id, parameters={"n": 2}, headers=key).status_code == 422
        assert service.submit(id=job_id, parameters={"n": 2}).status_code == 409


def test_the_key_of_a_job_that_was_deleted_is_free_again(service: Service) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first = service.submit(wait=5, headers=key).json()["id"]
    service.delete(f"/jobs/{first}")
    second = service.submit(wait=5, headers=key)
    assert second.status_code == 200
    assert second.json()["id"] != first
    assert service.submit(wait=5, headers=key).json()["id"] == second.json()["id"]


def test_a_client_that_goes_away_leaves_the_job_running(service: Service) -> None:
    job_id = str(uuid4())
    with contextlib.suppress(OSError):
        service.session.post(
            f"{service.url}/jobs",
            json={"type": "demo.random_delay", "id": job_id, "parameters": {"seconds": 0.8}, "wait": 5},
            timeout=0.3,
        )
    eventually(lambda: service.get(f"/jobs/{job_id}").status_code != 404)  # it may not have been looked at yet
    assert service.finished(job_id)["status"] == "Completed"


def test_forwarded_headers_of_a_stranger_do_not_count(service: Service) -> None:
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.example"}
    answer = service.submit(wait=5, headers=forged)
    assert "evil" not in answer.text
    assert answer.headers["Content-Location"].startswith(f"{service.url}/jobs/")
