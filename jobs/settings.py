"""Every setting: environment variables ``JOBS_…``, read once, all mistakes reported together."""

import ipaddress
import math
import os
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobs.addresses import Allowed, Network
from jobs.errors import SettingsError
from jobs.names import JOB_TYPE
from jobs.redis_url import check_redis_url

SHORTEST_RETENTION = 0.1
"""Seconds: whoever waits for a job must find it."""
SHORTEST_KEPT = 1.0
"""Seconds: an Idempotency-Key that is forgotten at once makes two jobs of a submit that is sent twice."""
SHORTEST_LEASE = 0.5
"""Seconds."""
BEATS_A_LEASE = 4
"""How often a lease is renewed while it lasts: three times may be lost before others take over."""
WEBHOOK_KEY_BYTES = range(24, 65)
"""How long the key in ``JOBS_WEBHOOK_SECRET`` may be."""
LONGEST = 3_000_000_000
"""Seconds that a setting may say, some 95 years: what is added to a time of now stays a time that can be told."""

_HTTP_URL = re.compile(
    r"(?i:https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?(/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
)
"""RFC 3986, without user, query and fragment: more is put after it, between quotes in events and <> in headers."""


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        raise ValueError("is not a number of seconds")
    if float(text) > LONGEST:
        raise ValueError(f"is more than {LONGEST:g} seconds")
    return float(text)


def _retention(text: str) -> float:
    if _seconds(text) < SHORTEST_RETENTION:
        raise ValueError(f"is less than {SHORTEST_RETENTION:g} seconds")
    return _seconds(text)


def _key_kept(text: str) -> float:
    if _seconds(text) < SHORTEST_KEPT:
        raise ValueError(f"is less than {SHORTEST_KEPT:g} second")
    return _seconds(text)


def _lease(text: str) -> float:
    if _seconds(text) < SHORTEST_LEASE:
        raise ValueError(f"is less than {SHORTEST_LEASE:g} seconds")
    return _seconds(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) < 1:
        raise ValueError("is not a whole number of at least 1")
    return int(text)


def _redis_url(text: str) -> str:
    check_redis_url(text)
    _check_port(text)
    return text


def _broker_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"amqp", "amqps"} or not parts.hostname:
        raise ValueError("is not a RabbitMQ URL such as amqp://user:password@127.0.0.1:5672//")
    _check_port(text)
    return text


def _http_url(text: str) -> str:
    if not _HTTP_URL.fullmatch(text):
        raise ValueError("is not a URL such as https://jobs.example.org, with a path or without")
    _check_port(text)
    return text.rstrip("/")


def _check_port(url: str) -> None:
    try:
        port = urlsplit(url).port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("has a port that is no port number")


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError("is not a list of addresses or networks such as 10.0.0.0/8,127.0.0.1") from error


def _modules(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not all(re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name, re.ASCII) for name in names):
        raise ValueError("is not a list of Python modules such as reports.jobs,images.jobs")
    return names


def _job_type(text: str) -> str:
    if not JOB_TYPE.allows(text):
        raise ValueError("is not the name of a job type")
    return text


def _allowed(text: str) -> Allowed:
    try:
        return Allowed.from_text(text)
    except ValueError as error:
        raise ValueError("is not a list of hosts, addresses or networks such as hooks.local,10.1.2.0/24") from error


def _webhook_keys(text: str) -> tuple[bytes, ...]:
    """The keys in secrets, as Standard Webhooks writes them; what is wrong is told without a word of it."""
    return tuple(_webhook_key(part.strip()) for part in text.split(","))


def _webhook_key(text: str) -> bytes:
    try:
        encoded = text.removeprefix("whsec_")
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = b""
    if encoded == text or len(key) not in WEBHOOK_KEY_BYTES:
        raise ValueError("is not whsec_ and the base64 of 24 to 64 bytes, or several of these with commas between")
    return key


def _setting(default: Any, parse: Callable[[str], Any], meaning: str, *, shown: bool = True) -> Any:
    return field(default=default, repr=shown, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one process; the field ``max_wait`` is the variable ``JOBS_MAX_WAIT``."""

    # ruff: noqa: RUF009  (_setting makes a dataclass field)
    redis_url: str = _setting("redis://127.0.0.1:6379/0", _redis_url, "where state and queue live")
    broker_url: str | None = _setting(None, _broker_url, "RabbitMQ, where the queue is not to be in Redis")
    public_url: str | None = _setting(None, _http_url, "what our URLs start with; else the request's own")
    default_wait: float = _setting(0.0, _seconds, "seconds a submit waits when it does not say")
    max_wait: float = _setting(60.0, _seconds, "the longest wait in seconds; more is clamped")
    max_waiters: int = _setting(20_000, _count, "requests that may wait in one web process")
    max_queue: int = _setting(1_000_000, _count, "jobs that may be New; past them a submit is answered 503")
    max_body: int = _setting(1_048_576, _count, "bytes of a request's body")
    max_result: int = _setting(1_048_576, _count, "bytes of a job's result, as JSON")
    trusted_proxies: tuple[Network, ...] = _setting((), _networks, "whose forwarded headers count")
    idempotency_ttl: float = _setting(86_400.0, _key_kept, "seconds an Idempotency-Key is kept")
    lease: float = _setting(6.0, _lease, "seconds after which a silent worker's jobs are given to others")
    grace: float = _setting(25.0, _seconds, "seconds that a worker which is stopped leaves its running jobs")
    max_memory: int = _setting(2_147_483_648, _count, "bytes of memory for each process that runs jobs")
    retention: float = _setting(604_800.0, _retention, "seconds a final job is kept")
    stream_length: int = _setting(100_000, _count, "events kept in each stream, about, while no group needs more")
    stream_hard_length: int | None = _setting(None, _count, "events a stream holds at most, about; 10 x the above")
    default_type: str = _setting("demo.random_delay", _job_type, "what the seed's endpoints run")
    modules: tuple[str, ...] = _setting((), _modules, "Python modules with job types of your own")
    webhook_secret: tuple[bytes, ...] = _setting((), _webhook_keys, "the keys that sign callbacks", shown=False)
    webhook_allow: Allowed = _setting(Allowed(), _allowed, "what callbacks may reach although it is not public")
    audit_file: Path | None = _setting(None, Path, "what `subscribers.audit` writes; else audit.jsonl in data_dir")
    data_dir: Path = _setting(Path(".data"), Path, "where `make run` keeps the embedded server's data")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings from ``environ``.

        Raises:
            SettingsError: a value cannot be read or a ``JOBS_…`` variable is no setting; it names them all.
        """
        known = {f"JOBS_{f.name.upper()}": f for f in fields(cls)}
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name in sorted(n for n in environ if n.startswith("JOBS_")):
            if name not in known:
                problems.append(_unknown(name, list(known)))
            elif environ[name] != "":
                try:
                    values[known[name].name] = known[name].metadata["parse"](environ[name])
                except ValueError as error:
                    problems.append(f"{name}={_shown(name, environ[name])} {error}")
        settings = cls(**values)
        if settings.default_wait > settings.max_wait:
            problems.append(f"JOBS_DEFAULT_WAIT={settings.default_wait:g} is above JOBS_MAX_WAIT={settings.max_wait:g}")
        if settings.most_events < settings.stream_length:
            problems.append(
                f"JOBS_STREAM_HARD_LENGTH={settings.most_events} is below JOBS_STREAM_LENGTH={settings.stream_length}"
            )
        if problems:
            raise SettingsError(problems)
        return settings

    @property
    def most_events(self) -> int:
        """Events that a stream holds at most, about, whoever still needs them."""
        return self.stream_hard_length or 10 * self.stream_length

    @property
    def stream_limits(self) -> str:
        """How long the streams may get, as ``emit`` in prelude.lua reads it."""
        return f"{self.most_events} {self.stream_length} {math.ceil(self.retention)}"


def _unknown(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"{name} is no setting" + (f" (did you mean {close[0]}?)" if close else "")


def _shown(name: str, value: str) -> str:
    """The value as an error may show it: a URL may hold a password, and a secret is one."""
    hidden = name.endswith("_SECRET") or (name.endswith("_URL") and ("@" in value or "password" in value))
    return "…" if hidden else repr(value[:100])
