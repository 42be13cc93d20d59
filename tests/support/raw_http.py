"""HTTP byte by byte, for what no client library would send."""

import json
import socket
from dataclasses import dataclass
from typing import Any


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def read_answer(connection: socket.socket, *, to_head: bool = False) -> Answer:
    """One answer, and nothing of what comes after it; ``to_head``: to a HEAD request, so without its body."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _receive(connection, 1, head)
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers, status = dict(line.split(": ", 1) for line in lines), int(first.split()[1])
    length, body = 0 if to_head or status in {204, 304} else int(headers["Content-Length"]), b""
    while len(body) < length:
        body += _receive(connection, length - len(body), head)
    return Answer(status, headers, body)


def _receive(connection: socket.socket, most: int, before: bytes) -> bytes:
    piece = connection.recv(most)
    assert piece, f"closed after {before!r}"
    return piece
