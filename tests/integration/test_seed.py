"""The seed's own endpoints."""

from uuid import uuid4

from support.service import Service


def test_a_job_that_ends_in_time_is_answered_200_in_the_seeds_words(service: Service) -> None:
    body = {"owner": "me", "initialTimeout": 5000, "parameters": {"seconds": 0.2}}
    answer = service.post("/Jobs/StartJobWithTimeout", body)
    assert answer.status_code == 200
    job = answer.json()
    assert job == {"jobId": job["jobId"], "owner": "me", "status": "Completed", "parameters": {"seconds": 0.2}}


def test_a_job_that_takes_longer_is_answered_202_with_its_id(service: Service) -> None:
    answer = service.post("/Jobs/StartJobWithTimeout", {"initialTimeout": 100, "parameters": {"seconds": 2}})
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{service.url}/Jobs/get?jobId={answer.json()}"
    looked = service.session.get(answer.headers["Location"], timeout=5)
    assert looked.status_code == 200
    assert looked.json()["jobId"] == answer.json()
    assert looked.json()["status"] in {"New", "InProgress"}
    assert service.finished(answer.json())["status"] == "Completed"


def test_a_job_is_started_without_waiting(service: Service) -> None:
    answer = service.post("/Jobs/StartJob", {"owner": "me", "parameters": {"seconds": 0.1}})
    assert answer.status_code == 202
    assert service.finished(answer.json())["owner"] == "me"


def test_an_unknown_job_is_404(service: Service) -> None:
    assert service.get(f"/Jobs/get?jobId={uuid4()}").status_code == 404
    assert service.get("/Jobs/get?jobId=x").status_code == 404
    assert service.get("/Jobs/get").status_code == 422


def test_a_timeout_that_is_none_is_told_in_its_own_unit(service: Service) -> None:
    answer = service.post("/Jobs/StartJobWithTimeout", {"initialTimeout": "soon"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "/initialTimeout", "detail": "Not a number of milliseconds."}]


def test_a_submit_under_a_known_key_is_told_to_be_one(service: Service) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {"initialTimeout": 5000, "parameters": {"seconds": 0.1}}
    first, again = (service.post("/Jobs/StartJobWithTimeout", body, headers=key) for _ in range(2))
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
