"""Many streams of events at once, read by one thread; each can be left unread."""

import json
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

Received = tuple[str, str, str]
"""The id, the name and the data of one event."""


class Stream:
    """One open stream. ``last`` is what a browser would come back with."""

    def __init__(self, port: int, path: str, last: str | None, buffer: int | None) -> None:
        self.path, self.last = path, last
        self.events: list[Received] = []
        self.gaps: list[dict[str, Any]] = []
        self.gap_ids: list[str] = []
        self._port, self._buffer = port, buffer
        self.connect()

    def connect(self) -> None:
        """The first time, or once more, after the last id."""
        self.head, self.has_ended, self._unread = "", False, b""
        self.sock = socket.socket()
        if self._buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        self.sock.connect(("127.0.0.1", self._port))
        resume = f"Last-Event-ID: {self.last}\r\n" if self.last else ""
        # a client of HTTP/1.0 gets the body as it is, without chunks
        self.sock.sendall(
            f"GET {self.path} HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n{resume}\r\n".encode()
        )
        self.sock.setblocking(False)

    def __repr__(self) -> str:
        return f"<{self.path}: {len(self.events)} events, {'ended' if self.has_ended else 'open'}>"

    @property
    def ids(self) -> list[str]:
        """The CloudEvents' own ids."""
        return [json.loads(text)["id"] for text in self.texts]

    @property
    def texts(self) -> list[str]:
        return [text for _, _, text in self.events]

    @property
    def names(self) -> list[str]:
        return [name for _, name, _ in self.events]

    @property
    def has_begun(self) -> bool:
        return self.last is not None

    def read(self) -> None:
        try:
            while data := self.sock.recv(65_536):
                self._unread += data
        except BlockingIOError:
            self._take_blocks()
            return
        except ConnectionError:
            pass
        self._take_blocks()
        self.has_ended = True

    def _take_blocks(self) -> None:
        *blocks, self._unread = self._unread.replace(b"\r\n", b"\n").split(b"\n\n")
        if blocks and not self.head:
            self.head = blocks.pop(0).decode()
        for block in blocks:
            lines = [line.split(": ", 1) for line in block.decode().split("\n") if ": " in line]
            fields = {**dict(lines), "data": "\n".join(value for name, value in lines if name == "data")}
            self.last = fields.get("id", self.last)
            if fields.get("event") == "gap":
                self.gaps.append(json.loads(fields["data"]))
                self.gap_ids.append(fields["id"])
            elif fields["data"]:
                self.events.append((fields["id"], fields["event"], fields["data"]))


class Streams:
    """Streams of one service; close them all at the end."""

    def __init__(self, port: int) -> None:
        self._port, self._open = port, selectors.DefaultSelector()
        self.all: list[Stream] = []

    def open(self, path: str, last: str | None = None) -> Stream:
        stream = self.open_unread(path, last, None)
        self._open.register(stream.sock, selectors.EVENT_READ, stream)
        return stream

    def open_unread(self, path: str, last: str | None = None, buffer: int | None = 4096) -> Stream:
        """One that is only read when the test calls its ``read``."""
        self.all.append(Stream(self._port, path, last, buffer))
        return self.all[-1]

    def read(self, until: Callable[[], bool], within: float) -> None:
        """Read what comes on every stream until that is true; fail after ``within`` seconds."""
        deadline = time.monotonic() + within
        while not until():
            assert time.monotonic() < deadline, f"not true within {within} s; the last of them: {self.all[-1]}"
            for key, _ in self._open.select(0.2):
                key.data.read()
                if key.data.has_ended:
                    self._open.unregister(key.fileobj)
                    key.data.sock.close()

    def come_back(self) -> None:
        """Connect those again that have ended, as a browser would."""
        for stream in self.all:
            if stream.has_ended:
                stream.connect()
                self._open.register(stream.sock, selectors.EVENT_READ, stream)

    def close(self) -> None:
        for stream in self.all:
            stream.sock.close()
        self._open.close()
