"""The calls whose time :mod:`benchmarks.growth` measures, on several systems in turns, one after the other."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from statistics import median
from types import TracebackType
from typing import Self

from benchmarks.systems import HOST, QUICK_JOB, BenchmarkError

AT_A_TURN = 25


@dataclass(frozen=True, slots=True)
class Call:
    """What is sent, and the status that it must be answered; ``{id}`` stands for a job that has ended."""

    name: str
    method: str
    path: str
    status: int
    body: bytes | None = None
    judged: bool = True
    """Whether stored jobs may make it only so much slower (see :mod:`benchmarks.growth`)."""


SUBMIT = Call("submit", "POST", "/jobs", 202, b'{"type":"demo.noop"}')
CALLS = (
    SUBMIT,
    Call("submit and wait", "POST", "/jobs", 200, QUICK_JOB, judged=False),
    Call("get a job", "GET", "/jobs/{id}", 200),
    Call("list, newest 50", "GET", "/jobs?limit=50", 200),
    Call("list of an owner and a status", "GET", "/jobs?owner=anonymous&status=Completed&limit=50", 200),
)


class Client:
    """One connection to a system; a context manager."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection(HOST, port, timeout=30)
        self._ended = str(json.loads(self._ask("POST", "/jobs", QUICK_JOB, 200))["id"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def reconnect(self) -> None:
        """The web process closes a connection that is idle for long, as while a store is filled."""
        self._connection.close()
        self._ask("GET", f"/jobs/{self._ended}", None, 200)

    def milliseconds(self, call: Call) -> float:
        """How long the call takes.

        Raises:
            BenchmarkError: it was answered something else.
        """
        path = call.path.replace("{id}", self._ended)
        began = time.perf_counter()
        self._ask(call.method, path, call.body, call.status)
        return 1000 * (time.perf_counter() - began)

    def _ask(self, method: str, path: str, body: bytes | None, status: int) -> bytes:
        self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != status:
            raise BenchmarkError(f"{method} {path}: {answer.status} {text[:200]!r}")
        return text


def medians(clients: Sequence[Client], call: Call, turns: int) -> list[float]:
    """The median milliseconds of the call for each client; they take turns, and turns in who goes first."""
    took: list[list[float]] = [[] for _ in clients]
    for client in clients:
        client.reconnect()
    for number in range(turns):
        order = range(len(clients)) if number % 2 == 0 else reversed(range(len(clients)))
        for n in order:
            took[n] += [clients[n].milliseconds(call) for _ in range(AT_A_TURN)]
    return [median(one) for one in took]
