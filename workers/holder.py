"""Who holds a job: a worker, and the process of it that runs the job."""

import os
from uuid import uuid4

WORKER = uuid4().hex
"""Names this worker; its processes inherit it when they are forked."""


def holder(pid: int | None = None) -> str:
    """The name of a process of this worker; without ``pid``, of this one."""
    return f"{WORKER}/{os.getpid() if pid is None else pid}"
