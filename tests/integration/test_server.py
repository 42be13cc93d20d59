"""The web server itself: a trivial application under it, and raw sockets in front of it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support.commands import in_a_process
from support.eventually import eventually
from support.processes import ROOT, clean_environ
from support.raw_http import Answer, read_answer
from support.timing import assert_takes

from app.lingering import LINGER
from app.server import IDLE_GRACE
from launch.child import child_options
from launch.redis_server import free_port

SERVED = """
import resource, sys
import app.server
from app.server import Server, raise_file_limit

def load():
    import time
    from flask import Flask, Response, abort, request
    from app import errors
    from app.body_timeout import BodyTimeout
    from app.pending import Pending
    from app.proxies import TrustedProxies

    app = Flask("trivial", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 100_000
    errors.register(app)
    app.get("/", endpoint="ok")(lambda: "ok")
    app.post("/", endpoint="length")(lambda: str(len(request.get_data())))
    app.post("/json", endpoint="json")(lambda: request.get_json())
    app.post("/limited", endpoint="limited")(lambda: request.environ["wsgi.input"].read(100_001) and abort(413))
    app.post("/stream", endpoint="stream")(lambda: str(len(request.environ["wsgi.input"].read())))
    app.get("/files", endpoint="files")(lambda: {"limits": resource.getrlimit(resource.RLIMIT_NOFILE)})
    app.get("/scheme", endpoint="scheme")(lambda: request.url)
    app.get("/slow", endpoint="slow")(lambda: time.sleep(2) or "done")

    @app.get("/pieces")
    def pieces():
        for piece in ("one", "two", "three", "four"):
            yield piece
            time.sleep(0.3 if piece != "two" else 2.0)

    served = TrustedProxies(BodyTimeout(app.wsgi_app, 1.0), ())

    class Soon:  # a wait that is over after a third of a second
        def __init__(self):
            self.until = time.monotonic() + 0.3

        tell = lambda self, on_wake: True
        end = give_up = lambda self: None

    def breaking(environ, start_response):
        if environ["PATH_INFO"] == "/later":
            return Pending(Soon(), lambda _: Response("later"), environ["REQUEST_METHOD"], start_response)
        if environ["PATH_INFO"] == "/boom":
            raise RuntimeError("a secret")
        if environ["PATH_INFO"] == "/bad-header":
            start_response("200 OK", [("X-Two", "a\\nb")])
            return []
        return served(environ, start_response)

    return breaking

resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
raise_file_limit()
server = Server("127.0.0.1", int(sys.argv[1]), 1, load)
server.cfg.set("keepalive", int(sys.argv[2]))
app.server.IDLE_GRACE = float(sys.argv[3])
server.run()
"""
HOST = b"Host: localhost\r\n"


class Served:
    """The server in a process of its own."""

    def __init__(self, log: Path, keepalive: int = 75, idle_grace: float = IDLE_GRACE) -> None:
        self.port, self.log = free_port(), log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVED, str(self.port), str(keepalive), str(idle_grace)],
                env=clean_environ(),
                cwd=ROOT,
                stdout=stream,
                stderr=stream,
                **child_options(),
            )
        try:
            eventually(self._answers, within=20)
        except BaseException:
            self.stop()
            raise

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, request: bytes) -> Answer:
        """Send these bytes, and read one answer."""
        with self.connect() as connection:
            with suppress(OSError):  # the server may have refused it before all of it was sent
                connection.sendall(request)
            return read_answer(connection)

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(15)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.ask(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n").status == 200
        return False


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("server") / "log")
    try:
        yield server
    finally:
        server.stop()


def get(path: bytes = b"/", *lines: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


CHUNKED = b"Transfer-Encoding: chunked"
REFUSED = {
    "two Content-Lengths": (post(b"Content-Length: 1", b"Content-Length: 2", body=b"xx"), 400),
    "Content-Length and chunks": (post(b"Content-Length: 3", CHUNKED, body=b"0\r\n\r\n"), 400),
    "a negative Content-Length": (post(b"Content-Length: -1"), 400),
    "a request line that is none": (b"nonsense\r\n\r\n", 400),
    "bytes that are none": (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    "a method in lower case": (b"get / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a header name with a space": (get(b"/", b"Bad name: 1"), 400),
    "a header with a NUL": (get(b"/", b"X: a\x00b"), 400),
    "a folded header": (get(b"/", b"X: a", b" b"), 400),
    "two Hosts": (get(b"/", b"Host: other"), 400),
    "a Host that is none": (b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n", 400),
    "a chunk size that is none": (post(CHUNKED, body=b"zz\r\n"), 400),
    "a chunk without its end": (post(CHUNKED, body=b"1\r\nxy\r\n0\r\n\r\n"), 400),
    "an unknown path": (get(b"/nowhere"), 404),
    "a body too large": (post(b"Content-Length: 100001", body=b"x" * 100_001), 413),
    "a long path": (get(b"/" + b"a" * 20_000), 414),
    "an expectation": (post(b"Expect: the unexpected", b"Content-Length: 0"), 417),
    "a 64 KB header": (get(b"/", b"X: " + b"a" * 65_536), 431),
    "a 5 MB header": (get(b"/", b"X: " + b"a" * 5_000_000), 431),
    "200 headers": (get(b"/", *(b"X-%d: 1" % number for number in range(200))), 431),
    "an unknown transfer coding": (post(b"Transfer-Encoding: magic, chunked"), 400),
    "an HTTP of the future": (b"GET / HTTP/3.7\r\n" + HOST + b"\r\n", 400),
}


@pytest.mark.parametrize(("request_bytes", "status"), REFUSED.values(), ids=REFUSED)
def test_a_request_that_is_none_is_answered_with_a_problem(served: Served, request_bytes: bytes, status: int) -> None:
    answer = served.ask(request_bytes)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["instance"]
    assert served.ask(get()).status == 200


def test_100_headers_and_a_header_of_16_kb_are_fine(served: Served) -> None:
    assert served.ask(get(b"/", *(b"X-%d: 1" % number for number in range(99)))).status == 200
    assert served.ask(get(b"/", b"X: " + b"a" * 16_000)).status == 200


@pytest.mark.parametrize("path", [b"/boom", b"/bad-header"])
def test_an_application_that_breaks_is_a_problem_too_and_keeps_its_secrets(served: Served, path: bytes) -> None:
    answer = served.ask(get(path))
    assert (answer.status, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert b"secret" not in answer.body
    assert "Traceback" in served.log.read_text()


@pytest.mark.parametrize("head", [b"Content-Length: 10", CHUNKED])
def test_a_body_that_does_not_come_is_answered_408(served: Served, head: bytes) -> None:
    answer = served.ask(post(head, body=b"1\r\n"))
    assert (answer.status, answer.json()["status"]) == (408, 408)


@pytest.mark.parametrize("path", [b"/", b"/stream"])
@pytest.mark.parametrize("cut", [b"10\r\nabc", b"1", b"0\r\n"])
def test_a_chunked_body_that_ends_early_is_answered_400(served: Served, path: bytes, cut: bytes) -> None:
    with served.connect() as connection:
        connection.sendall(post(CHUNKED, body=cut).replace(b" / ", b" " + path + b" ", 1))
        connection.shutdown(socket.SHUT_WR)
        answer = read_answer(connection)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")


CLOSE = b"Connection: close"
LARGE = b"x" * 5_000_000
IN_CHUNKS = b"".join(b"%x\r\n%b\r\n" % (len(LARGE) // 5, LARGE[: len(LARGE) // 5]) for _ in range(5)) + b"0\r\n\r\n"
BODIES = {
    "of 5 MB": (b"1.1", (CLOSE, b"Content-Length: %d" % len(LARGE)), LARGE),
    "of 20 MB": (b"1.1", (CLOSE, b"Content-Length: %d" % (4 * len(LARGE))), 4 * LARGE),
    "in chunks": (b"1.1", (CLOSE, CHUNKED), IN_CHUNKS),
    "of HTTP 1.0": (b"1.0", (b"Content-Length: %d" % len(LARGE),), LARGE),
}
UNREAD = {
    "too large": (b"POST /limited", b"text/plain", 413),
    "for nobody": (b"POST /nowhere", b"application/json", 404),
    "for another method": (b"PUT /", b"application/json", 405),
    "of another type": (b"POST /json", b"text/plain", 415),
}


@pytest.mark.parametrize("what", UNREAD)
@pytest.mark.parametrize("body", BODIES)
def test_whoever_sends_all_of_a_body_that_is_not_read_and_says_close_gets_the_answer(
    served: Served, what: str, body: str
) -> None:
    (line, form, status), (version, lines, sent) = UNREAD[what], BODIES[body]
    head = [line + b" HTTP/" + version, HOST.strip(), b"Content-Type: " + form, *lines]

    def ask() -> Answer:
        with served.connect() as connection:
            connection.sendall(b"\r\n".join(head) + b"\r\n\r\n" + sent)
            return read_answer(connection)

    answer = asked_in_time(ask)
    assert (answer.status, answer.json()["status"], answer.headers["Connection"]) == (status, status, "close")


def asked_in_time(ask: Callable[[], Answer], tries: int = 5) -> Answer:
    """Ask again where sending took longer than the server reads on, so that the answer may have been reset away."""
    for left in reversed(range(tries)):
        began = time.monotonic()
        try:
            return ask()
        except (OSError, AssertionError):
            if not left or time.monotonic() - began < LINGER:
                raise
    raise AssertionError("no tries")


def test_urllib_is_told_that_a_body_is_too_large(served: Served) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{served.port}/", LARGE, timeout=10)  # it always says close
    with caught.value as answer:
        assert answer.code == 413


def test_a_body_in_chunks_that_is_malformed_and_goes_on_is_answered_too(served: Served) -> None:
    def ask() -> Answer:
        with served.connect() as connection:
            connection.sendall(post(CHUNKED, body=b"zz\r\n" + LARGE))
            return read_answer(connection)

    answer = asked_in_time(ask)
    assert (answer.status, answer.headers["Connection"]) == (400, "close")


def test_whoever_never_ends_a_body_that_is_not_read_is_let_go(served: Served) -> None:
    with served.connect() as endless:
        endless.sendall(post(CLOSE, b"Content-Length: 100000000000"))
        began = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - began < 5:
                endless.sendall(LARGE)
        assert time.monotonic() - began < 3
    with served.connect() as silent:
        silent.sendall(post(CLOSE, b"Content-Length: 100000000000"))
        assert read_answer(silent).status == 413
        eventually(lambda: is_closed_by_the_other_side(silent), within=LINGER + 3)


@pytest.mark.parametrize(("path", "status"), [(b"/", 200), (b"/nowhere", 404)])
def test_a_connection_whose_last_request_has_come_is_closed_at_once(served: Served, path: bytes, status: int) -> None:
    def closed() -> None:
        with served.connect() as connection:
            connection.sendall(post(CLOSE, b"Content-Length: 3", body=b"abc").replace(b" / ", b" " + path + b" ", 1))
            assert read_answer(connection).status == status
            eventually(lambda: is_closed_by_the_other_side(connection))

    assert_takes(closed, at_least=0, at_most=LINGER / 2)


def is_closed_by_the_other_side(connection: socket.socket) -> bool:
    """Whether it is closed, and not only ended: what is sent is not taken any more."""
    with suppress(OSError):
        for _ in range(4):
            connection.sendall(b"x")
            time.sleep(0.05)
        return False
    return True


@pytest.mark.parametrize(
    ("refused", "rest", "status"),
    [
        (post(b"Content-Length: %d" % len(LARGE)), LARGE, 413),
        (post(CHUNKED).replace(b"/", b"/limited", 1) + IN_CHUNKS[:200_000], IN_CHUNKS[200_000:], 413),
        (post(b"Content-Length: 10", body=b"12345"), b"67890", 408),
    ],
    ids=["too large", "too large, in chunks", "too late"],
)
def test_on_a_connection_that_is_kept_the_rest_of_a_refused_body_is_read_before_the_next_request(
    served: Served, refused: bytes, rest: bytes, status: int
) -> None:
    with served.connect() as connection:
        connection.sendall(refused)
        answer = read_answer(connection)
        assert (answer.status, answer.headers["Connection"]) == (status, "keep-alive")
        connection.sendall(rest + get() + get(b"/scheme"))
        assert [read_answer(connection).body for _ in range(2)] == [b"ok", b"http://localhost/scheme"]


def test_the_rest_of_a_body_in_chunks_that_came_too_late_is_no_request(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(post(CHUNKED, body=b"100\r\nabc"))
        answer = read_answer(connection)
        assert (answer.status, answer.headers["Connection"]) == (408, "close")
        connection.sendall(get(b"/boom"))
        assert connection.recv(1) == b""


def test_a_client_that_goes_away_in_the_middle_harms_nobody(served: Served) -> None:
    with served.connect() as connection:
        connection.sendall(post(b"Content-Length: 10", body=b"12"))
    with served.connect() as connection:
        connection.sendall(b"GET / HT")
    assert served.ask(get()).status == 200


def test_a_connection_is_kept_for_the_next_request(served: Served) -> None:
    with served.connect() as connection:
        for length in (3, 50_000, 0):
            connection.sendall(post(b"Content-Length: %d" % length, body=b"x" * length))
            assert read_answer(connection).body == b"%d" % length


def test_a_piece_of_a_streamed_answer_leaves_when_it_is_made(served: Served) -> None:
    began, received = time.monotonic(), b""
    with served.connect() as connection:
        connection.sendall(get(b"/pieces"))
        while b"two" not in received:
            received += connection.recv(65_536)
    assert time.monotonic() - began < 2


def test_a_connection_without_a_request_is_closed_after_a_while_and_one_in_use_is_not(tmp_path: Path) -> None:
    server = Served(tmp_path / "log", keepalive=2)
    try:
        with server.connect() as idle, server.connect() as half, server.connect() as parked, server.connect() as used:
            parked.sendall(get(b"/later"))
            assert read_answer(parked).body == b"later"
            half.sendall(b"GET / HTTP/1.1\r\nHost:")
            began = time.monotonic()
            while time.monotonic() - began < 4:
                used.sendall(get())
                assert read_answer(used).status == 200
                time.sleep(0.2)
            assert (idle.recv(1), half.recv(1), parked.recv(1)) == (b"", b"", b"")
            used.sendall(get(b"/slow"))
            assert read_answer(used).body == b"done"
    finally:
        server.stop()
    assert "Traceback" not in server.log.read_text()


def test_many_idle_connections_leave_room_for_a_request(served: Served) -> None:
    idle = [served.connect() for _ in range(300)]
    try:
        assert served.ask(get()).status == 200
    finally:
        for connection in idle:
            connection.close()


def test_as_many_files_may_be_open_as_the_machine_allows(served: Served) -> None:
    soft, hard = served.ask(get(b"/files")).json()["limits"]
    assert soft == hard or soft >= 10_240


def test_gunicorn_believes_no_forwarded_header_by_itself(served: Served) -> None:
    answer = served.ask(get(b"/scheme", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: evil", b"SCRIPT_NAME: /evil"))
    assert answer.body == b"http://localhost/scheme"


def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    server = Served(tmp_path / "log")
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_idle_connections_do_not_hold_up_the_end_and_running_requests_are_answered(tmp_path: Path) -> None:
    server = Served(tmp_path / "log")
    try:
        with server.connect() as silent, server.connect() as kept, server.connect() as parked, server.connect() as busy:
            kept.sendall(get())
            parked.sendall(get(b"/later"))
            assert [read_answer(connection).status for connection in (kept, parked)] == [200, 200]
            busy.sendall(get(b"/slow"))
            server.process.terminate()
            answer = read_answer(busy)
            assert answer.body == b"done"
            assert server.process.wait(6) == 0, "it should not last GRACE, which is 10 seconds"
            assert (silent.recv(1), kept.recv(1), parked.recv(1)) == (b"", b"", b"")
        assert "Traceback" not in server.log.read_text()
    finally:
        server.stop()


@pytest.mark.parametrize("after", [0.0, 0.25, 0.5, 0.75])  # gunicorn looks once a second whether it was told to stop
def test_a_request_that_comes_at_the_end_on_a_connection_that_rests_is_answered(tmp_path: Path, after: float) -> None:
    server = Served(tmp_path / "log", idle_grace=4 * IDLE_GRACE)  # so that we can be late
    try:
        with server.connect() as rests:
            time.sleep(after)
            rests.sendall(get(b"/later"))
            assert read_answer(rests).body == b"later"
            server.process.terminate()
            time.sleep(IDLE_GRACE * 0.5)
            rests.sendall(get())
            answer = read_answer(rests)
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
            assert server.process.wait(6) == 0
    finally:
        server.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there the kernel can be told")
def test_no_connection_that_was_made_is_reset_at_the_end(tmp_path: Path) -> None:
    server, broken = Served(tmp_path / "log"), []

    def ask() -> None:
        while True:
            try:
                connection = server.connect()
            except OSError:
                return  # refused
            try:
                with connection:
                    connection.sendall(get())
                    assert read_answer(connection).status == 200
            except (OSError, AssertionError, EOFError) as error:
                broken.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)  # they are in the middle of it
    try:
        assert server.stop() == 0
    finally:
        for thread in threads:
            thread.join(20)
    assert broken == []


def test_connections_that_nobody_has_taken_in_yet_are_answered_at_the_end(tmp_path: Path) -> None:
    server = Served(tmp_path / "log")
    (worker,) = psutil.Process(server.process.pid).children()
    worker.suspend()
    time.sleep(1)  # its look whether it is to go on is due
    connections = [server.connect() for _ in range(300)]
    for connection in connections:
        connection.sendall(get())
    server.process.terminate()
    time.sleep(0.2)  # it has told the worker
    worker.resume()
    try:
        statuses = {read_answer(connection).status for connection in connections}
    finally:
        for connection in connections:
            connection.close()
        try:
            code = server.process.wait(15)  # not told twice: Python's own end would be the second signal's
        finally:
            server.stop()
    assert (statuses, code) == ({200}, 0)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"JOBS_WIAT": "1"}, "JOBS_WIAT is no setting"),
        ({"JOBS_MAX_WAIT": "soon", "JOBS_REDIS_URL": "x"}, "JOBS_MAX_WAIT='soon'"),
        ({"PORT": "http"}, "PORT='http' is not a whole number from 1 to 65535"),
        ({"PORT": "65536"}, "PORT='65536'"),
        ({"PORT": "-1"}, "PORT='-1'"),
        ({"WEB_CONCURRENCY": "0"}, "WEB_CONCURRENCY='0'"),
        ({"WEB_CONCURRENCY": "many"}, "WEB_CONCURRENCY='many'"),
        ({"WEB_CONCURRENCY": "", "HOST": "256.0.0.1"}, "cannot listen on 256.0.0.1:8000"),
        ({"HOST": "256.0.0.1"}, "cannot listen on 256.0.0.1:8000"),
        ({"HOST": "a" * 70}, "cannot listen on aaa"),
    ],
)
def test_a_mistake_in_the_environment_is_one_line_and_exit_code_2(environ: dict[str, str], said: str) -> None:
    ended = in_a_process("app", **environ)
    assert ended.returncode == 2
    assert ended.stderr.startswith("joborchestrator: ")
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_line_and_exit_code_2(served: Served) -> None:
    ended = in_a_process("app", PORT=str(served.port))
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"joborchestrator: cannot listen on 127.0.0.1:{served.port}: ")
    assert ended.stderr.count("\n") == 1


def test_the_master_loads_none_of_what_the_worker_must_load_patched() -> None:
    code = "import sys, app.__main__, app.server; print({'flask', 'redis', 'celery', 'werkzeug'} & set(sys.modules))"
    line = [sys.executable, "-c", code]
    seen = subprocess.run(line, env=clean_environ(), cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert seen.stdout == "set()\n", seen.stderr
