"""The Lua scripts, one verb a file, each with the shared prelude in front, and submit with the way back too."""

import time
from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.exceptions import BusyLoadingError, ConnectionError, NoScriptError

NAMES = (
    *("submit", "claim", "progress", "finish", "requeue", "watch", "delete"),
    *("list", "announce"),
    *("renew", "survey", "enqueue", "sweep"),
    *("set_aside", "put_back", "free"),
)

MOST_TIMES = 3
INSISTS_FOR = 1.0
"""Seconds after which a broken connection is not followed by another one: a caller is told 503 within two."""


class Scripts:
    """Every script by name, on one client; the server learns each at its first use.

    redis-py's own ``Script`` does the same, and spends more time on a call than the server.
    """

    def __init__(self, client: Any) -> None:
        prelude, undo = _text("prelude"), _text("undo")
        self._client = client
        self._texts = {
            name: _flags(name) + prelude + (undo if name == "submit" else "") + _text(name) for name in NAMES
        }
        self._shas = {
            name: sha1(text.encode(), usedforsecurity=False).hexdigest() for name, text in self._texts.items()
        }

    def call(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """What the script answers; redis-py's errors."""
        try:
            return self._client.execute_command("EVALSHA", self._shas[name], len(keys), *keys, *args)
        except NoScriptError:
            self._client.script_load(self._texts[name])
            return self._client.execute_command("EVALSHA", self._shas[name], len(keys), *keys, *args)

    def insist(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """The same, called up to three times within a second while connections break; redis-py tries each twice.

        When a connection breaks nobody knows whether the script has run: it must do nothing a second time.
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
    """A Redis that is full takes no new job, and still lets those that it has end."""
    return "#!lua\n" if name == "submit" else "#!lua flags=allow-oom\n"


def _text(name: str) -> str:
    return files("jobs").joinpath("lua", f"{name}.lua").read_text("utf-8")
