"""/health: alive, and ready to accept what will not be lost."""

from pathlib import Path

import pytest
from support.eventually import eventually
from support.service import Service
from support.timing import assert_takes

from launch.redis_server import RedisServer


def test_a_healthy_service_is_ready(service: Service) -> None:
    assert service.get("/health/live").json() == {"status": "live"}
    assert service.get("/health/ready").json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"appendonly": "no"}, "append-only file"),
        ({"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}, "evicts"),
        ({"maxmemory-policy": "volatile-ttl"}, "evicts"),
    ],
)
def test_a_server_that_would_lose_jobs_is_not_ready(tmp_path: Path, options: dict[str, str], reason: str) -> None:
    with (
        RedisServer(tmp_path / "redis", options=options) as server,
        Service(tmp_path, server).without_workers() as door,
    ):
        answer = door.get("/health/ready")
        assert answer.status_code == 503
        assert reason in answer.json()["detail"]
        assert answer.headers["Retry-After"]


def test_while_redis_is_away_submits_are_503_and_afterwards_all_is_well(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server, Service(tmp_path, server) as service:
        end = tmp_path / "end"
        kept = service.submit("sample.holds", parameters={"file": str(end)}).json()["id"]
        eventually(lambda: service.get(f"/jobs/{kept}").json()["status"] == "InProgress")
        server.kill()

        def is_refused() -> None:
            answer = service.submit()
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.headers["Content-Type"] == "application/problem+json"

        assert_takes(is_refused, at_least=0, at_most=2)
        assert service.get("/health/live").status_code == 200
        assert service.get("/health/ready").status_code == 503
        server.start()
        eventually(lambda: service.get("/health/ready").status_code == 200, within=15)
        assert service.submit(wait=20).json()["status"] == "Completed"
        end.touch()
        assert service.finished(kept, within=20)["status"] == "Completed"
