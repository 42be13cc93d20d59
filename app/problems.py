"""Problem documents (RFC 9457), for whoever answers an error: views, middleware, the server itself."""

import json
from typing import Any
from urllib.parse import quote

CONTENT_TYPE = "application/problem+json"


def reference(path: str) -> str:
    """A path as the URI reference that ``instance`` has to be."""
    return quote(path, safe="/!$&'()*+,;=:@")


def problem(status: int, slug: str, title: str, detail: str, **extra: Any) -> dict[str, Any]:
    """The members of a problem document, in the order people read them."""
    return {"type": f"/problems/{slug}", "title": title, "status": status, "detail": detail, **extra}


def problem_bytes(status: int, slug: str, title: str, detail: str, **extra: Any) -> bytes:
    """A problem document as JSON."""
    return json.dumps(problem(status, slug, title, detail, **extra), ensure_ascii=False).encode()
