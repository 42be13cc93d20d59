"""What a message in a queue must be, checked before Celery sees it.

Celery and kombu trust what lies in the list: a message that is no JSON, or has a member of an unexpected type, ends the
worker, and is given to the next one if it was noted as fetched before. Only what this module lets through is safe to
hand on. It parses each message once, as kombu would, and the checks cost a few microseconds.
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from functools import lru_cache
from math import inf
from time import time
from types import MappingProxyType
from typing import Any

from celery.utils.time import maybe_iso8601, maybe_make_aware
from kombu.utils.json import dumps, loads

from jobs.errors import UnusableMessage

LARGEST = 2_000_000
"""Bytes of a message, from which on it is too large."""
DEEPEST = 100
"""Levels of lists and objects: a pool pickles them for its processes, and gives up some hundreds of levels down."""
LONGEST_LIMIT = 1e9
"""Seconds of a time limit."""
_REMEMBERED = 512
"""Characters of a body whose check is remembered: all our jobs have one and the same."""

_TEXT, _NUMBER, _NONE = str, int, type(None)
_HEADERS: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "task": (_TEXT,),
        "id": (_TEXT,),
        "root_id": (_TEXT, _NONE),
        "parent_id": (_TEXT, _NONE),
        "shadow": (_TEXT, _NONE),
        "argsrepr": (_TEXT, _NONE),
        "kwargsrepr": (_TEXT, _NONE),
        "origin": (_TEXT, _NONE),
        "group": (_TEXT, _NONE),
        "group_index": (_NUMBER, _NONE),
        "retries": (_NUMBER, _NONE),
        "replaced_task_nesting": (_NUMBER, _NONE),
        "ignore_result": (bool, _NONE),
        "stamps": (dict, _NONE),
        "stamped_headers": (list, _NONE),
        "timelimit": (list, _NONE),
        "eta": (_TEXT, _NONE),
        "expires": (_TEXT, _NONE),
        "compression": (_NONE,),
        "owner": (_TEXT, _NONE),
    }
)
_PROPERTIES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "delivery_tag": (_TEXT,),
        "delivery_info": (dict,),
        "body_encoding": (_TEXT, _NONE),
        "priority": (_NUMBER, _NONE),
        "correlation_id": (_TEXT, _NONE),
        "reply_to": (_TEXT, _NONE),
    }
)
_EMBED = frozenset({"callbacks", "errbacks", "chain", "chord"})
_SIGNATURE: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {"task": (_TEXT,), "args": (list, _NONE), "kwargs": (dict, _NONE), "options": (dict, _NONE)}
)
_NO_LIMITS = [None, None]
_JSON = "application/json"
_ENCODINGS = frozenset({None, "utf-8", "utf8", "us-ascii", "ascii"})


def read(raw: bytes, longest_wait: float) -> dict[str, Any]:
    """The message as kombu's JSON reads it; ``longest_wait`` is how many seconds away its time may be.

    Raises:
        UnusableMessage: Celery must not see it.
    """
    message = _parse(raw)
    headers, properties = _object(message, "headers"), _object(message, "properties")
    _check_properties(properties)
    check_headers(headers, longest_wait)
    if message.get("content-type") != _JSON:
        raise UnusableMessage(f"the content type is {_shown(message.get('content-type'))}, not {_JSON}")
    encoding = message.get("content-encoding")
    if encoding != "utf-8" and not (isinstance(encoding, str | None) and encoding in _ENCODINGS):
        raise UnusableMessage(f"the content encoding is {_shown(encoding)}, not utf-8")
    _check_body(message.get("body"), properties.get("body_encoding"))
    return message


def _parse(raw: bytes) -> dict[str, Any]:
    if len(raw) >= LARGEST:
        raise UnusableMessage(f"it has {len(raw)} bytes, {LARGEST} or more")
    if not raw:
        raise UnusableMessage("it is empty")
    message = _from_json(raw, "it")
    if not isinstance(message, dict):
        raise UnusableMessage(f"it is no object but {_shown(message)}")
    if _may_hold_surrogates(raw):
        _refuse_lone_surrogates(message)
    return message


def _from_json(raw: bytes, what: str) -> Any:
    try:
        value = loads(raw.decode()) if _may_name_types(raw) else json.loads(raw.decode())
    except UnicodeDecodeError as error:
        raise UnusableMessage(f"{what} is not UTF-8: {error.reason} at byte {error.start}") from error
    except RecursionError as error:
        raise UnusableMessage(f"{what} is nested too deep") from error
    except Exception as error:  # kombu decodes members of the form {"__type__", "__value__"}: anything may come of it
        raise UnusableMessage(f"{what} is not JSON: {str(error)[:200]}") from error
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and _is_deeper(value, DEEPEST):
        raise UnusableMessage(f"{what} is nested too deep")
    return value


def _may_name_types(raw: bytes) -> bool:
    """Whether kombu's JSON may see more in it than JSON; it looks at each object for that."""
    return b"__type__" in raw or b"\\u" in raw


def _may_hold_surrogates(raw: bytes) -> bool:
    return b"\\" in raw and (b"\\ud" in raw or b"\\uD" in raw)  # the first is the quickest


def _refuse_lone_surrogates(message: Any) -> None:
    try:
        dumps(message, default_kwargs={"ensure_ascii": False}).encode()
    except UnicodeEncodeError as error:
        raise UnusableMessage("it holds a lone surrogate, which is no text") from error


def _object(message: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = message.get(name)
    if not isinstance(value, dict) or not value:
        raise UnusableMessage(f"it has no {name}" if not value else f"the {name} are {_shown(value)}, not an object")
    return value


def _check_types(values: Mapping[str, Any], what: str) -> None:
    name = _wrong(what, tuple(values), tuple(map(type, values.values())))
    if name is not None:
        told = f"cannot be {_shown(values[name])}" if name in values else "is missing"
        raise UnusableMessage(f"the {what} {name} {told}")


@lru_cache(maxsize=256)
def _wrong(what: str, names: tuple[str, ...], types: tuple[type, ...]) -> str | None:
    """The name of a value whose type is not allowed. Messages differ in their values, and hardly in their types."""
    found = dict(zip(names, types, strict=True))
    allowed = _HEADERS if what == "header" else _PROPERTIES
    return next((name for name, kinds in allowed.items() if not issubclass(found.get(name, _NONE), kinds)), None)


def _check_properties(properties: Mapping[str, Any]) -> None:
    _check_types(properties, "property")
    if not properties["delivery_tag"]:
        raise UnusableMessage("the property delivery_tag is empty")
    if properties.get("body_encoding") not in {None, "base64"}:
        raise UnusableMessage(f"the property body_encoding cannot be {_shown(properties['body_encoding'])}")
    info = properties["delivery_info"]
    for name in ("exchange", "routing_key"):
        if not isinstance(info.get(name), str):
            raise UnusableMessage(f"the property delivery_info has no {name}")


def check_headers(headers: Mapping[str, Any], longest_wait: float = inf) -> None:
    """The headers alone: all that is to be looked at where another broker has read the message.

    Raises:
        UnusableMessage: Celery must not see it.
    """
    _check_types(headers, "header")
    if headers.get("owner", "") is None:
        raise UnusableMessage("the header owner cannot be None")
    for name in ("id", "task"):
        if not 0 < len(headers[name]) <= 1024:
            raise UnusableMessage(f"the header {name} cannot have {len(headers[name])} characters")
    limits = headers.get("timelimit")
    if limits and limits != _NO_LIMITS and not (len(limits) == 2 and all(map(_is_limit, limits))):
        raise UnusableMessage(f"the header timelimit cannot be {_shown(limits)}")
    stamped = headers.get("stamped_headers")
    if stamped and not all(isinstance(stamp, str) for stamp in stamped):
        raise UnusableMessage(f"the header stamped_headers cannot be {_shown(headers['stamped_headers'])}")
    if headers.get("eta") is not None and _time(headers, "eta") > time() + longest_wait:
        raise UnusableMessage(f"the eta {_shown(headers['eta'])} is more than {longest_wait:g} seconds away")
    if headers.get("expires") is not None:
        _time(headers, "expires")


def _is_limit(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST_LIMIT


def _time(headers: Mapping[str, Any], name: str) -> float:
    try:
        at: float = maybe_make_aware(maybe_iso8601(headers[name]), "UTC").timestamp()
    except Exception as error:  # dateutil's, and whatever the ends of the calendar raise
        raise UnusableMessage(f"the {name} {_shown(headers[name])} is no ISO 8601 time") from error
    if at < 0:
        raise UnusableMessage(f"the {name} {_shown(headers[name])} is before 1970")
    return at


def _check_body(body: Any, encoding: str | None) -> None:
    if not isinstance(body, str) or not body:
        raise UnusableMessage("it has no body" if not body else f"the body is {_shown(body)}, not text")
    why = _why_body_remembered(body, encoding) if len(body) <= _REMEMBERED else _why_body(body, encoding)
    if why is not None:
        raise UnusableMessage(why)


def _why_body(body: str, encoding: str | None) -> str | None:
    """What is wrong with the arguments, in the form ``[args, kwargs, embed]``; None when nothing is."""
    try:
        raw = b64decode(body, validate=True) if encoding else body.encode()
    except ValueError as error:
        return f"the body is not base64: {error}"
    try:
        arguments = _from_json(raw, "the body")
        if _may_hold_surrogates(raw):
            _refuse_lone_surrogates(arguments)
    except UnusableMessage as unusable:
        return str(unusable)
    match arguments:
        case [list(), dict(), embed]:
            return _why_embed(embed)
    return f"the body is not [args, kwargs, embed] but {_shown(arguments)}"


_why_body_remembered = lru_cache(maxsize=256)(_why_body)


def _why_embed(embed: Any) -> str | None:
    if embed is None:
        return None
    if not isinstance(embed, dict) or not embed.keys() <= _EMBED:
        return f"the body's third part cannot be {_shown(embed)}"
    for name in ("callbacks", "errbacks", "chain"):
        signatures = embed.get(name)
        if signatures is not None and not (isinstance(signatures, list) and all(map(_is_signature, signatures))):
            return f"the {name} cannot be {_shown(signatures)}"
    if embed.get("chord") is not None and not _is_signature(embed["chord"]):
        return f"the chord cannot be {_shown(embed['chord'])}"
    return None


def _is_signature(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), types) for name, types in _SIGNATURE.items())


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)


def _shown(value: Any) -> str:
    """The value, short enough for a log."""
    text = ascii(value) if not isinstance(value, str) else ascii(value[:100])
    return text if len(text) <= 100 else text[:99] + "…"
