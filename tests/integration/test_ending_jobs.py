"""POST /jobs/{id}/cancel and DELETE /jobs/{id}."""

from pathlib import Path
from uuid import uuid4

from redis import Redis
from support.eventually import eventually
from support.service import Service


def test_a_running_job_is_told_at_its_next_progress(service: Service) -> None:
    job_id = service.submit("sample.steps", parameters={"steps": 200}).json()["id"]
    eventually(lambda: service.get(f"/jobs/{job_id}").json()["status"] == "InProgress")
    cancelled = service.post(f"/jobs/{job_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "Cancelled")
    assert service.post(f"/jobs/{job_id}/cancel").json() == cancelled.json()
    log = service.workers[0]
    eventually(lambda: f"job {job_id}: Job {job_id} was cancelled." in log.text)
    assert service.get(f"/jobs/{job_id}").json() == cancelled.json()


def test_a_waiting_request_hears_of_the_cancel(service: Service) -> None:
    job_id = str(uuid4())
    service.submit("sample.steps", id=job_id, parameters={"steps": 200})
    service.post(f"/jobs/{job_id}/cancel")
    answer = service.submit("sample.steps", id=job_id, parameters={"steps": 200}, wait=5)
    assert (answer.status_code, answer.json()["status"]) == (200, "Cancelled")


def test_a_completed_job_cannot_be_cancelled(service: Service) -> None:
    job_id = service.submit(wait=5).json()["id"]
    answer = service.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")


def test_a_final_job_is_deleted_from_everywhere(service: Service, redis: Redis) -> None:
    owner = f"deleter-{uuid4().hex[:8]}"
    job_id = service.submit(owner=owner, tags={"a": "b"}, wait=5).json()["id"]
    answer = service.delete(f"/jobs/{job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Type" not in answer.headers
    assert service.get(f"/jobs/{job_id}").status_code == 404
    assert service.delete(f"/jobs/{job_id}").status_code == 404
    assert service.get("/jobs", params={"owner": owner}).json() == []
    indexes = list(redis.scan_iter("jobs:index*"))
    assert indexes
    assert not any(redis.zscore(index, job_id) is not None for index in indexes)


def test_a_job_that_goes_on_is_not_deleted(service: Service, tmp_path: Path) -> None:
    end = tmp_path / "end"
    job_id = service.submit("sample.holds", parameters={"file": str(end)}).json()["id"]
    assert service.delete(f"/jobs/{job_id}").status_code == 409
    end.touch()
    assert service.finished(job_id)["status"] == "Completed"


def test_methods_that_are_not_there_name_those_that_are(service: Service) -> None:
    answer = service.session.put(f"{service.url}/jobs/{uuid4()}", timeout=5)
    assert answer.status_code == 405
    assert {"GET", "DELETE"} <= set(answer.headers["Allow"].split(", "))
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_cancel_is_answered_with_the_job_whatever_of_it_is_known(service: Service) -> None:
    job_id = service.submit("demo.noop", delay=60).json()["id"]
    answer = service.post(f"/jobs/{job_id}/cancel", headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.json()["status"]) == (200, "Cancelled")
