"""The URL of Redis: what it may say.

redis-py, kombu and Celery read it each in its own way: what one of them takes, another one dies of, or passes over. So
nothing may be in it but what :mod:`jobs.connections.client` and :mod:`jobs.celery_app` can tell all of them.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl, urlsplit

WORDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"ssl_cert_reqs": ("required", "optional", "none"), "ssl_check_hostname": ("true", "false")}
)
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""Parameters that name a file of PEM."""


def check_redis_url(text: str) -> None:
    """Raise ValueError, which says why, unless every process can use it."""
    parts = urlsplit(text)
    if not text.startswith(("redis://", "rediss://")) or not parts.hostname or "#" in text:
        raise ValueError("is not a Redis URL such as redis://127.0.0.1:6379/0")
    if re.search(r"[\s;]", text):  # urlsplit drops line breaks; kombu takes what follows a semicolon for another URL
        raise ValueError("has a blank or a semicolon in it, which are written %20 and %3B")
    try:
        parts.hostname.encode("idna")  # as Python does before it asks who that is
    except UnicodeError:
        raise ValueError("names a host that no host can be called") from None
    if not re.fullmatch(r"/?[0-9]{0,4}", parts.path):
        raise ValueError("names no database number after the slash")
    if parts.query:
        _check_query(parts.query, is_tls=parts.scheme == "rediss")


def _check_query(query: str, *, is_tls: bool) -> None:
    told = parse_qsl(query, keep_blank_values=True)
    if not is_tls:
        raise ValueError("ends with a query, which is for rediss:// alone")
    if strange := [name for name, _ in told if name not in WORDS and name not in FILES]:
        raise ValueError(f"has the parameter {strange[0][:40]!r}; it may have {', '.join((*WORDS, *FILES))}")
    if len(told) > len(dict(told)) or not told:
        raise ValueError("ends with a query that is none, or has a parameter twice")
    for name, value in told:
        if name in WORDS and value not in WORDS[name]:
            raise ValueError(f"has a {name} that is none of {', '.join(WORDS[name])}")
        if name in FILES and not Path(value).is_file():
            raise ValueError(f"has a {name} that is no file")
    if "ssl_keyfile" in dict(told) and "ssl_certfile" not in dict(told):
        raise ValueError("has an ssl_keyfile without its ssl_certfile")
