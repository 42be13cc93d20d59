"""Where a process of ours listens: what its environment says, and whether a port can be had."""

import socket
from collections.abc import Mapping
from errno import EACCES, EADDRINUSE
from typing import NamedTuple

LOCALHOST = "127.0.0.1"
HIGHEST_PORT = 65535


class Refusal(NamedTuple):
    """Why nobody can listen there, and whether another port would do; else it takes another host."""

    why: str
    is_of_port: bool


def number(environ: Mapping[str, str], name: str, default: int, most: int, problems: list[str]) -> int:
    """The variable ``name``, from 1 to ``most``; the default where it is another, which is added to ``problems``."""
    text = environ.get(name) or str(default)
    if text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most:
        return int(text)
    problems.append(f"{name}={text[:40]!r} is not a whole number from 1 to {most}")
    return default


def refused(host: str, port: int) -> Refusal | None:
    """Why a server could not listen there now; None if it could."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (UnicodeError, TypeError):  # a host that no name can be
            return Refusal("no such host", False)
        except OSError as error:
            return Refusal(error.strerror or "no such host", error.errno in {EADDRINUSE, EACCES})
    return None
