"""What gunicorn has read of a connection beyond what was asked for: of a body, or of the next request."""

from typing import Any


def read_ahead(unreader: Any) -> int:
    """How many bytes it holds."""
    held = unreader.take_buffered()
    if held:
        unreader.unread(held)
    return len(held)


def has_come(body: Any) -> bool:
    """Whether all of a body of known length is held, so that nobody waits who reads it."""
    reader: Any = getattr(body, "reader", None)
    length = getattr(reader, "length", None)
    return length is not None and read_ahead(reader.unreader) >= length


def may_come(body: Any) -> bool:
    """Whether a part of a body that nobody has read is not held either, and so comes later or lies in the kernel."""
    reader = body.reader
    length = getattr(reader, "length", None)
    if length is None:
        return reader.parser is not None
    return length > 0 and not has_come(body)
