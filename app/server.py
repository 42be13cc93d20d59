"""gunicorn with gevent workers, set up for many waiting requests; what it answers by itself is JSON too."""

import contextlib
import resource
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from gevent import Timeout, sleep, spawn
from gevent.monkey import get_original
from gevent.select import select
from gunicorn.app.base import BaseApplication
from gunicorn.http import errors as http

from app.arbiter import DrainingArbiter, end_when_told
from app.lingering import LINGER, read_on
from app.parking import ParkingWorker
from app.pending import Pending
from app.problems import CONTENT_TYPE, problem_bytes
from app.read_ahead import may_come
from jobs.collecting import collect_rarely

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

GRACE = 10
"""Seconds that running requests have to end when the server is stopped."""

IDLE_GRACE = 0.5
"""Seconds that a connection has to send a request when the server is stopped."""

TAKES_IN_FOR = 2.0
"""Seconds that connections may go on coming after the server was told to stop, where nobody can keep them away."""

_ENOUGH_FILES = 10_240
_ANSWERS: tuple[tuple[type[Exception], int, str], ...] = (
    (http.LimitRequestLine, 414, "URI Too Long"),
    (http.LimitRequestHeaders, 431, "Request Header Fields Too Large"),
    (http.ExpectationFailed, 417, "Expectation Failed"),
)

_OUR_FAULT = (http.InvalidResponseHeader, http.InvalidResponseHeaderName)
"""Kinds of ParseException too, though it is the application that sent the header."""


class JsonErrorsWorker(ParkingWorker):
    """Answers a request that is no HTTP, or that broke the application, with a problem document instead of a page."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: dict[Any, float] = {}

    def run(self) -> None:
        _settle(self.cfg)
        spawn(self._end_idle, 1.0, self.cfg.keepalive)
        super().run()

    def idle(self, client: Any) -> "_Idle":
        return _Idle(client, self._idle)

    def handle_exit(self, sig: Any, frame: Any) -> None:
        spawn(self._stop, sig, frame)

    def _stop(self, sig: Any, frame: Any) -> None:
        """Take in what has connected already, for to close a listener resets it; the master lets nothing more come."""
        until = time.monotonic() + TAKES_IN_FOR
        while select(self.sockets, [], [], 0)[0] and time.monotonic() < until:
            sleep(0.01)
        super().handle_exit(sig, frame)
        spawn(self._drain)
        spawn(self._end_idle, 0.1, IDLE_GRACE)

    def _drain(self) -> None:
        """Requests that wait for a job are answered now, 202 if it has not ended."""
        door = getattr(self.wsgi, "extensions", {}).get("front_door")
        if door is not None:
            door.drain()

    def _end_idle(self, every: float, most: float) -> None:
        """Until the process ends: let go of connections that have sent no request for ``most`` seconds.

        A timer for each wait would cost each request some 15 µs.
        """
        while True:
            for client, since in list(self._idle.items()):  # the eldest first
                if time.monotonic() - since < most:
                    break
                _shut(client, socket.SHUT_RD)  # what has come is still read and answered
            sleep(every)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """As gunicorn does, but head and body of an answer leave in one packet."""
        gathered = _Gathered(sock)
        try:
            return super().handle_request(listener_name, req, gathered, addr)
        except StopIteration:  # it was the last one of this connection, or is parked, and then it has been read
            if may_come(req.body):
                gathered.flush()
                read_on(sock)
            raise
        finally:
            gathered.flush()

    def write_answer(self, pending: Pending, req: Any, client: Any) -> bool:
        gathered = _Gathered(client)
        is_of_use = super().write_answer(pending, req, gathered)
        gathered.flush()
        return is_of_use

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        if isinstance(exc, http.ParseException) and not isinstance(exc, _OUR_FAULT):
            instance = f"urn:uuid:{uuid4()}"  # its path may not be known
            self.log.warning("bad request from %s: %s, %s", (addr or ("unix socket",))[0], type(exc).__name__, instance)
            status, reason = next(((s, r) for kind, s, r in _ANSWERS if isinstance(exc, kind)), (400, "Bad Request"))
            slug, detail = reason.lower().replace(" ", "-"), f"The request is not understood: {type(exc).__name__}."
        else:
            instance = getattr(req, "path", None) or "/"
            self.log.error("unexpected error answering %s %s", getattr(req, "method", "?"), instance, exc_info=exc)
            status, reason = 500, "Internal Server Error"
            slug, detail = "internal", "Something went wrong on our side; it has been logged."
        try:
            _send(client, status, reason, problem_bytes(status, slug, reason, detail, instance=instance))
        except OSError:
            self.log.debug("the client of a bad request has gone")


def _settle(config: Any) -> None:
    """Have each setting at hand as a plain attribute: gunicorn looks for some twenty of them in each request."""
    vars(config).update({name: setting.get() for name, setting in config.settings.items()})


class _Idle:
    """The wait of a connection for its next request; ``waiting`` says since when."""

    __slots__ = ("_client", "_waiting")

    def __init__(self, client: Any, waiting: dict[Any, float]) -> None:
        self._client, self._waiting = client, waiting

    def __enter__(self) -> None:
        self._waiting[self._client] = time.monotonic()

    def __exit__(self, *_: object) -> None:
        del self._waiting[self._client]


def _shut(client: Any, how: int) -> None:
    """As its ``shutdown``, but gevent's own would raise in the greenlet that uses the socket."""
    if client.fileno() < 0:
        return
    plain = get_original("socket", "socket")(fileno=client.fileno())
    try:
        plain.shutdown(how)
    except OSError:
        pass  # the client has gone
    finally:
        plain.detach()


class _Gathered:
    """A socket that holds the head of an answer back until its body comes; all else goes to the socket itself."""

    def __init__(self, sock: Any) -> None:
        self._sock, self._head, self._head_came = sock, b"", False

    def sendall(self, data: bytes) -> None:
        if self._head_came:
            data, self._head = self._head + data, b""
            self._sock.sendall(data)
        else:
            self._head, self._head_came = data, True

    def flush(self) -> None:
        if self._head:
            data, self._head = self._head, b""
            self._sock.sendall(data)

    def cut(self) -> None:
        """End the connection: who is stuck sending on it goes on with an error; what the kernel has is still sent."""
        _shut(self._sock, socket.SHUT_RDWR)

    def __getattr__(self, name: str) -> Any:
        self.flush()
        return getattr(self._sock, name)


def _send(client: Any, status: int, reason: str, body: bytes) -> None:
    head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: {CONTENT_TYPE}\r\n"
    with Timeout(LINGER, False):
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        read_on(client)


class Server(BaseApplication):  # type: ignore[misc]
    """The web server. ``load`` makes the WSGI application, in the worker, after gevent has patched the process."""

    def __init__(self, host: str, port: int, workers: int, load: Callable[[], "WSGIApplication"]) -> None:
        self._options = {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "workers": workers,
            "worker_class": f"{JsonErrorsWorker.__module__}.{JsonErrorsWorker.__name__}",
            "worker_connections": 20_000,
            "backlog": 4096,
            "keepalive": 75,
            "graceful_timeout": GRACE,
            "timeout": 60,
            "loglevel": "warning",
            "limit_request_line": 8190,
            "limit_request_fields": 100,
            "limit_request_field_size": 16_380,
            "forwarded_allow_ips": "",
            "proc_name": "joborchestrator",
            "control_socket_disable": True,
            "when_ready": _say_where,
            "post_fork": end_when_told,
        }
        self._make = load
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def run(self) -> None:
        """Serve until told to stop."""
        DrainingArbiter(self).run()

    def load(self) -> "WSGIApplication":
        app = self._make()
        collect_rarely()
        return app


def _say_where(server: Any) -> None:
    """To the log, once it listens; gunicorn's own line is among many."""
    sys.stderr.write(f"listening on {', '.join(str(listener) for listener in server.LISTENERS)}\n")


def raise_file_limit() -> None:
    """Let this process and its workers hold as many connections as the machine allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, max(soft, _ENOUGH_FILES)):
        with contextlib.suppress(ValueError, OSError):  # macOS says "unlimited" and takes no more than a number
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return
