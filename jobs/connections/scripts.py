"""The Lua scripts, one verb a file, each with the shared prelude in front."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.exceptions import BusyLoadingError, ConnectionError, NoScriptError

NAMES = (
    *("submit", "submit_batch", "claim", "progress", "finish", "requeue", "watch", "delete"),
    *("list", "records", "announce"),
    *("renew", "survey", "enqueue", "put_off", "handed_over", "hand_over_again", "sweep"),
    *("set_aside", "put_back", "free"),
    *("add_webhook", "end_webhook", "end_callback"),
    *("plan_deliveries", "take_deliveries", "put_off_delivery", "end_delivery", "put_back_delivery"),
    *("join", "next", "beat", "leave", "attempt", "bury", "drop"),
    "span",
)
SHARED = {
    "submit": ("accept", "undo"),
    "submit_batch": ("accept",),
    **dict.fromkeys(("claim", "finish", "requeue"), ("in_batch",)),
    **dict.fromkeys(("plan_deliveries", "put_back_delivery"), ("delivery",)),
    "next": ("subscription", "holding"),
    **dict.fromkeys(("join", "beat", "leave"), ("subscription", "taking_over")),
    **dict.fromkeys(("attempt", "bury", "drop"), ("subscription",)),
}
"""What stands between the prelude and a script."""

MOST_TIMES = 3
INSISTS_FOR = 1.0
"""Seconds after which a broken connection is not followed by another one: a caller is told 503 within two."""


class Scripts:
    """Every script by name, on one client; the server learns each at its first use."""

    def __init__(self, client: Any, ask: Callable[..., Any] | None = None) -> None:
        """``ask`` is a shorter way to the same server, for those that live long: that of a ``Line``."""
        prelude = _text("prelude")
        self._client, self._ask = client, ask or client.execute_command
        self._texts = {name: _flags(name) + prelude + _shared(name) + _text(name) for name in NAMES}
        self._shas = {
            name: sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in self._texts.items()
        }

    def call(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """What the script answers; redis-py's errors."""
        try:
            return self._ask("EVALSHA", self._shas[name], len(keys), *keys, *args)
        except NoScriptError:
            self._client.script_load(self._texts[name])
            return self._ask("EVALSHA", self._shas[name], len(keys), *keys, *args)

    def insist(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """The same, called up to three times within a second while connections break.

        Each call is sent up to twice by a :class:`jobs.connections.line.Line`, so the script may come six times. When a
        connection breaks nobody knows whether it has run: it must do nothing a second time.
        """
        until = time.monotonic() + INSISTS_FOR
        for _ in range(MOST_TIMES - 1):
            try:
                return self.call(name, keys, args)
            except BusyLoadingError:
                raise
            except ConnectionError:
                if time.monotonic() > until:
                    raise
        return self.call(name, keys, args)


def _flags(name: str) -> str:
    """A Redis that is full takes no new job and no new webhook, and still lets what it has end.

    What only reads goes on as long as it answers at all.
    """
    if name in {"list", "records", "span"}:
        return "#!lua flags=no-writes\n"
    return "#!lua\n" if name in {"submit", "submit_batch", "add_webhook"} else "#!lua flags=allow-oom\n"


def _shared(name: str) -> str:
    return "".join(_text(part) for part in SHARED.get(name, ()))


@cache
def _text(name: str) -> str:
    return files("jobs").joinpath("lua", f"{name}.lua").read_text("utf-8")
