"""``python -m support.subscribing service file …``: a subscriber whose handler writes down what it is called with."""

import argparse
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from subscribers import Event, Gap, Subscriber


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("service")
    parser.add_argument("file", type=Path)
    parser.add_argument("--owner")
    parser.add_argument("--mode", default="durable")
    parser.add_argument("--start", default="now")
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--dies-of", default="")
    parser.add_argument("--fails-on", default="")
    parser.add_argument("--backoff", type=float, default=0.02)
    parser.add_argument("--max-deliveries", type=int, default=5)
    asked = parser.parse_args(arguments)
    lines = os.open(asked.file, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def write(what: str) -> None:
        os.write(lines, f"{os.getpid()} {what}\n".encode())

    def handle(event: Event) -> None:
        time.sleep(asked.pause)
        write(f"{event.job_id} {event.sequence}")
        if event.id == asked.dies_of:
            os.kill(os.getpid(), signal.SIGKILL)
        if event.id == asked.fails_on:
            raise RuntimeError("the handler does not like it")

    subscriber = Subscriber(
        asked.service,
        owner=asked.owner,
        mode=asked.mode,
        start=asked.start,
        backoff=asked.backoff,
        max_deliveries=asked.max_deliveries,
    )
    write("starts")
    subscriber.run(handle, lambda gap: write(f"gap {gap.missed}" if isinstance(gap, Gap) else "no gap"))
    write("stops")


if __name__ == "__main__":
    main()
