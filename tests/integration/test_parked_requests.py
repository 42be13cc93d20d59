"""A request that waits longer than a moment gives its greenlet up; its connection must not show it."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from redis import Redis
from support.eventually import eventually
from support.raw_http import Answer, read_answer
from support.servers import WITH_ONE_SERVER
from support.service import Service
from support.timing import assert_takes

from app.parking import ANSWERS_IN_A_ROW
from app.waiting import A_MOMENT
from jobs.model.keys import KEYS
from jobs.results.waiting_backend import LOOK_WITHIN
from launch.redis_server import RedisServer

pytestmark = WITH_ONE_SERVER

LONG = A_MOMENT * 5
OF_ANOTHER_DAY = '{"type": "demo.noop", "delay": 86400, "wait": 4}'


@pytest.fixture(scope="module")
def service(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Of this file's own: its jobs outlast its tests, and other files count events."""
    url = redis_server.url.removesuffix("/0") + "/11"
    with Service(tmp_path_factory.mktemp("parked"), redis_server, JOBS_REDIS_URL=url) as running:
        yield running


@contextmanager
def of_its_own(directory: Path, service: Service, **settings: str) -> Iterator[Service]:
    """A web process for one test that ends it or hangs its server. The worker is the one of ``service``."""
    with Service(directory, service.redis, **{**service.environ, **settings}).without_workers() as own:
        yield own


@contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        yield connection


def get(path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/{version}", "Host: a", *lines, "")).encode()


def post(body: str, *lines: str) -> bytes:
    return get("/jobs", "Content-Type: application/json", *lines, method="POST") + body.encode()


def slow_job(service: Service, seconds: float = LONG) -> str:
    return str(service.submit("demo.random_delay", parameters={"seconds": seconds}).json()["id"])


def job_of_another_day(service: Service) -> str:
    """One that waits, and keeps no worker busy."""
    return str(service.submit(delay=86_400).json()["id"])


def submit_slow_job() -> str:
    return json.dumps({"type": "demo.random_delay", "parameters": {"seconds": LONG}, "wait": 10})


def ask(connection: socket.socket, request: bytes) -> Answer:
    connection.sendall(request)
    return read_answer(connection)


def test_its_connection_goes_on_with_the_next_requests(service: Service) -> None:
    with connected(service) as connection:
        for _ in range(3):
            first = ask(connection, get(f"/jobs/{slow_job(service)}?wait=10"))
            second = ask(connection, get("/health/live"))
            assert (first.status, first.json()["status"], second.status) == (200, "Completed", 200)
            assert first.headers["Connection"] == "keep-alive"


def test_the_next_request_may_come_before_its_answer(service: Service) -> None:
    with connected(service) as connection:
        connection.sendall(get(f"/jobs/{slow_job(service)}?wait=10"))
        time.sleep(A_MOMENT * 2)  # it is parked by now
        connection.sendall(get("/health/live"))
        assert read_answer(connection).json()["status"] == "Completed"
        assert read_answer(connection).json() == {"status": "live"}


def test_two_requests_in_one_packet_are_answered_in_order(service: Service) -> None:
    with connected(service) as connection:
        connection.sendall(get(f"/jobs/{slow_job(service)}?wait=10") + get("/health/live"))
        assert read_answer(connection).json()["status"] == "Completed"
        assert read_answer(connection).json() == {"status": "live"}


@pytest.mark.parametrize("at_once", [True, False], ids=["with its head", "after a while"])
def test_a_body_that_nobody_reads_is_not_taken_for_the_next_request(service: Service, at_once: bool) -> None:
    body = get("/health/ready")
    with connected(service) as connection:
        head = get(f"/jobs/{slow_job(service)}?wait=10", f"Content-Length: {len(body)}")
        connection.sendall(head + body if at_once else head)
        time.sleep(A_MOMENT * 2)
        connection.sendall(b"" if at_once else body)
        assert read_answer(connection).json()["status"] == "Completed"
        assert ask(connection, get("/health/live")).json() == {"status": "live"}


def test_a_submit_in_chunks_waits_as_any_other(service: Service) -> None:
    body = submit_slow_job()
    with connected(service) as connection:
        chunked = post(f"{len(body):x}\r\n{body}\r\n0\r\n\r\n", "Transfer-Encoding: chunked")
        answer = ask(connection, chunked)
        assert (answer.status, answer.json()["status"]) == (200, "Completed")
        assert ask(connection, get("/health/live")).status == 200


def test_the_time_of_a_parked_request_is_exact(service: Service) -> None:
    job_id = job_of_another_day(service)
    with connected(service) as connection:
        answers: list[Answer] = []
        request = get(f"/jobs/{job_id}?wait=0.4")
        assert_takes(lambda: answers.append(ask(connection, request)), at_least=0.4, at_most=0.45)
    assert [answer.status for answer in answers] == [202] * len(answers)
    assert answers[0].headers["Retry-After"]


def test_a_client_that_asked_for_the_end_of_the_connection_gets_it(service: Service) -> None:
    for request in (
        get(f"/jobs/{slow_job(service)}?wait=10", "Connection: close"),
        get(f"/jobs/{slow_job(service)}?wait=10", version="1.0"),
    ):
        with connected(service) as connection:
            answer = ask(connection, request)
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
            assert connection.recv(1) == b""


def test_answers_without_a_body_leave_the_connection_in_order(service: Service) -> None:
    known = service.submit(delay=60)
    with connected(service) as connection:
        unchanged = get(f"/jobs/{known.json()['id']}?wait=0.3", f"If-None-Match: {known.headers['ETag']}")
        assert ask(connection, unchanged).status == 304
        body = submit_slow_job()
        minimal = post(body, f"Content-Length: {len(body)}", "Prefer: return=minimal")
        assert ask(connection, minimal).status == 204
        connection.sendall(get(f"/jobs/{slow_job(service)}?wait=10", method="HEAD"))
        head = read_answer(connection, to_head=True)
        assert (head.status, int(head.headers["Content-Length"]) > len(known.content) // 2) == (200, True)
        assert ask(connection, get("/health/live")).status == 200


def test_a_result_that_there_is_none_of_is_a_problem_of_the_path_asked_for(service: Service) -> None:
    job_id = str(service.submit("demo.fail", delay=LONG).json()["id"])
    with connected(service) as connection:
        answer = ask(connection, get(f"/jobs/{job_id}/result?wait=10"))
    assert (answer.status, answer.headers["Content-Type"]) == (409, "application/problem+json")
    assert (answer.json()["type"], answer.json()["instance"]) == ("/problems/job-failed", f"/jobs/{job_id}/result")


def test_clients_that_go_away_meanwhile_harm_nobody(service: Service) -> None:
    assert service.web is not None
    job_id = slow_job(service, A_MOMENT * 8)
    process = psutil.Process(service.web.popen.pid).children()[0]

    def clients() -> int:
        return sum(each.laddr.port == service.port and bool(each.raddr) for each in process.net_connections())

    before = clients()
    for _ in range(20):
        with connected(service) as connection:
            connection.sendall(get(f"/jobs/{job_id}?wait=10"))
            time.sleep(0.01)
    assert service.finished(job_id)["status"] == "Completed"
    eventually(lambda: clients() <= before)
    assert "Traceback" not in service.web.text


def test_clients_that_do_not_read_keep_nobody_waiting(service: Service) -> None:
    """Their answers are longer than what the kernel takes for them."""
    job_id = str(service.submit(parameters={"text": "x" * 900_000}, delay=2).json()["id"])
    with ExitStack() as stack:
        for _ in range(2 * ANSWERS_IN_A_ROW):
            stuck = stack.enter_context(socket.socket())
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", service.port))
            stuck.sendall(get(f"/jobs/{job_id}?wait=20"))
        reading = [stack.enter_context(connected(service)) for _ in range(3)]
        for connection in reading:
            connection.sendall(get(f"/jobs/{job_id}?wait=20"))
        assert [read_answer(connection).json()["status"] for connection in reading] == ["Completed"] * 3


def test_as_many_wait_as_may_and_the_next_is_answered_at_once(tmp_path: Path, service: Service) -> None:
    with of_its_own(tmp_path, service, JOBS_MAX_WAITERS="2") as own:
        job_id = job_of_another_day(own)
        with connected(own) as first, connected(own) as second:
            for connection in (first, second):
                connection.sendall(get(f"/jobs/{job_id}?wait=20"))
            assert own.web is not None
            own.web.wait_until_idle()
            began = time.monotonic()
            answers = [
                own.get(f"/jobs/{job_id}", headers={"Prefer": "wait=10"}),
                own.submit(delay=86_400, headers={"Prefer": "wait=10"}),
            ]
            assert [answer.status_code for answer in answers] == [202, 202]
            assert not any("Preference-Applied" in answer.headers for answer in answers)
            assert time.monotonic() - began < 4
            at_once = own.get(f"/jobs/{job_id}", headers={"Prefer": "respond-async"})
            assert at_once.headers["Preference-Applied"] == "respond-async"
            assert own.post(f"/jobs/{job_id}/cancel").status_code == 200
            assert [read_answer(connection).status for connection in (first, second)] == [200, 200]
        assert own.get(f"/jobs/{slow_job(own)}", params={"wait": 10}).status_code == 200


def test_a_stopping_process_answers_them_now(tmp_path: Path, service: Service) -> None:
    with of_its_own(tmp_path, service) as own, connected(own) as connection:
        assert own.web is not None
        connection.sendall(get(f"/jobs/{job_of_another_day(own)}?wait=30"))
        own.web.wait_until_idle()
        own.web.popen.terminate()
        answer = read_answer(connection)
        assert (answer.status, answer.headers["Connection"]) == (202, "close")
        assert own.web.popen.wait(5) == 0
        assert "Traceback" not in own.web.text


def test_hundreds_whose_time_is_over_while_redis_hangs_are_answered_together(tmp_path: Path, service: Service) -> None:
    with of_its_own(tmp_path, service) as own:
        job_id = job_of_another_day(own)
        connections = [socket.create_connection(("127.0.0.1", own.port), timeout=20) for _ in range(300)]
        began = time.monotonic()
        for connection in connections:
            connection.sendall(get(f"/jobs/{job_id}?wait=5"))
        assert own.web is not None
        own.web.wait_until_idle()
        with hung(own.redis):
            statuses = {read_answer(connection).status for connection in connections}
            took = time.monotonic() - began
        for connection in connections:
            connection.close()
    # one look at Redis ends after LOOK_WITHIN; one after the other would take minutes
    assert (statuses, took < 5 + LOOK_WITHIN + 4) == ({202}, True), took


def test_what_is_no_reply_of_ours_keeps_nobody_waiting(service: Service) -> None:
    job_id = slow_job(service, 3)
    url = service.environ["JOBS_REDIS_URL"]
    with Redis.from_url(url, decode_responses=True) as redis, connected(service) as connection:
        connection.sendall(get(f"/jobs/{job_id}?wait=20"))
        channel = eventually(lambda: redis.hget(KEYS.record(job_id), "reply_to"))
        for reply in ("5", "[]", "no JSON", json.dumps([job_id, []]), json.dumps([job_id, ["status"]])):
            eventually(lambda reply=reply: redis.publish(channel, reply), within=5)  # it listens again
        assert read_answer(connection).json()["status"] == "Completed"
    assert_takes(lambda: service.submit(wait=10), at_least=0, at_most=5)


@pytest.mark.parametrize("submits", [True, False])
def test_a_wait_is_hardly_longer_when_redis_hangs(tmp_path: Path, service: Service, submits: bool) -> None:
    with of_its_own(tmp_path, service) as own, connected(own) as connection:
        job_id = job_of_another_day(own)
        request = (
            post(OF_ANOTHER_DAY, f"Content-Length: {len(OF_ANOTHER_DAY)}") if submits else get(f"/jobs/{job_id}?wait=4")
        )

        def wait_while_it_hangs() -> None:
            connection.sendall(request)
            assert own.web is not None
            own.web.wait_until_idle()
            with hung(own.redis):
                assert read_answer(connection).status == 202

        assert_takes(wait_while_it_hangs, at_least=4, at_most=4 + LOOK_WITHIN + 1)


def test_a_stopping_process_whose_redis_hangs_answers_all_of_them(tmp_path: Path, service: Service) -> None:
    with of_its_own(tmp_path, service) as own:
        assert own.web is not None
        job_id = job_of_another_day(own)
        connections = [socket.create_connection(("127.0.0.1", own.port), timeout=20) for _ in range(300)]
        for connection in connections:
            connection.sendall(get(f"/jobs/{job_id}?wait=30"))
        own.web.wait_until_idle()
        with hung(own.redis):
            own.web.popen.terminate()
            statuses = {read_answer(connection).status for connection in connections}
            code = own.web.popen.wait(10)
        for connection in connections:
            connection.close()
    assert (statuses, code) == ({202}, 0)


def test_an_answer_that_is_found_during_the_stop_says_that_the_connection_ends(
    tmp_path: Path, service: Service
) -> None:
    def is_told_to_end_while_it_looks(directory: Path) -> bool:
        directory.mkdir()
        with of_its_own(directory, service) as own, connected(own) as connection:
            assert own.web is not None
            (worker,) = psutil.Process(own.web.popen.pid).children()
            request = get(f"/jobs/{job_of_another_day(own)}?wait=2")
            began = time.monotonic()
            connection.sendall(request)
            own.web.wait_until_idle()
            with hung(own.redis):
                time.sleep(max(0.0, began + 2 + LOOK_WITHIN / 3 - time.monotonic()))
                worker.terminate()
                eventually(lambda: worker.status() == psutil.STATUS_SLEEPING, every=0.005)  # it has seen to it
                is_in_time = time.monotonic() < began + 2 + LOOK_WITHIN
            answer = read_answer(connection)
            assert not is_in_time or (answer.status, answer.headers["Connection"]) == (202, "close")
            return is_in_time

    assert any(is_told_to_end_while_it_looks(tmp_path / str(number)) for number in range(5))


def test_the_first_waits_of_a_process_whose_redis_hangs_are_refused_together(tmp_path: Path, service: Service) -> None:
    body = submit_slow_job()
    with of_its_own(tmp_path, service) as own:
        connections = [socket.create_connection(("127.0.0.1", own.port), timeout=20) for _ in range(40)]
        with hung(own.redis):
            began = time.monotonic()
            for connection in connections:
                connection.sendall(post(body, f"Content-Length: {len(body)}"))
            statuses = {read_answer(connection).status for connection in connections}
            took = time.monotonic() - began
        for connection in connections:
            connection.close()
    assert (statuses, took < 8) == ({503}, True), took


@contextmanager
def hung(server: RedisServer) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)
