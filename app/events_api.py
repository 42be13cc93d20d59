"""Events as Server-Sent Events: of one job until it ends, or of many for as long as somebody reads."""

import re
import socket
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from flask import Response, request
from flask_smorest import Blueprint

from app.answers import answer_empty
from app.described import described, problems, reads
from app.errors import InvalidRequest, answer_error
from app.event_stream import EventStream
from app.front_door import front_door
from app.request_parser import RequestParser
from app.schemas import EventsQuerySchema, ServerSentEventSchema
from app.submitting import canonical
from jobs.errors import BatchNotFound, StoreUnavailable
from jobs.events.entries import Page
from jobs.events.entry_id import HIGHEST_SEQUENCE, order_of
from jobs.events.listener import Interest
from jobs.model.record import Record
from jobs.store.batch import Batch

blp = Blueprint("events", __name__, description="Events as they happen (Server-Sent Events).")
blp.ARGUMENTS_PARSER = RequestParser()

STREAM_TYPE = "text/event-stream"
STREAM = {"schema": ServerSentEventSchema, "content_type": STREAM_TYPE}
LONG_AFTER = 60_000
"""Milliseconds after a job's end in which its final event is sure to be in the stream, even if Redis's clock was set
back; nothing later is looked through."""
SEND_BUFFER = 65_536
"""Bytes that the kernel keeps for a client that does not read; by itself it would take megabytes for each."""


@blp.route("/jobs/<job_id:job_id>/events")
@described(
    reads("Last-Event-ID"),
    blp.response(200, **STREAM, description="`id` the stream id, `event` created, updated, progress, completed …"),
    blp.alt_response(204, description="Nothing came after `Last-Event-ID`, nor will: a browser stops asking."),
    *problems(404, 422, 503),
)
def of_job(job_id: str) -> Response:
    """The events of one job, from its first or from `Last-Event-ID`; ends after the final one."""
    record = front_door().store.get(canonical(job_id))
    return _until_the_end(Interest(job_id=record.id, owner=record.owner, known=_known(record)), record)


@blp.route("/batches/<batch_id>/events")
@described(
    reads("Last-Event-ID"),
    blp.response(200, **STREAM, description="Of all jobs of the batch; `batch.completed` is the last."),
    blp.alt_response(204, description="Nothing came after `Last-Event-ID`, nor will: a browser stops asking."),
    *problems(404, 422, 503),
)
def of_batch(batch_id: str) -> Response:
    """The events of all jobs of a batch, from the first or from `Last-Event-ID`; ends when all of them have."""
    batch = front_door().batches.get(canonical(batch_id, BatchNotFound))
    return _until_the_end(Interest(batch_id=batch.id, owner=batch.owner, known=_known(batch)), batch)


@blp.route("/events")
@blp.arguments(EventsQuerySchema(), location="query")
@described(
    reads("Last-Event-ID"),
    blp.response(200, **STREAM, description="As for one job, without an end."),
    *problems(422, 503),
)
def of_many(query: dict[str, Any]) -> Response:
    """The events of many jobs, from now on or from `Last-Event-ID`."""
    interest, last = Interest(owner=query.get("owner"), job_type=query.get("type")), _last_event_id()
    return _answer(interest, None if last is None else _begun(front_door().feed.pages(last, interest)))


def _known(of: Record | Batch) -> int:
    """The number that its end has at least."""
    return of.sequence if of.is_final else of.sequence + 1


def _until_the_end(interest: Interest, of: Record | Batch) -> Response:
    last, feed = _last_event_id(), front_door().feed
    began = f"{of.created_at // 1000 - 1}-0"  # no event of it is older
    after = began if last is None or order_of(last) < order_of(began) else last
    if not of.is_final or of.finished_at is None:
        return _answer(interest, _begun(feed.pages(after, interest)))
    past = list(feed.pages(after, interest, f"{of.finished_at // 1000 + LONG_AFTER}"))  # there are few
    if not any(page.entries or page.gap for page in past):
        return answer_empty(204)
    return _answer(interest, past, goes_on=False)


@blp.errorhandler(StoreUnavailable)
def _answer_unavailable(error: StoreUnavailable) -> Response:
    """A browser that is refused never asks again; one that is told when to come back does, with the last id it has."""
    if STREAM_TYPE not in request.headers.get("Accept", ""):
        return answer_error(error)
    return _response([f"retry: {1000 * error.retry_after}\n\n".encode()])


def _last_event_id() -> str | None:
    given = request.headers.get("Last-Event-ID") or None
    if given is not None and not _is_entry_id(given):
        raise InvalidRequest(
            [("Last-Event-ID", "Must be the id of an event that was received, such as 1795528964422-0.")]
        )
    return given


def _is_entry_id(text: str) -> bool:
    """One that something can come after: Redis counts in 64 bits."""
    if not re.fullmatch(r"[0-9]{1,20}(-[0-9]{1,20})?", text, re.ASCII):
        return False
    return max(order_of(text)) <= HIGHEST_SEQUENCE and order_of(text) != (HIGHEST_SEQUENCE, HIGHEST_SEQUENCE)


def _begun(pages: Iterator[Page]) -> Iterator[Page]:
    """The same pages; the first is read now, while an error can still become an answer."""
    return chain([next(pages)], pages)


def _answer(interest: Interest, past: Iterable[Page] | None, *, goes_on: bool = True) -> Response:
    if request.method == "HEAD":
        return _response(iter(()))  # nobody would close a stream
    return _response(EventStream(front_door().feed, interest, past=past, goes_on=goes_on, cut=_cut()))


def _response(body: Iterable[bytes]) -> Response:
    response = Response(body, content_type=f"{STREAM_TYPE}; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _cut() -> Callable[[], None]:
    """What ends the connection of this request; from now on the kernel keeps little of what is sent on it."""
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        return lambda: None
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    cut: Callable[[], None] = connection.cut
    return cut
