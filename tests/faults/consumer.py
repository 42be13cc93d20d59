"""``python -m faults.consumer SERVICE MODE PAUSE FILE``: a subscriber that writes down every event it is handed."""

import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

from jobs.model.event import Event
from subscribers import Subscriber


class Handled(NamedTuple):
    """One call of the handler: when (wall clock), and with which event."""

    at: float
    job_id: str
    sequence: int


def main(service: str, mode: str, pause: str, file: str) -> None:
    """Handle until told to stop; each event takes ``pause`` seconds, and is written down first, in one write."""
    notes = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def handle(event: Event) -> None:
        os.write(notes, f"{time.time()} {event.job_id} {event.sequence}\n".encode())
        time.sleep(float(pause))

    Subscriber(service, mode=mode).run(handle)


def handled(*files: Path) -> list[Handled]:
    """What the consumers that wrote ``files`` were handed, in the order of time."""
    lines = [line.split() for file in files for line in file.read_text().splitlines()]
    return sorted(Handled(float(at), job_id, int(sequence)) for at, job_id, sequence in lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
