"""The audit: every event exactly once in its file, whatever is killed."""

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.events import Producer, Told, check_order, pending
from support.eventually import eventually
from support.processes import Process

from jobs.connections.client import connect
from jobs.events.group import Group
from jobs.model.keys import KEYS
from launch.redis_server import RedisServer

LEASE = "0.5"
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """One with nobody else's events."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


class Audit:
    def __init__(self, server: RedisServer, directory: Path) -> None:
        self.file, self._log = directory / "audit.jsonl", directory / "audit.log"
        self.environ = {"JOBS_REDIS_URL": server.url, "JOBS_LEASE": LEASE, "JOBS_AUDIT_FILE": str(self.file)}
        self.process: Process | None = None

    def start(self) -> Process:
        self.process = Process(self._log, "subscribers.audit", **self.environ)
        return self.process

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    @property
    def lines(self) -> list[tuple[str, Told]]:
        """The entry and the event of each whole line."""
        if not self.file.exists():
            return []
        whole, _, _ = self.file.read_bytes().rpartition(b"\n")
        found = [json.loads(line) for line in whole.splitlines()]
        return [(line["entry"], (line["event"]["subject"], line["event"]["sequence"])) for line in found]


@pytest.fixture
def audit(server: RedisServer, tmp_path: Path) -> Iterator[Audit]:
    audit = Audit(server, tmp_path)
    yield audit
    audit.kill()


def test_every_event_is_once_in_the_file_though_the_process_is_killed_again_and_again(
    server: RedisServer, audit: Audit
) -> None:
    producer = Producer(server.url)
    chance = random.Random(1)
    for _ in range(6):
        audit.start()
        lines = len(audit.lines)
        producer.jobs(30, events=6)
        eventually(lambda lines=lines: len(audit.lines) > lines, within=20)
        time.sleep(chance.uniform(0, 0.1))
        audit.kill()
    process = audit.start()
    producer.jobs(5)
    eventually(lambda: len(audit.lines) >= len(producer.told), within=20)
    eventually(lambda: pending(producer.store.client, KEYS.stream, "audit") == 0)
    entries, told = zip(*audit.lines, strict=True)
    assert sorted(told) == sorted(producer.told)
    assert len(set(entries)) == len(entries)
    check_order(list(told))
    assert process.stop() == 0


def test_what_was_written_and_not_acknowledged_is_not_written_again(server: RedisServer, audit: Audit) -> None:
    producer = Producer(server.url, JOBS_LEASE=LEASE)
    producer.jobs(4)
    group = Group(connect(server.url, as_text=False), producer.settings, "audit", None)
    group.join("dead", "0")
    taken = group.next("dead", [], 8, 0).entries
    with audit.file.open("wb") as file:
        for entry in taken[:5]:
            file.write(b'{"entry":"%s","event":%s}\n' % (entry.id.encode(), entry.text or b""))
        file.write(b'{"entry":"%s","ev' % taken[5].id.encode())
    process = audit.start()
    eventually(lambda: len(audit.lines) == 12, within=20)
    eventually(lambda: pending(producer.store.client, KEYS.stream, "audit") == 0)
    assert sorted(told for _, told in audit.lines) == sorted(producer.told)
    assert "5 events were written before" in process.text
    assert "its last line was torn" in process.text


def test_a_second_audit_of_one_file_is_refused(server: RedisServer, audit: Audit, tmp_path: Path) -> None:
    audit.start()
    with connect(server.url) as redis:
        eventually(lambda: redis.exists(KEYS.subscriptions), within=20)  # it has the file, and reads
    second = Process(tmp_path / "second.log", "subscribers.audit", **audit.environ)
    assert second.popen.wait(20) == 2
    assert "is written by another process" in second.text


def test_it_writes_into_the_data_directory_unless_it_is_told_otherwise(server: RedisServer, tmp_path: Path) -> None:
    environ = {"JOBS_REDIS_URL": server.url, "JOBS_DATA_DIR": str(tmp_path / "data")}
    process = Process(tmp_path / "log", "subscribers.audit", **environ)
    try:
        eventually(lambda: (tmp_path / "data" / "audit.jsonl").exists(), within=20)
        assert process.stop() == 0
    finally:
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_redis_is_away_it_can_be_stopped_in_order(tmp_path: Path, number: int) -> None:
    process = Process(tmp_path / "log", "subscribers.audit", JOBS_REDIS_URL=NOWHERE, JOBS_DATA_DIR=str(tmp_path))
    try:
        eventually(lambda: "no connection to Redis; trying again" in process.text, within=20)
        process.popen.send_signal(number)
        assert process.popen.wait(10) == 0
        assert "Traceback" not in process.text
    finally:
        process.kill()
