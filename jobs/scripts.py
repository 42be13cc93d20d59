"""The Lua scripts, one verb a file, each with the shared prelude in front."""

from importlib.resources import files

from redis import Redis
from redis.commands.core import Script

NAMES = (
    *("submit", "claim", "progress", "finish", "requeue", "watch", "delete"),
    *("list", "announce"),
    *("renew", "survey", "enqueue", "sweep"),
)


def load(client: "Redis") -> dict[str, Script]:
    """Every script by name, bound to ``client``; the server learns each at its first use."""
    prelude = _text("prelude")
    return {name: client.register_script(prelude + _text(name)) for name in NAMES}


def _text(name: str) -> str:
    return files("jobs").joinpath("lua", f"{name}.lua").read_text("utf-8")
