"""A callback: the URL that is told of a job's events, and of which of them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from jobs.model.event import FINAL_EVENT_OF, NAMES

LONGEST_URL = 2048
"""Characters."""
USUAL_EVENTS = tuple(FINAL_EVENT_OF.values())
"""What is told when nothing else was asked for: how a job ended."""

_HOST = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})"


@dataclass(frozen=True, slots=True)
class CallbackUrl:
    """An ``http`` or ``https`` URL in its parts."""

    scheme: str
    host: str
    """In lower case; an IPv6 address without its brackets."""
    port: int | None
    place: str
    """Host and port as the header ``Host`` names them."""
    target: str
    """Path and query."""

    @classmethod
    def from_text(cls, text: str) -> "CallbackUrl":
        """Take a URL apart.

        Raises:
            ValueError: it cannot be called; the message is a sentence for whoever sent it.
        """
        if not re.fullmatch(rf"[!-~]{{1,{LONGEST_URL}}}", text, re.ASCII) or "\\" in text:
            raise ValueError(f"Must be at most {LONGEST_URL} visible ASCII characters, without a backslash.")
        if not text.startswith(("http://", "https://")):
            raise ValueError("Must start with http:// or https://.")
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ValueError("Must be a URL with a host, and a port from 1 to 65535 if any.") from error
        if "@" in parts.netloc:
            raise ValueError("Must hold no user and no password.")
        if "#" in text:
            raise ValueError("Must have no fragment, for that is not sent.")
        if port == 0 or not _is_host(host, in_brackets=parts.netloc.startswith("[")):
            raise ValueError("Must be a URL with a host, and a port from 1 to 65535 if any.")
        query = f"?{parts.query}" if parts.query else ""
        return cls(parts.scheme, host, port, parts.netloc.lower(), (parts.path or "/") + query)


@dataclass(frozen=True, slots=True)
class Callback:
    """Where to, and what of: the names of events in the order of :data:`~jobs.model.event.NAMES`."""

    url: str
    events: tuple[str, ...]

    @classmethod
    def to(cls, url: str, events: Iterable[str] = USUAL_EVENTS) -> "Callback":
        wanted = frozenset(events)
        return cls(url, tuple(name for name in NAMES if name in wanted))

    @property
    def text(self) -> str:
        """As it stands in the job's record, and as scripts read it: events with commas, a space, the URL."""
        return f"{','.join(self.events)} {self.url}"


def _is_host(host: str, *, in_brackets: bool) -> bool:
    if not in_brackets:
        return re.fullmatch(_HOST, host, re.ASCII) is not None
    try:
        return IPv6Address(host).scope_id is None
    except ValueError:
        return False
