"""What every error means in HTTP, as one table, and how it is told: RFC 9457 problem documents."""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.problems import CONTENT_TYPE, problem
from app.strict_json import MalformedJson, UnstorableText
from jobs import errors as e

log = logging.getLogger(__name__)

STATUS_OF: Mapping[type[Exception], int] = MappingProxyType(
    {
        MalformedJson: 400,
        UnstorableText: 422,
        e.UnknownJobType: 422,
        e.InvalidParameters: 422,
        e.JobNotFound: 404,
        e.BatchNotFound: 404,
        e.WebhookNotFound: 404,
        e.InvalidTransition: 409,
        e.JobIdTaken: 409,
        e.AttemptsUsedUp: 409,
        e.IdempotencyKeyReused: 422,
        e.TooManyWebhooks: 409,
        e.StoreUnavailable: 503,
        e.StoreRefused: 503,
        e.QueueFull: 503,
    }
)
"""Every error a view can raise; the ones that never reach HTTP are named in its test."""

TITLES: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        400: ("bad-request", "Bad request"),
        404: ("not-found", "Not found"),
        405: ("method-not-allowed", "Method not allowed"),
        406: ("not-acceptable", "Not acceptable"),
        408: ("request-timeout", "Request timeout"),
        409: ("conflict", "Conflict"),
        413: ("body-too-large", "Body too large"),
        415: ("unsupported-media-type", "Unsupported media type"),
        422: ("invalid-request", "Invalid request"),
        503: ("unavailable", "Unavailable"),
    }
)

FieldErrors = Sequence[tuple[str, str]]


class InvalidRequest(e.JobsError):
    """422: ``errors`` holds (pointer, what is wrong) pairs."""

    def __init__(self, errors: FieldErrors) -> None:
        self.errors = errors
        super().__init__("The request does not fit: " + "; ".join(f"{where}: {what}" for where, what in errors[:3]))


class WebhooksOff(e.JobsError):
    """404: the routes of webhooks are there only where a secret is set to sign with."""

    def __init__(self) -> None:
        super().__init__("Webhooks are off here: JOBS_WEBHOOK_SECRET is not set.")


def register(app: Flask) -> None:
    """Make every error of ``app`` a problem document."""
    app.register_error_handler(e.JobsError, answer_jobs_error)
    app.register_error_handler(MalformedJson, _answer_plain)
    app.register_error_handler(UnstorableText, _answer_unstorable)
    app.register_error_handler(HTTPException, answer_http_error)
    app.register_error_handler(Exception, _answer_unexpected)


def answer(
    status: int, detail: str, *, slug: str = "", title: str = "", instance: str | None = None, **extra: Any
) -> Response:
    """A problem document as response; ``instance`` is the path asked for, by default the present request's."""
    usual_slug, usual_title = TITLES.get(status, ("error", "Error"))
    where = request.path if instance is None else instance
    document = problem(status, slug or usual_slug, title or usual_title, detail, instance=where, **extra)
    return Response(orjson.dumps(document, default=str), status, content_type=CONTENT_TYPE)


def answer_http_error(error: HTTPException) -> Response:
    """What Flask and werkzeug raise by themselves: 404, 405, 413 …"""
    status = error.code or 500
    response = answer(status, error.description or error.name)
    for name, value in error.get_headers():
        if name.lower() in {"allow", "retry-after"}:
            response.headers[name] = value
    return response


def answer_jobs_error(error: e.JobsError) -> Response:
    """What :data:`STATUS_OF` says, with what the error knows."""
    match error:
        case InvalidRequest() | e.InvalidParameters():
            return answer(422, str(error), errors=_listed(error.errors))
        case e.UnknownJobType():
            return answer(422, str(error), slug="unknown-job-type", errors=_listed([("/type", "unknown")]))
        case WebhooksOff():
            return answer(404, str(error), slug="webhooks-off", title="Webhooks are off")
        case e.StoreUnavailable():
            response = answer(503, str(error))
            response.headers["Retry-After"] = str(error.retry_after)
            return response
    return _answer_plain(error)


def _answer_plain(error: Exception) -> Response:
    status = next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), None)
    return _answer_unexpected(error) if status is None else answer(status, str(error))


def _answer_unstorable(error: UnstorableText) -> Response:
    return answer(422, str(error), errors=_listed([(error.pointer, "holds a lone surrogate")]))


def _answer_unexpected(error: Exception) -> Response:
    log.error("unexpected error answering %s %s", request.method, request.path, exc_info=error)
    return answer(500, "Something went wrong on our side; it has been logged.", slug="internal", title="Internal error")


def _listed(errors: FieldErrors) -> list[dict[str, str]]:
    return [{"pointer": where, "detail": what} for where, what in errors[:20]]
