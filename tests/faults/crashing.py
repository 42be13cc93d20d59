"""``python -m faults.crashing POINT web|worker [options]``: a process of ours that dies at POINT, every so many times.

The points are the steps of a job's way: the scripts that submit, claim and finish it, the fetch of its message and the
acknowledgement. ``claim-before`` dies right before the script is called, ``claim-after`` right after its answer came.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from faults.weakened import run

DIED = "faults: died at "
"""What the log says of each death."""

WEB = ("submit-before", "submit-after")
CHILD = ("claim-before", "claim-after", "finish-before", "finish-after")
MAIN = ("fetch-after", "ack-before", "ack-after")
EVERY = dict.fromkeys((*WEB, *MAIN), 10) | dict.fromkeys(CHILD, 40)
"""At which time a process dies: a child is replaced at once, so that it may die less often."""


def arm(point: str) -> None:
    """Make this process, or a child of it, die at ``point``."""
    verb, _, when = point.partition("-")
    if verb in ("fetch", "ack"):
        from jobs.messages.qos import QoS

        method = {"fetch": "append", "ack": "ack"}[verb]
        setattr(QoS, method, _dying(getattr(QoS, method), when, point, lambda _: True))
    else:
        from jobs.store.job_store import JobStore

        for method in ("call", "insist"):
            setattr(JobStore, method, _dying(getattr(JobStore, method), when, point, lambda args: args[1] == verb))


def _dying(
    plain: Callable[..., Any], when: str, point: str, concerns: Callable[[Sequence[Any]], bool]
) -> Callable[..., Any]:
    times = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal times
        if not concerns(args):
            return plain(*args, **kwargs)
        times += 1
        if when == "before" and times % EVERY[point] == 0:
            _die(point)
        answer = plain(*args, **kwargs)
        if when == "after" and times % EVERY[point] == 0:
            _die(point)
        return answer

    return call


def _die(point: str) -> None:
    os.write(2, f"{DIED}{point}\n".encode())
    os._exit(9)


if __name__ == "__main__":
    run(sys.argv[2], sys.argv[3:], lambda: arm(sys.argv[1]))
