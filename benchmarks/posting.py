"""A fixed number of quick jobs over a few connections: the load of :mod:`benchmarks.guard`, which needs no wrk."""

import asyncio
import re
from collections.abc import Iterator

from benchmarks.systems import HOST, QUICK_JOB, BenchmarkError

WITHIN = 60.0


def post(port: int, jobs: int, connections: int) -> None:
    """Return once ``jobs`` jobs were answered; each connection sends its next when its last one has been.

    Raises:
        BenchmarkError: an answer was not 200, or they took more than ``WITHIN`` seconds.
    """
    try:
        asyncio.run(asyncio.wait_for(_post(port, jobs, connections), WITHIN))
    except TimeoutError:
        raise BenchmarkError(f"{jobs} jobs were not answered in {WITHIN:g} s") from None
    except (OSError, EOFError) as error:
        raise BenchmarkError(f"a connection broke: {error}") from error


async def _post(port: int, jobs: int, connections: int) -> None:
    turns = iter(range(jobs))
    await asyncio.gather(*(_one_after_the_other(port, turns) for _ in range(connections)))


async def _one_after_the_other(port: int, turns: Iterator[int]) -> None:
    head = f"POST /jobs HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(QUICK_JOB)}\r\n\r\n".encode() + QUICK_JOB
    reader, writer = await asyncio.open_connection(HOST, port)
    for _ in turns:
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", answer)
        await reader.readexactly(int(length[1]) if length else 0)
        if answer[9:12] != b"200":
            raise BenchmarkError(f"a quick job was answered {answer[9:12].decode()}")
    writer.close()
