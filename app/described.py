"""What a view reads of the headers and what it answers, for the OpenAPI document."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeVar

from flask_smorest import Blueprint
from marshmallow import Schema

from app.schemas import ProblemSchema

View = TypeVar("View", bound=Callable[..., Any])

PROBLEM = {"schema": ProblemSchema, "content_type": "application/problem+json"}

_TEXT = {"type": "string"}
_URL = {"type": "string", "format": "uri"}

REQUEST_HEADERS: dict[str, dict[str, Any]] = {
    "Prefer": {
        "description": "RFC 7240: `wait=N` (seconds), `respond-async`; of a submit of one job also `return=minimal`.",
        "schema": _TEXT,
    },
    "Idempotency-Key": {
        "description": "Makes the submit repeatable, within the owner: the same body gives the same job or batch.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
    },
    "If-None-Match": {"description": "An `ETag` that you have: 304 while it is the same.", "schema": _TEXT},
    "Last-Event-ID": {
        "description": "The `id` of the last event that you have; what came after it follows.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,20}(-[0-9]{1,20})?$"},
    },
    "traceparent": {
        "description": "W3C Trace Context: the events carry it; a new one if it is none.",
        "schema": _TEXT,
    },
}
ANSWER_HEADERS: dict[str, dict[str, Any]] = {
    "Location": {"description": "The URL to look at it from now on.", "schema": _URL},
    "Content-Location": {"description": "The URL of what is answered.", "schema": _URL},
    "Retry-After": {"description": "Whole seconds.", "schema": {"type": "integer", "minimum": 1}},
    "ETag": {"description": "The version, for `If-None-Match`.", "schema": _TEXT},
    "Link": {"description": '`<…>; rel="next"`: the next page, if there may be one.', "schema": _TEXT},
    "Preference-Applied": {"description": "What of `Prefer` was used, if anything.", "schema": _TEXT},
    "Vary": {"description": "`Prefer`, if anything of it was used.", "schema": _TEXT},
    "Idempotency-Replayed": {
        "description": "It was made by an earlier submit under this `Idempotency-Key`.",
        "schema": {"type": "string", "const": "true"},
    },
}
"""Each is there once, as a component of the document."""

PREFERRED = ("Preference-Applied", "Vary")
"""Of an answer to a request that may wait."""
VERSIONED = ("ETag", *PREFERRED)
SUBMITTED = (*VERSIONED, "Idempotency-Replayed")

_any = Blueprint("described", __name__)
"""Only blueprints can describe; which one it is makes no difference."""


def described(*decorators: Callable[..., Any]) -> Callable[[View], View]:
    """Take what these decorators of flask-smorest's and ours write into the document, and leave the view alone.

    Our views answer with finished responses; each of those decorators would wrap the view once more, which costs a
    request that waits a kilobyte of C stack.
    """

    def decorate(view: View) -> View:
        wrapped = view
        for decorator in reversed(decorators):
            wrapped = decorator(wrapped)
        view._apidoc = wrapped._apidoc  # type: ignore[attr-defined]
        return view

    return decorate


def reads(*names: str) -> Callable[[View], View]:
    """The view reads these of :data:`REQUEST_HEADERS`; said by ``doc``, they would hide what ``arguments`` says."""

    def decorate(view: View) -> View:
        about = deepcopy(getattr(view, "_apidoc", {}))
        about.setdefault("arguments", {}).setdefault("parameters", []).extend(names)
        view._apidoc = about  # type: ignore[attr-defined]
        return view

    return decorate


def headers(*names: str) -> dict[str, str]:
    """These of :data:`ANSWER_HEADERS`, as an answer has them."""
    return {name: name for name in names}


def problems(*statuses: int) -> list[Callable[..., Any]]:
    """The problem documents of these statuses."""
    return [
        _any.alt_response(status, headers=headers("Retry-After") if status == 503 else None, **PROBLEM)
        for status in statuses
    ]


def accepted(schema: type[Schema]) -> Callable[..., Any]:
    """The 202 of a submit."""
    sent = headers("Location", "Retry-After", *SUBMITTED)
    answer: Callable[..., Any] = _any.alt_response(202, schema=schema, headers=sent, description="It goes on.")
    return answer


def not_modified() -> Callable[..., Any]:
    """The 304 of what is waited for."""
    answer: Callable[..., Any] = _any.alt_response(
        304,
        headers=headers("Retry-After", *VERSIONED),
        description="`If-None-Match` names this version; `Retry-After` if it goes on.",
    )
    return answer
