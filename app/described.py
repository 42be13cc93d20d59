"""What a view answers, for the OpenAPI document."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask_smorest import Blueprint

from app.schemas import ProblemSchema

View = TypeVar("View", bound=Callable[..., Any])

PROBLEM = {"schema": ProblemSchema, "content_type": "application/problem+json"}
RETRY_AFTER = {"Retry-After": {"description": "Whole seconds, at least 1.", "schema": {"type": "integer"}}}
"""The header of an answer that is to be asked for again."""

_any = Blueprint("described", __name__)
"""Only blueprints can describe; which one it is makes no difference."""


def described(*decorators: Callable[..., Any]) -> Callable[[View], View]:
    """Take what flask-smorest's ``response`` and ``alt_response`` write into the document, and leave the view alone.

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


def problems(*statuses: int) -> list[Callable[..., Any]]:
    """The problem documents of these statuses."""
    return [_any.alt_response(status, **PROBLEM) for status in statuses]
