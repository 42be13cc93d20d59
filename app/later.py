"""An answer that is not known yet: a wait that outlives its request, and the response that it becomes."""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from celery.result import AsyncResult
from flask import Response

from app.pending import Pending
from jobs.model.record import Record
from jobs.results.backend import JobBackend

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


class Wait:
    """A wait for the end of a job, at most until ``until`` (monotonic seconds). It is begun, and ended or given up."""

    __slots__ = ("_backend", "_result", "until")

    def __init__(self, backend: JobBackend, job_id: str, until: float) -> None:
        self._backend, self.until = backend, until
        self._result = AsyncResult(job_id, backend=backend, app=backend.app)

    def expect(self) -> str:
        """Begin it for a job that is about to be submitted with this reply channel.

        Raises:
            StoreUnavailable: the channel cannot be subscribed now.
        """
        channel = self._backend.reply_channel
        self._backend.expect(self._result)
        return channel

    def begin(self) -> None:
        """Begin it for a job that is there.

        Raises:
            StoreUnavailable.
        """
        self._backend.add_pending_result(self._result)

    def is_over_within(self, seconds: float) -> bool:
        """Block until it is over, at most for ``seconds``."""
        left = self.until - time.monotonic()
        return self._backend.is_woken_within(self._result, min(left, seconds)) or left <= seconds

    def tell(self, on_wake: Callable[[], None]) -> bool:
        """See :meth:`jobs.results.waiting_backend.WaitingBackend.tell`."""
        return self._backend.tell(self._result, on_wake)

    def end(self) -> Record | None:
        """Block for what is left of it, and say how the job stands; None when it could not be read."""
        return self._backend.record_at_end(self._result, max(0.0, self.until - time.monotonic()))

    def give_up(self) -> None:
        self._backend.remove_pending_result(self._result)


class Later(Response):
    """A response whose head and body are those of ``answer``, called at the end of ``wait`` without any context."""

    def __init__(self, wait: Wait, answer: Callable[[Record | None], Response]) -> None:
        super().__init__()
        self._wait, self._answer = wait, answer

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        return Pending(self._wait, self._answer, environ["REQUEST_METHOD"], start_response)
