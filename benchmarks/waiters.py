"""A client that keeps many requests waiting: ``python -m benchmarks.waiters PORT PATH COUNT``.

Prints ``waiting`` once all have been sent, sends each again when it is answered, and on SIGTERM prints what should not
have happened, as JSON: ``{"202 early": 3}`` for three answers that came before their time.
"""

import asyncio
import json
import re
import resource
import signal
import sys
import time
from collections import Counter

from benchmarks.systems import HOST

WAIT = 60
"""Seconds that each request waits."""

RATE = 300
"""Requests begun in a second: what is measured is the waiting, not a burst of arrivals."""


class Waiters:
    """COUNT connections, each with a request that waits."""

    def __init__(self, port: int, path: str, count: int) -> None:
        self._port, self._count = port, count
        self._request = f"GET {path}?wait={WAIT} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode()
        self._sent = 0
        self._all_sent = asyncio.Event()
        self.odd: Counter[str] = Counter()

    async def run(self) -> None:
        """Wait until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                group.create_task(self._keep_waiting(number / RATE))
            await self._all_sent.wait()
            print("waiting", flush=True)

    async def _keep_waiting(self, begin_after: float) -> None:
        await asyncio.sleep(begin_after)
        first = True
        while True:
            try:
                reader, writer = await asyncio.open_connection(HOST, self._port)
                writer.write(self._request)
                if first:
                    first = False
                    self._count_sent()
                while True:
                    await self._answer(reader)
                    writer.write(self._request)
            except (OSError, asyncio.IncompleteReadError) as error:
                self.odd[type(error).__name__] += 1
                await asyncio.sleep(1)

    def _count_sent(self) -> None:
        self._sent += 1
        if self._sent == self._count:
            self._all_sent.set()

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        began = time.monotonic()
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        status, early = head[9:12].decode(), time.monotonic() - began < WAIT - 1
        if status != "202" or early:
            self.odd[f"{status} early" if early else status] += 1
            await asyncio.sleep(1)


async def main(port: int, path: str, count: int) -> None:
    """Keep ``count`` requests waiting until SIGTERM."""
    waiters = Waiters(port, path, count)
    running = asyncio.ensure_future(waiters.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        print(json.dumps(waiters.odd), flush=True)


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
