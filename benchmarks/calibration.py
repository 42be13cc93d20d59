"""A piece of work that never changes: how much CPU time it takes says how fast this machine is at the moment.

It does what a job makes our processes do: JSON, dicts, text, small objects, and a message through a socket.
"""

import json
import socket
import time
from dataclasses import dataclass

TURNS = 40
"""Turns of one unit: about a millisecond on the machine where the figures were first recorded."""

_TEXT = json.dumps(
    {
        "id": "6f1c0000-0000-4000-8000-000000000001",
        "type": "demo.noop",
        "parameters": {"seconds": 1.5, "names": ["a", "b", "c"], "deep": {"er": None, "still": True}},
        "headers": {f"header-{n}": f"value {n}" for n in range(12)},
    }
)


@dataclass
class _Small:
    name: str
    value: object


def cpu_seconds(units: int) -> float:
    """CPU time of one unit, the mean of ``units`` of them."""
    left, right = socket.socketpair()
    with left, right:
        began = time.process_time()
        for _ in range(units):
            _unit(left, right)
        return (time.process_time() - began) / units


def _unit(left: socket.socket, right: socket.socket) -> None:
    for turn in range(TURNS):
        document = json.loads(_TEXT)
        document["headers"] |= {name.title(): value for name, value in document["headers"].items()}
        small = {name: _Small(name, value) for name, value in document.items()}
        words = " ".join(f"{each.name}={each.value}" for each in small.values()).split(",")
        left.sendall(json.dumps({**document, "words": sorted(words), "turn": turn}).encode())
        right.recv(65_536).partition(b"words")
