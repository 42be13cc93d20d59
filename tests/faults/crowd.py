"""Many clients at once, in a process of their own: ``python -m faults.crowd PORT PLAN``.

PLAN is a file with a JSON list of ``{"at": seconds, "body": {...}}``, a submit, or ``{"at", "poll": path, "until":
seconds}``, a client that asks again after each Retry-After. Prints a JSON list of :class:`Reply`, one for each answer.
"""

import asyncio
import json
import re
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from support.processes import Process

from faults.client import HOST
from faults.site import Site

ANSWERED_WITHIN = 90.0
Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: to which request of the plan, when it was asked and answered (wall clock), and what it said."""

    request: int
    asked_at: float
    answered_at: float
    status: int
    """0: there was none."""
    retry_after: float
    job_id: str = ""
    job_status: str = ""
    finished_at: str = ""
    broke: str = ""

    @property
    def seconds(self) -> float:
        return self.answered_at - self.asked_at


class Crowd:
    """A crowd at work, seen by the test; a context manager's job is done by the site, which ends its process."""

    def __init__(self, site: Site, port: int, plan: Sequence[Request]) -> None:
        path = site.directory / "plan.json"
        path.write_text(json.dumps(plan))
        self._process: Process = site.start_process("crowd", "faults.crowd", str(port), str(path))

    def replies(self, within: float) -> list[Reply]:
        """All answers, once all have come."""
        code = self._process.popen.wait(within)
        assert code == 0, self._process.text[-2000:]
        return [Reply(**reply) for reply in json.loads(self._process.text.splitlines()[-1])]


async def crowd(port: int, plan: Sequence[Request]) -> list[Reply]:
    """Make the requests of the plan, each on a connection of its own."""
    began = time.monotonic()
    parts = await asyncio.gather(*(_client(port, n, request, began) for n, request in enumerate(plan)))
    return [reply for part in parts for reply in part]


async def _client(port: int, number: int, request: Request, began: float) -> list[Reply]:
    await asyncio.sleep(max(0.0, began + request["at"] - time.monotonic()))
    if "poll" not in request:
        return [await _tried(port, number, "POST", "/jobs", json.dumps(request["body"]).encode())]
    replies = []
    while time.monotonic() - began < request["until"]:
        replies.append(await _tried(port, number, "GET", request["poll"], b""))
        await asyncio.sleep(max(0.5, replies[-1].retry_after))
    return replies


async def _tried(port: int, number: int, method: str, path: str, body: bytes) -> Reply:
    asked_at = time.time()
    try:
        async with asyncio.timeout(ANSWERED_WITHIN):
            status, head, text = await _ask(port, method, path, body)
    except (OSError, asyncio.IncompleteReadError) as error:
        return Reply(number, asked_at, time.time(), 0, 0, broke=f"{type(error).__name__}: {error}")
    document = json.loads(text) if text else {}
    retry_after = re.search(rb"(?i)\r\nretry-after: *(\d+)", head)
    return Reply(
        number,
        asked_at,
        time.time(),
        status,
        float(retry_after[1]) if retry_after else 0.0,
        str(document.get("id", "")),
        str(document.get("status", "")),
        str(document.get("finished_at") or ""),
    )


async def _ask(port: int, method: str, path: str, body: bytes) -> tuple[int, bytes, bytes]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        return int(head[9:12]), head, await reader.readexactly(int(length[1]) if length else 0)
    finally:
        writer.close()


def main(port: int, plan: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    replies = asyncio.run(crowd(port, json.loads(plan.read_text())))
    print(json.dumps([asdict(reply) for reply in replies]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
