"""An HTTP client for tests of failure: one plain connection, everything timed, nothing retried behind our back."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
BROKEN = (OSError, http.client.HTTPException)
"""What a connection that broke, or was refused, raises."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, and how long it took."""

    status: int
    headers: Mapping[str, str]
    text: bytes
    seconds: float

    @property
    def document(self) -> Any:
        return json.loads(self.text)

    @property
    def retry_after(self) -> float | None:
        text = self.headers.get("retry-after")
        return None if text is None else float(text)


class Client:
    """Talks to one port, over one connection that is made anew once it broke; for one thread."""

    def __init__(self, port: int, timeout: float = 30.0, keep: bool = True) -> None:
        self.port, self._timeout, self._keep = port, timeout, keep
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json", **named})

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer.

        Raises:
            OSError, HTTPException: the connection broke; one that was kept is tried anew once.
        """
        kept = self._connection is not None
        try:
            return self._once(method, path, body, headers or {})
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not kept or method != "GET":
                raise
            return self._once(method, path, body, headers or {})

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        began = time.monotonic()
        if self._connection is None:
            self._connection = http.client.HTTPConnection(HOST, self.port, timeout=self._timeout)
        try:
            self._connection.request(method, path, body, dict(headers))
            response = self._connection.getresponse()
            text = response.read()
        except BROKEN:
            self.close()
            raise
        if not self._keep:
            self.close()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, text, time.monotonic() - began)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
