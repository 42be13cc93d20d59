"""Fixtures: a server of the tests' own, and the service on it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from support.rabbitmq import SERVER, RabbitMQ
from support.service import Service
from support.streams import Streams
from xdist.scheduler import LoadScopeScheduling

from jobs.celery_app import JobsCelery, create_celery
from launch.redis_server import RedisServer

SERVERS = ["embedded", *(["debian"] if shutil.which("redis-server") else [])]


WITH_DEBIAN = "[debian"
"""In the name of a test that has Debian's server."""
LONGEST = (
    *("test_recovery.py", "test_fetch_ahead.py", "test_dead_letters.py", "test_webhooks.py", "test_subscriptions.py"),
    *("test_make_run.py", "test_prefork.py", "test_durable_subscribers.py", "test_back_pressure.py"),
    *("test_parked_requests.py", "test_browser_events.py", "test_gevent_pool.py", "test_silence.py"),
    *("test_many_streams.py", "test_rabbitmq.py", "test_server.py", "test_stopping.py"),
)
"""Files that take longest, which begin first: else one process is still at one of them when all others are done."""
AT_THE_USUAL_PORT = "test_make_run.py", "test_supervisor.py"
"""Files that start `make run`, whose server takes Redis's port where that is free: one at a time."""


class _ByFileAndServer(LoadScopeScheduling):  # type: ignore[misc]
    """Each process of xdist is given the tests of one file with one server."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        file = "make run" if path.endswith(AT_THE_USUAL_PORT) else path
        return f"{file} {WITH_DEBIAN in test}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFileAndServer(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; of these and of the others, one server after the other."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (item.path.name not in place, WITH_DEBIAN in item.nodeid, place.get(item.path.name, 0)))


@pytest.fixture(scope="session", params=SERVERS)
def redis_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server with nothing in it: the embedded one, and Debian's too where that is installed."""
    binary = shutil.which("redis-server") if request.param == "debian" else None
    with RedisServer(tmp_path_factory.mktemp(f"redis-{request.param}"), binary=binary) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """The embedded one, for a single test: it may be killed, hang, or be counted on."""
    with RedisServer(tmp_path / "redis") as running:
        yield running


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """One for the tests of a module, where Debian's rabbitmq-server is installed."""
    if not SERVER.exists():
        pytest.skip("Debian's rabbitmq-server is not installed")
    server = RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def service(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, shared by the tests of a session: every test uses jobs of its own."""
    running = Service(tmp_path_factory.mktemp("service"), redis_server)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def celery(service: Service) -> Iterator[JobsCelery]:
    """A Celery app in this process, as a script of anybody's would make one."""
    with create_celery(service.settings) as app:
        yield app


@pytest.fixture
def streams(service: Service) -> Iterator[Streams]:
    """Streams of events, closed at the end."""
    opened = Streams(service.port)
    yield opened
    opened.close()


@pytest.fixture
def data() -> Path:
    """The real input."""
    return Path(__file__).parent / "data"
