"""A bound on how long a client may take to send its body."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from gevent import Timeout
from werkzeug.exceptions import RequestTimeout

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

BODY_WITHIN = 30.0
"""Seconds for each read of the body."""


class BodyTimeout:
    """WSGI middleware: whoever reads a body that does not come gets ``RequestTimeout``, which is answered 408."""

    def __init__(self, app: "WSGIApplication", seconds: float = BODY_WITHIN) -> None:
        self._app, self._seconds = app, seconds

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH", "0") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = _TimedInput(environ["wsgi.input"], self._seconds)
        return self._app(environ, start_response)


class _TimedInput:
    """``wsgi.input`` that gives up; what the view does between reads does not count."""

    def __init__(self, stream: Any, seconds: float) -> None:
        self._stream, self._seconds = stream, seconds

    def read(self, size: int = -1) -> bytes:
        return self._timed(self._stream.read, size)

    def readline(self, size: int = -1) -> bytes:
        return self._timed(self._stream.readline, size)

    def _timed(self, read: Callable[[int], bytes], size: int) -> bytes:
        late = RequestTimeout(f"The body did not arrive within {self._seconds:g} seconds.")
        with Timeout(self._seconds, late):
            return read(size)
