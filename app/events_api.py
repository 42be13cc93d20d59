"""Events as Server-Sent Events: of one job until it ends, or of many for as long as somebody reads."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from flask import Response, request
from flask_smorest import Blueprint

from app.answers import answer_empty
from app.described import described, problems
from app.errors import InvalidRequest
from app.front_door import front_door
from app.jobs_api import canonical
from app.request_parser import RequestParser
from app.schemas import EventsQuerySchema, ServerSentEventSchema
from jobs.entry_id import order_of
from jobs.errors import StoreUnavailable
from jobs.events import FINAL_EVENT_OF, Event
from jobs.feed import Entry, Feed, Listener

log = logging.getLogger(__name__)

blp = Blueprint("events", __name__, description="Events as they happen (Server-Sent Events).")
blp.ARGUMENTS_PARSER = RequestParser()

HEARTBEAT_EVERY = 15.0
"""Seconds of silence after which a comment is sent: proxies keep the connection, and a client that left is noticed."""
COME_BACK_AFTER = 1000
"""Milliseconds after which a browser connects again."""
FINAL = frozenset(FINAL_EVENT_OF.values())
STREAM = {"schema": ServerSentEventSchema, "content_type": "text/event-stream"}


@blp.route("/jobs/<job_id>/events")
@described(
    blp.response(200, **STREAM, description="`id` the stream id, `event` created, updated, progress, completed …"),
    blp.alt_response(204, description="Nothing came after `Last-Event-ID`, nor will: a browser stops asking."),
    *problems(404, 422, 503),
)
def of_job(job_id: str) -> Response:
    """The events of one job, from its first or from `Last-Event-ID`; ends after the final one."""
    door = front_door()
    last = _last_event_id()
    record = door.store.get(canonical(job_id))
    began = f"{record.created_at // 1000 - 1}-0"  # no event of the job is older
    after = began if last is None or order_of(last) < order_of(began) else last

    def wants(event: Event) -> bool:
        return event.job_id == record.id

    with _listening(door.feed, wants) as listener:
        has_ended = door.store.get(record.id).is_final
        past: Iterator[Entry] = (entry for entry in door.feed.since(after, record.owner) if wants(entry.event))
        if has_ended:
            past = iter(list(past))  # a job has few
            first = next(past, None)
            if first is None:
                door.feed.leave(listener)
                return answer_empty(204)
            past = chain([first], past)
        return _answer(_lines(door.feed, listener, past, until_final=True, only_past=has_ended))


@blp.route("/events")
@blp.arguments(EventsQuerySchema(), location="query")
@described(
    blp.response(200, **STREAM, description="As for one job, without an end."),
    *problems(422, 503),
)
def of_many(query: dict[str, Any]) -> Response:
    """The events of many jobs, from now on or from `Last-Event-ID`."""
    owner, job_type = query.get("owner"), query.get("type")

    def wants(event: Event) -> bool:
        return (owner is None or event.owner == owner) and (job_type is None or event.job_type == job_type)

    feed, after = front_door().feed, _last_event_id()
    with _listening(feed, wants) as listener:
        past = (entry for entry in feed.since(after, owner) if wants(entry.event)) if after else iter(())
        return _answer(_lines(feed, listener, past))


def _last_event_id() -> str | None:
    given = request.headers.get("Last-Event-ID")
    if given is not None and not re.fullmatch(r"[0-9]{1,15}(-[0-9]{1,15})?", given, re.ASCII):
        raise InvalidRequest(
            [("Last-Event-ID", "Must be the id of an event that was received, such as 1795528964422-0.")]
        )
    return given


@contextmanager
def _listening(feed: Feed, wants: Callable[[Event], bool]) -> Iterator[Listener]:
    """A listener that is there before the past is read, so that nothing falls in between; kept unless this fails."""
    listener = feed.listen(wants)
    try:
        yield listener
    except BaseException:
        feed.leave(listener)
        raise


def _answer(lines: Iterator[str]) -> Response:
    response = Response(lines, content_type="text/event-stream; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _lines(
    feed: Feed, listener: Listener, past: Iterator[Entry], *, until_final: bool = False, only_past: bool = False
) -> Iterator[str]:
    """What the client reads: first the past, then what comes, each event once."""
    sent = (0, 0)
    try:
        yield f"retry: {COME_BACK_AFTER}\n\n"
        for entry in chain(past, () if only_past else _coming(listener)):
            if entry is None:
                yield ":\n\n"
            elif entry.order > sent:
                sent = entry.order
                yield _text(entry)
                if until_final and entry.event.name in FINAL:
                    return
    except StoreUnavailable as error:
        log.info("a stream of events ends: %s", error)  # the client comes back with the last id it has
    finally:
        feed.leave(listener)


def _coming(listener: Listener) -> Iterator[Entry | None]:
    """Events as they happen; None after a while without one."""
    while not listener.is_closed:
        yield listener.next(HEARTBEAT_EVERY)


def _text(entry: Entry) -> str:
    return f"id: {entry.id}\nevent: {entry.event.name}\ndata: {entry.text}\n\n"
