"""GET /jobs/{id} and /result: 202 until final, then 200; ETag and 304; 404."""

import threading
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from support.eventually import eventually
from support.service import Service
from support.timing import assert_takes

NOBODY = "4fb1d1d6-6f0f-4c08-9a4e-3d4f8a1c2b7e"


def held_job(service: Service, file: Path) -> str:
    """The id of one that goes on when there is the file."""
    return str(service.submit("sample.holds", parameters={"file": str(file)}).json()["id"])


def half_done(service: Service, job_id: str) -> dict[str, Any]:
    """Its document when it has reported: it changes no more until it goes on."""
    return eventually(lambda: (j := service.get(f"/jobs/{job_id}").json())["progress"] and j)


def test_a_job_is_polled_from_202_to_200(service: Service, tmp_path: Path) -> None:
    began = time.monotonic()
    job_id = held_job(service, tmp_path / "goes on")
    running = service.get(f"/jobs/{job_id}")
    assert running.status_code == 202
    assert int(running.headers["Retry-After"]) >= 1
    half_done(service, job_id)
    ran = time.monotonic()
    time.sleep(0.1)
    ran = time.monotonic() - ran
    (tmp_path / "goes on").touch()
    ended = eventually(lambda: (a := service.get(f"/jobs/{job_id}")).status_code == 200 and a)
    assert ended.json()["status"] == "Completed"
    assert ran <= ended.json()["duration"] <= time.monotonic() - began


@pytest.mark.parametrize(("params", "headers"), [({"wait": "0.25"}, {}), ({}, {"Prefer": "wait=0.25"})])
def test_a_poll_has_a_wait_of_its_own(service: Service, params: dict[str, str], headers: dict[str, str]) -> None:
    job_id = service.submit(delay=86_400).json()["id"]

    def poll() -> None:
        early = service.get(f"/jobs/{job_id}", params=params, headers=headers)
        assert early.status_code == 202
        assert early.headers.get("Preference-Applied") == ("wait=0.25" if headers else None)

    assert_takes(poll, at_least=0.25, at_most=0.32)
    job_id = service.submit("demo.random_delay", parameters={"seconds": 0.3}).json()["id"]
    assert service.get(f"/jobs/{job_id}?wait=5").status_code == 200


def test_many_may_wait_for_one_job(service: Service) -> None:
    job_id = service.submit("demo.random_delay", parameters={"seconds": 0.5}).json()["id"]
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(Service.get(service, f"/jobs/{job_id}?wait=5").status_code))
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert answers == [200] * 10


def test_the_etag_changes_with_the_job_and_304_answers_who_has_it(service: Service, tmp_path: Path) -> None:
    job_id = held_job(service, tmp_path / "goes on")
    half_done(service, job_id)
    running = service.get(f"/jobs/{job_id}")
    same = service.get(f"/jobs/{job_id}", headers={"If-None-Match": running.headers["ETag"]})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", running.headers["ETag"])
    (tmp_path / "goes on").touch()
    ended = service.get(f"/jobs/{job_id}?wait=5", headers={"If-None-Match": running.headers["ETag"]})
    assert ended.status_code == 200
    assert ended.headers["ETag"] != running.headers["ETag"]
    assert service.get(f"/jobs/{job_id}", headers={"If-None-Match": f'"x", {ended.headers["ETag"]}'}).status_code == 304


def test_an_id_that_is_used_again_has_another_etag(service: Service) -> None:
    job_id = str(uuid4())
    first = service.submit("demo.noop", id=job_id, wait=5)
    assert service.delete(f"/jobs/{job_id}").status_code == 204
    assert service.submit("demo.noop", id=job_id, wait=5, tags={"a": "b"}).status_code == 200
    known = {"If-None-Match": first.headers["ETag"]}
    assert service.get(f"/jobs/{job_id}", headers=known).status_code == 200


def test_the_bare_result_is_served_once_there(service: Service, tmp_path: Path) -> None:
    job_id = held_job(service, tmp_path / "goes on")
    known = service.get(f"/jobs/{job_id}").headers["ETag"]
    early = service.get(f"/jobs/{job_id}/result", headers={"If-None-Match": known})
    assert early.status_code == 202
    assert "Retry-After" in early.headers
    (tmp_path / "goes on").touch()
    assert service.get(f"/jobs/{job_id}/result?wait=5").json() == {"held": True}


def test_the_result_of_a_failed_job_is_a_409_with_its_error(service: Service) -> None:
    job_id = service.submit("demo.fail", wait=5).json()["id"]
    answer = service.get(f"/jobs/{job_id}/result")
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/job-failed"
    assert answer.json()["error"]["type"] == "demo-failure"


def test_the_result_of_a_cancelled_job_is_a_409(service: Service) -> None:
    job_id = service.submit("sample.steps").json()["id"]
    service.post(f"/jobs/{job_id}/cancel")
    answer = service.get(f"/jobs/{job_id}/result")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/job-cancelled")
    assert answer.json()["error"] is None


def test_the_result_of_a_job_cancelled_between_two_attempts_tells_the_last_error(service: Service) -> None:
    job_id = service.submit("sample.unreachable").json()["id"]
    eventually(lambda: service.get(f"/jobs/{job_id}").json()["error"])
    service.post(f"/jobs/{job_id}/cancel")
    answer = service.get(f"/jobs/{job_id}/result")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/job-cancelled")
    assert answer.json()["error"] == service.get(f"/jobs/{job_id}").json()["error"]


def test_what_was_followed_of_prefer_is_told_with_every_answer_of_a_result(service: Service) -> None:
    for job_type, status in (("demo.random_delay", 200), ("demo.fail", 409)):
        parameters = {"seconds": 0.1} if status == 200 else {}
        job_id = service.submit(job_type, parameters=parameters).json()["id"]
        answer = service.get(f"/jobs/{job_id}/result", headers={"Prefer": "wait=5"})
        assert (answer.status_code, answer.headers["Preference-Applied"]) == (status, "wait=5")


@pytest.mark.parametrize("job_id", [NOBODY, "x", "*", "1" * 10_000, "..%2f..%2fjobs", "%00"])
def test_what_is_no_job_is_404(service: Service, job_id: str) -> None:
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/result"):
        answer = service.get(path)
        assert answer.status_code in ({404, 414} if len(job_id) > 8000 else {404})
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_progress_is_told_while_it_runs(service: Service, tmp_path: Path) -> None:
    job_id = held_job(service, tmp_path / "goes on")
    job = half_done(service, job_id)
    assert job["status"] == "InProgress"
    assert job["progress"] == {"percent": 50.0, "current": 1, "total": 2, "message": "step 1"}
    (tmp_path / "goes on").touch()
    assert service.finished(job_id)["progress"] == {"percent": 100.0, "current": 2, "total": 2, "message": "step 2"}
