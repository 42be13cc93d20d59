"""A receiver of callbacks: a real HTTP server in a thread, which answers as it is told and keeps what came."""

import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from jobs.model.event import Event

KEY = b"the secret of the tests!"
SECRET = "whsec_" + b64encode(KEY).decode()
"""What it verifies with."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request, and when it came (monotonic)."""

    headers: dict[str, str]
    body: str
    path: str
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self) -> Event:
        """The event, once the reference library has checked the signature. Raises its WebhookVerificationError."""
        Webhook(SECRET).verify(self.body, self.headers)
        return Event.from_json(self.body)


@dataclass(frozen=True, slots=True)
class Says:
    """An answer: a status, headers, and after how many seconds."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    after: float = 0.0


class Receiver:
    """Listens on the loopback; the answers come in turn, the last for good. With ``tls`` it speaks HTTPS."""

    def __init__(self, *answers: Says, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self._answers = list(answers) or [Says()]
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.take))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def of(self, job_id: str) -> list[Received]:
        """What came for one job."""
        return [each for each in list(self.received) if each.id.startswith(job_id)]

    def answer(self, *answers: Says) -> None:
        """From now on."""
        with self._lock:
            self._answers = list(answers)

    def take(self, received: Received) -> Says:
        with self._lock:
            self.received.append(received)
            return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def _handler(take: Callable[[Received], Says]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            says = take(Received(headers, body, self.path, time.monotonic()))
            time.sleep(says.after)
            self.send_response(says.status)
            for name, value in says.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):  # the sender may have gone
                super().handle()

    return Handler
