"""Answers about one job: which code, which headers (CONTRACT, "Routes")."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from flask import Response, request
from werkzeug.datastructures import Headers
from werkzeug.http import parse_etags

from app.documents import etag, job_document, self_url
from app.front_door import FrontDoor
from app.proxies import own_url
from jobs.model.record import Record
from jobs.model.status import Status


class Answer(Response):
    """A finished answer: its headers are complete, and its URLs are our own, which need no conversion."""

    def get_wsgi_headers(self, environ: dict[str, Any]) -> Headers:
        return self.headers


def base_url(door: FrontDoor) -> str:
    """What the URLs we hand out start with."""
    return door.settings.public_url or own_url(request.environ)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer has to know of its request, for whoever answers when the request's context is gone."""

    base: str
    """What the URLs that we hand out start with."""
    path: str
    known: str | None
    """``If-None-Match``."""

    def knows(self, version: str) -> bool:
        """Whether the caller has this version of what it asks for."""
        return self.known is not None and parse_etags(self.known).contains_weak(version)


def asked(door: FrontDoor) -> Asked:
    """Of the present request."""
    return Asked(base_url(door), request.script_root + request.path, request.headers.get("If-None-Match"))


def answer_submit(
    door: FrontDoor, asked: Asked, record: Record, applied: str | None, *, minimal: bool, replayed: bool = False
) -> Response:
    """200 or 204 for a job that ended within the wait, else 202 with where and when to look again."""
    if not record.is_final:
        response = _accepted(door, record, asked.base)
        response.headers["Location"] = self_url(record.id, asked.base)
    else:
        empty = minimal and record.status is Status.COMPLETED
        response = answer_empty(204) if empty else _json(job_document(record, asked.base), 200)
        response.headers["Content-Location"] = self_url(record.id, asked.base)
    response.set_etag(etag(record))
    return with_preference(with_replay(response, replayed), applied)


def answer_job(asked: Asked, record: Record) -> Response:
    """200 with the job as it stands, whatever of it the caller knows."""
    response = _json(job_document(record, asked.base), 200)
    response.set_etag(etag(record))
    response.headers["Cache-Control"] = "no-cache"
    return response


def answer_poll(door: FrontDoor, asked: Asked, record: Record, applied: str | None) -> Response:
    """200 for a final job, 202 until then, 304 when the caller has this version."""
    if asked.knows(etag(record)):
        response = answer_empty(304)
        if not record.is_final:
            response.headers["Retry-After"] = str(door.retry_after(record))
    elif record.is_final:
        response = _json(job_document(record, asked.base), 200)
    else:
        response = _accepted(door, record, asked.base)
    response.set_etag(etag(record))
    response.headers["Cache-Control"] = "no-cache"
    return with_preference(response, applied)


def answer_accepted(door: FrontDoor, asked: Asked, record: Record, applied: str | None) -> Response:
    """202 for a job whose result is asked for and not there yet, whatever of the job the caller knows."""
    response = _accepted(door, record, asked.base)
    response.headers["Cache-Control"] = "no-cache"
    return with_preference(response, applied)


def answer_empty(status: int) -> Response:
    """No body, and no type of one."""
    response = Answer(status=status)
    del response.headers["Content-Type"]
    return response


def answer_json(text: bytes | str, status: int = 200) -> Response:
    return _json(text, status)


def answer_document(text: bytes) -> Response:
    """JSON that seldom changes; 304 for a caller that has it."""
    response = Response(text, content_type="application/json")
    response.set_etag(sha256(text).hexdigest()[:16])
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


def _accepted(door: FrontDoor, record: Record, base: str) -> Response:
    response = _json(job_document(record, base), 202)
    response.headers["Retry-After"] = str(door.retry_after(record))
    return response


def _json(text: bytes | str, status: int) -> Response:
    return Answer(text, status, content_type="application/json")


def with_replay(response: Response, replayed: bool) -> Response:
    """Say whether an earlier submit under the same ``Idempotency-Key`` is answered."""
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def with_preference(response: Response, applied: str | None) -> Response:
    """Say what of the caller's ``Prefer`` was followed."""
    if applied:
        response.headers["Preference-Applied"] = applied
        response.headers["Vary"] = "Prefer"
    return response
