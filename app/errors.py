"""What every error means in HTTP, as one table, and how it is told: RFC 9457 problem documents."""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.problems import CONTENT_TYPE, problem, reference
from app.strict_json import MalformedJson, UnstorableText
from jobs import errors as e

log = logging.getLogger(__name__)

FieldErrors = Sequence[tuple[str, str]]


class InvalidRequest(e.JobsError):
    """``errors`` holds (pointer, what is wrong) pairs."""

    def __init__(self, errors: FieldErrors) -> None:
        self.errors = errors
        super().__init__("The request does not fit: " + "; ".join(f"{where}: {what}" for where, what in errors[:3]))


class WebhooksOff(e.JobsError):
    """The routes of webhooks are there only where a secret is set to sign with."""

    def __init__(self) -> None:
        super().__init__("Webhooks are off here: JOBS_WEBHOOK_SECRET is not set.")


class Meaning(NamedTuple):
    """What a problem document says of every error of a kind."""

    status: int
    slug: str
    title: str


USUAL: Mapping[int, Meaning] = MappingProxyType(
    {
        usual.status: usual
        for usual in (
            Meaning(400, "bad-request", "Bad request"),
            Meaning(404, "not-found", "Not found"),
            Meaning(405, "method-not-allowed", "Method not allowed"),
            Meaning(406, "not-acceptable", "Not acceptable"),
            Meaning(408, "request-timeout", "Request timeout"),
            Meaning(409, "conflict", "Conflict"),
            Meaning(413, "body-too-large", "Body too large"),
            Meaning(415, "unsupported-media-type", "Unsupported media type"),
            Meaning(422, "invalid-request", "Invalid request"),
            Meaning(503, "unavailable", "Unavailable"),
        )
    }
)
"""What a status means where nothing more is known: an error of Flask's or werkzeug's has nothing else."""

MEANING_OF: Mapping[type[Exception], Meaning] = MappingProxyType(
    {
        MalformedJson: USUAL[400],
        UnstorableText: USUAL[422],
        InvalidRequest: USUAL[422],
        e.UnknownJobType: Meaning(422, "unknown-job-type", "Invalid request"),
        e.InvalidParameters: USUAL[422],
        e.JobNotFound: USUAL[404],
        e.BatchNotFound: USUAL[404],
        e.WebhookNotFound: USUAL[404],
        WebhooksOff: Meaning(404, "webhooks-off", "Webhooks are off"),
        e.InvalidTransition: USUAL[409],
        e.NotRetryable: USUAL[409],
        e.JobIdTaken: USUAL[409],
        e.IdempotencyKeyReused: USUAL[422],
        e.TooManyWebhooks: USUAL[409],
        e.StoreUnavailable: USUAL[503],
        e.StoreRefused: USUAL[503],
        e.QueueFull: USUAL[503],
    }
)
"""Every error a view can raise; the ones that never reach HTTP are named in its test."""


def register(app: Flask) -> None:
    """Make every error of ``app`` a problem document."""
    for kind in (e.JobsError, MalformedJson, UnstorableText):
        app.register_error_handler(kind, answer_error)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, _answer_unexpected)


def answer(
    status: int, detail: str, *, slug: str = "", title: str = "", instance: str | None = None, **extra: Any
) -> Response:
    """A problem document as response; ``instance`` is what was asked for, by default the present request's."""
    usual = USUAL.get(status, Meaning(status, "error", "Error"))
    where = reference(request.script_root + request.path) if instance is None else instance
    document = problem(status, slug or usual.slug, title or usual.title, detail, instance=where, **extra)
    return Response(orjson.dumps(document, default=str), status, content_type=CONTENT_TYPE)


def answer_http_error(error: HTTPException) -> Response:
    """What Flask and werkzeug raise by themselves: 404, 405, 413 …"""
    status = error.code or 500
    response = answer(status, error.description or error.name)
    for name, value in error.get_headers():
        if name.lower() in {"allow", "retry-after"}:
            response.headers[name] = value
    return response


def answer_error(error: Exception) -> Response:
    """What :data:`MEANING_OF` says, with what the error knows: each mistake, or when to try again."""
    meaning = next((MEANING_OF[kind] for kind in type(error).__mro__ if kind in MEANING_OF), None)
    if meaning is None:
        return _answer_unexpected(error)
    response = answer(meaning.status, str(error), slug=meaning.slug, title=meaning.title, **_mistakes(error))
    if isinstance(error, e.StoreUnavailable):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _mistakes(error: Exception) -> dict[str, Any]:
    """The member ``errors``, of an error that has one."""
    found: FieldErrors
    match error:
        case InvalidRequest() | e.InvalidParameters():
            found = error.errors
        case e.UnknownJobType():
            found = [("/type", "unknown")]
        case UnstorableText():
            found = [(error.pointer, "holds a lone surrogate")]
        case _:
            return {}
    return {"errors": [{"pointer": where, "detail": what} for where, what in found[:20]]}


def _answer_unexpected(error: Exception) -> Response:
    log.error("unexpected error answering %s %s", request.method, request.path, exc_info=error)
    return answer(500, "Something went wrong on our side; it has been logged.", slug="internal", title="Internal error")
