"""The body of an answer that is not known yet. The server imports this module before it is patched: no Flask here."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse
    from flask import Response

    from app.later import Wait
    from jobs.model.record import Record


class Pending:
    """What WSGI iterates over: it blocks in the server. A server that knows it asks :meth:`tell`, and blocks nobody."""

    __slots__ = ("_answer", "_method", "_start_response", "_wait")

    def __init__(
        self, wait: "Wait", answer: "Callable[[Record | None], Response]", method: str, start_response: "StartResponse"
    ) -> None:
        self._wait, self._answer, self._method, self._start_response = wait, answer, method, start_response

    @property
    def until(self) -> float:
        """When the time is over, in monotonic seconds."""
        return self._wait.until

    def tell(self, on_wake: Callable[[], None]) -> bool:
        """See :meth:`jobs.results.waiting_backend.WaitingBackend.tell`: called when there is an answer."""
        return self._wait.tell(on_wake)

    def answer_to(self, start_response: "StartResponse") -> Iterable[bytes]:
        """The answer, as WSGI has it, once the wait is over."""
        response = self._answer(self._wait.end())
        return response({"REQUEST_METHOD": self._method}, start_response)

    def __iter__(self) -> Iterator[bytes]:
        yield from self.answer_to(self._start_response)

    def close(self) -> None:
        """WSGI's: nobody will read the answer, or all of it has been read."""
        self._wait.give_up()
