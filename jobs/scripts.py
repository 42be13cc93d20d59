"""The Lua scripts, one verb a file, each with the shared prelude in front."""

from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis.exceptions import NoScriptError

NAMES = (
    *("submit", "claim", "progress", "finish", "requeue", "watch", "delete"),
    *("list", "announce"),
    *("renew", "survey", "enqueue", "sweep"),
    *("set_aside", "put_back", "free"),
    *("join", "next", "beat", "leave", "attempt", "bury", "drop"),
    "span",
)
SHARED = {
    "next": ("subscription", "holding"),
    **dict.fromkeys(("join", "beat", "leave"), ("subscription", "taking_over")),
    **dict.fromkeys(("attempt", "bury", "drop"), ("subscription",)),
}
"""What stands between the prelude and a script."""


class Scripts:
    """Every script by name, on one client; the server learns each at its first use.

    redis-py's own ``Script`` does the same, and spends more time on a call than the server.
    """

    def __init__(self, client: Any) -> None:
        prelude = _text("prelude")
        self._client = client
        self._texts = {name: _flags(name) + prelude + _shared(name) + _text(name) for name in NAMES}
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


def _flags(name: str) -> str:
    """A Redis that is full takes no new job, and still lets those that it has end."""
    return "#!lua\n" if name == "submit" else "#!lua flags=allow-oom\n"


def _shared(name: str) -> str:
    return "".join(_text(part) for part in SHARED.get(name, ()))


def _text(name: str) -> str:
    return files("jobs").joinpath("lua", f"{name}.lua").read_text("utf-8")
