"""Redis over TLS: its certificate is checked by every process, and the URL alone says how."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flower.utils.broker import Broker
from redis import Redis
from redis.exceptions import ConnectionError
from support.eventually import eventually
from support.processes import Process
from support.service import Service

from jobs.celery_app import JobsCelery, create_celery
from jobs.connections.client import connect
from jobs.settings import Settings
from launch.redis_server import RedisServer, free_port

pytestmark = pytest.mark.skipif(
    not (shutil.which("redis-server") and shutil.which("openssl")), reason="the embedded server speaks no TLS"
)
UNKNOWN = "certificate verify failed"


class TlsServer(RedisServer):
    """Redis with a certificate for the name ``localhost`` that it has signed itself."""

    def __init__(self, directory: Path) -> None:
        self.certificate, key = directory / "cert.pem", directory / "key.pem"
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", self.certificate]
        name = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        subprocess.run([*make, *name], check=True, capture_output=True)
        self.tls_port = free_port()
        super().__init__(
            directory / "data",
            binary=shutil.which("redis-server"),
            options={
                "tls-port": str(self.tls_port),
                "tls-cert-file": str(self.certificate),
                "tls-key-file": str(key),
                "tls-auth-clients": "no",
            },
        )

    def over_tls(self, *, host: str = "localhost", **parameters: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"rediss://{host}:{self.tls_port}/0{'?' if query else ''}{query}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    with TlsServer(tmp_path_factory.mktemp("tls")) as server:
        yield server


@pytest.mark.parametrize("pool", [(), ("-P", "gevent")], ids=["prefork", "gevent"])
def test_a_job_goes_its_way_and_nothing_of_it_in_the_clear(
    server: TlsServer, tmp_path: Path, pool: tuple[str, ...]
) -> None:
    url = server.over_tls(ssl_ca_certs=str(server.certificate))
    service = Service(tmp_path, server, JOBS_REDIS_URL=url)
    with service.without_workers():
        service.start_ready_worker(*pool)
        hears = Process(tmp_path / "hears.log", "subscribers.microservice_x", **service.environ)

        def submit() -> Any:
            answer = service.submit("demo.noop", owner="microservice-x", parameters={"a": 1}, wait=10)
            assert (answer.status_code, answer.json()["result"]) == (200, {"a": 1})
            return answer

        try:
            eventually(lambda: submit() and "received completed" in hears.text, within=20)
            with Redis.from_url(server.url, decode_responses=True) as redis:
                others = [each for each in redis.client_list() if each["id"] != str(redis.client_id())]
            assert others
            assert {each["laddr"].rpartition(":")[2] for each in others} == {str(server.tls_port)}
        finally:
            hears.kill()


def test_a_certificate_that_nobody_vouches_for_is_refused_by_all(server: TlsServer, tmp_path: Path) -> None:
    with Service(tmp_path, server, JOBS_REDIS_URL=server.over_tls()).without_workers() as service:
        worker = service.start_worker()
        hears = Process(tmp_path / "hears.log", "subscribers.microservice_x", **service.environ)
        try:
            for path in ("/health/ready", "/jobs"):
                assert service.get(path).status_code == 503
            eventually(lambda: UNKNOWN in worker.text, within=20)
            assert " ready." not in worker.text
            eventually(lambda: UNKNOWN in hears.text, within=20)
        finally:
            hears.kill()


async def lengths_as_flower_asks(celery: JobsCelery) -> list[object]:
    url = celery.connection().as_uri(include_password=True)
    found: list[object] = await Broker(url, broker_use_ssl=celery.conf.broker_use_ssl).queues(["default"])
    return found


@pytest.mark.parametrize(
    ("host", "parameters", "error"),
    [
        ("localhost", {}, UNKNOWN),
        ("localhost", {"ssl_ca_certs": "its own"}, None),
        ("127.0.0.1", {"ssl_ca_certs": "its own"}, UNKNOWN),
        ("127.0.0.1", {"ssl_ca_certs": "its own", "ssl_check_hostname": "false"}, None),
        ("127.0.0.1", {"ssl_cert_reqs": "none"}, None),
    ],
)
@pytest.mark.parametrize("who", ["ours", "the broker's", "the backend's", "Flower's"])
def test_who_is_trusted_is_the_same_for_each_kind_of_connection(
    server: TlsServer, who: str, host: str, parameters: dict[str, str], error: str | None
) -> None:
    if "ssl_ca_certs" in parameters:
        parameters = {**parameters, "ssl_ca_certs": str(server.certificate)}
    settings = Settings.from_environ({"JOBS_REDIS_URL": server.over_tls(host=host, **parameters)})
    celery = create_celery(settings)
    with celery.connection_for_write() as broker, connect(settings.redis_url) as client:
        ping = {
            "ours": client.ping,
            "the broker's": lambda: broker.channel().client.ping(),
            "the backend's": lambda: celery.backend.client.ping(),
            "Flower's": lambda: asyncio.run(lengths_as_flower_asks(celery)),
        }[who]
        if error is None:
            assert ping()
        else:
            with pytest.raises(ConnectionError, match=error):
                ping()
