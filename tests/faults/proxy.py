"""A TCP proxy between the service and Redis that can delay, fall silent, reset connections, and lose answers."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close with a reset."""
BLOCK = 65_536


class _Link:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self, writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self.writers = writers
        self.silent = False
        self.loses_answer = False
        """What was asked last is to get no answer, but a reset."""

    def reset(self) -> None:
        for writer in self.writers:
            connected: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """Listens on ``port`` of the loopback; a context manager. Its methods may be called from any thread."""

    def __init__(self, port: int, server_port: int) -> None:
        self.port, self._server_port = port, server_port
        self.delay = 0.0
        """Seconds by which each direction is late."""
        self.resets = 0
        self._silent = False
        self._to_lose: list[bytes] = []
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10), "the proxy does not start"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @contextlib.contextmanager
    def silence(self) -> Iterator[None]:
        """Nothing arrives any more, without a word; connections that were there, or are made meanwhile, stay so."""
        self._silent = True
        self._loop.call_soon_threadsafe(self._silence_all)
        try:
            yield
        finally:
            self._silent = False

    def reset_one(self, chance: random.Random) -> None:
        """Reset one connection, whichever."""
        self._loop.call_soon_threadsafe(self._reset_one, chance.random())

    def lose_answers(self, to: bytes, times: int = 1) -> None:
        """Reset the connection in place of the next answers to a command that holds these bytes."""
        self._to_lose = [to] * times

    @property
    def answers_lost(self) -> bool:
        """Whether all that were to be lost are."""
        return not self._to_lose

    def _reset_one(self, which: float) -> None:
        links = sorted(self._links, key=id)
        if links:
            self.resets += 1
            links[int(which * len(links))].reset()

    def _silence_all(self) -> None:
        for link in self._links:
            link.silent = True

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        listening = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._started.set()
        self._loop.run_forever()
        listening.close()
        for link in list(self._links):
            link.reset()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))  # what was closed last is closed then
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link((writer, server_writer))
        link.silent = self._silent
        self._links.add(link)
        try:
            await asyncio.gather(self._pump(link, reader, server_writer), self._pump(link, server_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # reset, or the proxy ends
        finally:
            self._links.discard(link)
            for one in link.writers:
                one.close()

    async def _pump(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(BLOCK):
            if link.silent:
                continue
            if self._loses(link, data, is_question=writer is link.writers[1]):
                link.reset()
                return
            if self.delay:
                self._loop.call_later(self.delay, self._write, link, writer, data)
            else:
                writer.write(data)
                await writer.drain()
        if not link.silent:
            writer.close()

    def _loses(self, link: _Link, data: bytes, is_question: bool) -> bool:
        """Whether the answer is one to be lost."""
        if is_question:
            link.loses_answer = bool(self._to_lose) and self._to_lose[0] in data
        elif link.loses_answer and self._to_lose:
            link.loses_answer = False
            self._to_lose.pop()
            return True
        return False

    def _write(self, link: _Link, writer: asyncio.StreamWriter, data: bytes) -> None:
        if not link.silent and not writer.is_closing():
            writer.write(data)
