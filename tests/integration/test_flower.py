"""The real Flower beside the real service: every job under the id of our API."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.eventually import eventually
from support.processes import Process
from support.service import Service

from launch.redis_server import free_port


@pytest.fixture(scope="module")
def flower(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = Path(tmp_path_factory.mktemp("flower")) / "flower.log"
    options = ("-A", "workers.main", "flower", "--address=127.0.0.1", f"--port={port}")
    process = Process(log, "celery", *options, **service.environ, FLOWER_UNAUTHENTICATED_API="1")
    try:
        eventually(lambda: _answers(f"{url}/healthcheck"), within=20)
        eventually(lambda: requests.get(f"{url}/api/workers?refresh=1", timeout=10).json(), within=20)
        yield url
    finally:
        process.kill()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


def test_every_job_is_there_under_its_id(service: Service, flower: str) -> None:
    began = time.monotonic()
    job_id = service.submit("demo.random_delay", parameters={"seconds": 0.2}, owner="me", wait=5).json()["id"]
    task = eventually(lambda: (t := _task(flower, job_id)) and t["state"] == "SUCCESS" and t)
    assert task["uuid"] == job_id
    assert task["name"] == "demo.random_delay"
    assert task["kwargs"] == '{"seconds":0.2}'
    assert 0.2 <= task["runtime"] <= time.monotonic() - began
    assert task["result"] == "{'seconds': 0.2}"


def test_a_failed_job_is_a_failure_there(service: Service, flower: str) -> None:
    job_id = service.submit("demo.fail", parameters={"message": "no paper"}, wait=5).json()["id"]
    task = eventually(lambda: (t := _task(flower, job_id)) and t["state"] == "FAILURE" and t)
    assert "no paper" in task["exception"]


def test_its_pages_show_workers_and_jobs(service: Service, flower: str) -> None:
    job_id = service.submit("demo.noop", wait=5).json()["id"]
    eventually(lambda: _task(flower, job_id))
    workers = requests.get(f"{flower}/workers", timeout=5).text
    assert f"w0@{service.port}" in workers
    page = requests.get(f"{flower}/task/{job_id}", timeout=5).text
    assert "demo.noop" in page
    assert job_id in page


def test_its_page_of_the_broker_shows_how_many_wait(service: Service, flower: str) -> None:
    page = requests.get(f"{flower}/broker", timeout=5)
    assert (page.status_code, "default" in page.text) == (200, True)

    def queues() -> list[dict[str, object]]:
        found: list[dict[str, object]] = requests.get(f"{flower}/api/queues/length", timeout=10).json()["active_queues"]
        return found

    eventually(lambda: {"name": "default", "messages": 0} in queues())  # jobs of other tests may still wait


def _task(flower: str, job_id: str) -> dict[str, object] | None:
    answer = requests.get(f"{flower}/api/task/info/{job_id}", timeout=5)
    return answer.json() if answer.status_code == 200 else None
