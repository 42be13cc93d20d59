"""``sys.exit()`` in a job function ends the job, and in no pool the process or its place."""

from collections.abc import Iterator

import pytest
from support.servers import WITH_ONE_SERVER
from support.service import Service

from launch.redis_server import RedisServer

pytestmark = WITH_ONE_SERVER

POOLS = {"prefork": ("-c", "1"), **{name: ("-P", name, "-c", "1") for name in ("threads", "gevent", "solo")}}


@pytest.fixture(scope="module")
def front_door(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without a worker, on a database of its own."""
    url = redis_server.url.removesuffix("/0") + "/8"
    directory = tmp_path_factory.mktemp("exits")
    with Service(directory, redis_server, JOBS_REDIS_URL=url).without_workers() as service:
        yield service


@pytest.fixture(scope="module", params=POOLS)
def site(front_door: Service, request: pytest.FixtureRequest) -> Iterator[Service]:
    """With one worker, which can run one job at a time."""
    front_door.start_ready_worker(*POOLS[request.param])
    yield front_door
    front_door.stop_workers()


@pytest.mark.parametrize(
    ("what", "error_type", "message"),
    [
        ("sys.exit()", "SystemExit", "The job function called sys.exit()."),
        ("sys.exit(3)", "SystemExit", "The job function called sys.exit(3)."),
        ("KeyboardInterrupt", "KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_the_job_is_failed_at_once_and_the_next_one_runs(
    site: Service, what: str, error_type: str, message: str
) -> None:
    job = site.submit("sample.raises_any", parameters={"what": what}, wait=5).json()
    assert job["error"] == {"type": error_type, "message": message, "retryable": False}
    assert job["attempt"] == 1
    assert site.submit(wait=5).json()["status"] == "Completed"
