"""A bound on how long a client may take to send its body."""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from gevent import Timeout
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestTimeout

from app.read_ahead import has_come

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

BODY_WITHIN = 30.0
"""Seconds for all reads of a body together."""


class BodyTimeout:
    """WSGI middleware: whoever reads a body that does not come gets ``RequestTimeout``, which is answered 408.

    One whose chunks are malformed, or end early, which gunicorn notices while it is read, gives ``BadRequest``: 400.
    """

    def __init__(self, app: "WSGIApplication", seconds: float = BODY_WITHIN) -> None:
        self._app, self._seconds = app, seconds

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        has_body = environ.get("CONTENT_LENGTH", "0") not in ("", "0") or "HTTP_TRANSFER_ENCODING" in environ
        if has_body and not has_come(environ["wsgi.input"]):  # a timer costs a twentieth of a request
            environ["wsgi.input"] = _TimedInput(environ["wsgi.input"], self._seconds)
        return self._app(environ, start_response)


class _TimedInput:
    """``wsgi.input`` that gives up; what the view does between reads does not count."""

    def __init__(self, stream: Any, seconds: float) -> None:
        self._stream, self._seconds, self._left = stream, seconds, seconds

    def read(self, size: int = -1) -> bytes:
        return self._timed(self._stream.read, size)

    def readline(self, size: int = -1) -> bytes:
        return self._timed(self._stream.readline, size)

    def _timed(self, read: Callable[[int], bytes], size: int) -> bytes:
        began = time.monotonic()
        timeout = Timeout.start_new(max(self._left, 0.0))
        try:
            return read(size)
        except Timeout as late:
            self._lose_place()
            if late is not timeout:
                raise
            raise RequestTimeout(f"The body did not arrive within {self._seconds:g} seconds.") from None
        except ParseException as error:
            self._lose_place()
            raise BadRequest(f"The body cannot be read: {type(error).__name__}.") from error
        except OSError as error:
            raise ClientDisconnected("The body ended before it was complete.") from error
        finally:
            timeout.close()
            self._left -= time.monotonic() - began

    def _lose_place(self) -> None:
        """Let this be the last request of its connection, if its body is in chunks: where it ends is not known now."""
        request = getattr(getattr(self._stream, "reader", None), "req", None)
        if request is not None:
            request.force_close()
