"""A bound on how long a body may take."""

import io
import time
from collections.abc import Iterable
from typing import Any

import gevent
import pytest
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import InvalidChunkSize, NoMoreData
from gunicorn.http.unreader import IterUnreader
from werkzeug.exceptions import BadRequest, RequestTimeout

from app.body_timeout import BodyTimeout


class Slow:
    """A body of one byte every ``every`` seconds, without end."""

    def __init__(self, every: float) -> None:
        self.every = every

    def read(self, size: int = -1) -> bytes:
        gevent.sleep(self.every)
        return b"x"

    readline = read


class Broken:
    """A body whose reading fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, size: int = -1) -> bytes:
        raise self.error


def read_all(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """A WSGI application that reads piece by piece to the end, and answers what it read."""
    pieces = []
    while piece := environ["wsgi.input"].read(65_536):
        pieces.append(piece)
    return pieces


def call(body: Any, seconds: float = 0.2, **environ: str) -> bytes:
    request = {"wsgi.input": body, "HTTP_TRANSFER_ENCODING": "chunked", **environ}
    return b"".join(BodyTimeout(read_all, seconds)(request, None))  # type: ignore[arg-type]


def test_a_body_that_comes_is_read_as_it_is() -> None:
    assert call(io.BytesIO(b"abc")) == b"abc"


@pytest.mark.parametrize("every", [10.0, 0.02])
def test_a_body_that_does_not_end_in_time_is_given_up_even_if_bytes_keep_coming(every: float) -> None:
    began = time.monotonic()
    with pytest.raises(RequestTimeout, match="within"):
        call(Slow(every))
    assert time.monotonic() - began < 2


def test_a_line_is_bounded_too() -> None:
    def read_line(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return [environ["wsgi.input"].readline()]

    with pytest.raises(RequestTimeout):
        BodyTimeout(read_line, 0.1)({"wsgi.input": Slow(5), "CONTENT_LENGTH": "3"}, None)  # type: ignore[arg-type]


def test_what_the_view_does_between_reads_does_not_count() -> None:
    def think(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        first = environ["wsgi.input"].read(1)
        gevent.sleep(0.3)
        return [first, environ["wsgi.input"].read(1)]

    request = {"wsgi.input": io.BytesIO(b"ab"), "CONTENT_LENGTH": "2"}
    assert b"".join(BodyTimeout(think, 0.1)(request, None)) == b"ab"  # type: ignore[arg-type]


def test_malformed_chunks_are_the_clients_mistake() -> None:
    with pytest.raises(BadRequest, match="InvalidChunkSize"):
        call(Broken(InvalidChunkSize(b"zz")))


@pytest.mark.parametrize("error", [NoMoreData(), ConnectionResetError()])
def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_failure_of_ours(error: Exception) -> None:
    with pytest.raises(BadRequest, match="ended before it was complete"):
        call(Broken(error))


@pytest.mark.parametrize("length", ["", "0"])
def test_a_request_without_a_body_is_left_alone(length: str) -> None:
    stream = io.BytesIO()
    request = {"wsgi.input": stream, "CONTENT_LENGTH": length}
    BodyTimeout(lambda *_: [], 1)(request, None)  # type: ignore[arg-type]
    assert request["wsgi.input"] is stream


def test_a_body_that_has_come_with_its_head_is_read_without_a_timer() -> None:
    def arrived(sent: bytes, length: int) -> Any:
        unreader = IterUnreader(iter([sent]))
        unreader.unread(unreader.read())
        return Body(LengthReader(unreader, length))

    seen: list[Any] = []
    app = BodyTimeout(lambda environ, _: seen.append(environ["wsgi.input"]) or [])  # type: ignore[func-returns-value]
    for sent, length in ((b"abc", 3), (b"abcGET /", 3), (b"ab", 3)):
        body = arrived(sent, length)
        app({"wsgi.input": body, "CONTENT_LENGTH": str(length)}, None)  # type: ignore[arg-type]
        assert (seen[-1] is body) == (len(sent) >= length)
        assert seen[-1].read(length) == sent[:length]
