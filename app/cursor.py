"""The cursor of the job list: a position as an opaque text, and the link to the next page."""

import base64
import binascii
import json
import re
from urllib.parse import urlencode

from jobs.store.listing import Position


def to_cursor(position: Position) -> str:
    text = json.dumps([position.created_at, position.job_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> Position:
    """The position a cursor stands for.

    Raises:
        ValueError: it is no cursor of ours.
    """
    try:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,200}", cursor, re.ASCII):
            raise ValueError
        created_at, job_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if type(created_at) is not int or not isinstance(job_id, str) or not 0 <= created_at < 2**53:
            raise ValueError
        job_id.encode()
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise ValueError("Not a cursor from a Link of ours.") from error
    return Position(created_at, job_id)


def next_link(url: str, query: list[tuple[str, str]], position: Position) -> str:
    """The value of a ``Link`` header for the page after ``position``."""
    kept = [(name, value) for name, value in query if name != "cursor"]
    return f'<{url}?{urlencode([*kept, ("cursor", to_cursor(position))])}>; rel="next"'
