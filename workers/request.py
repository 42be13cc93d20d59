"""Celery's request of one job, in a worker's main process: it knows which process runs the job."""

from collections.abc import Iterable
from typing import Any

from celery.worker import state
from celery.worker.request import Request

from workers.holder import holder


class JobRequest(Request):  # type: ignore[misc]
    """What the main process reports of a job (a time limit, a lost process) carries that process's name."""

    @property
    def holder(self) -> str:
        """'' until a process has taken it."""
        return holder(self.worker_pid) if self.worker_pid else ""

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        self._context.holder = holder(pid)
        super().on_accepted(pid, time_accepted)


def held() -> dict[str, JobRequest]:
    """Every job that this worker has fetched or runs, by id; safe in any thread."""
    requests = (*_members(state.requests.values()), *_members(state.active_requests))
    return {request.id: request for request in requests if isinstance(request, JobRequest)}


def _members(requests: Iterable[Any]) -> list[Any]:
    while True:
        try:
            return list(requests)
        except RuntimeError:  # it changed meanwhile
            continue
