"""JSON as RFC 8259 writes it and nothing beyond, so that what we accept means the same to everybody."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

DEEPEST = 32
SHOWN = 60
"""Characters of what was sent that a message repeats at most."""

_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_LONGEST_INTEGER = 400


class MalformedJson(Exception):
    """The body is no JSON that we read; the text says what is wrong, and where."""


class UnstorableText(Exception):
    """A string holds a lone surrogate, which no UTF-8 can say; ``pointer`` is its JSON pointer."""

    def __init__(self, pointer: str) -> None:
        self.pointer = pointer
        super().__init__("A string holds a lone surrogate (half of a UTF-16 pair): it cannot be stored as text.")


def loads(body: bytes) -> Any:
    """Read a request's body.

    Raises:
        MalformedJson: not UTF-8, not JSON, a key twice, a number too large, or more than 32 levels deep.
        UnstorableText: a string or key holds a lone surrogate.
    """
    if not body.strip(b" \t\r\n"):
        raise MalformedJson("The body is empty; a JSON document is expected.")
    if body.count(b"[") + body.count(b"{") > DEEPEST:
        _check_depth(body)
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_no_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except UnicodeDecodeError as error:
        raise MalformedJson(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedJson(f"The body is not JSON: {error.msg} ({where}).") from error
    if _SURROGATE_ESCAPE.search(body):
        for pointer, text in _texts(value, ""):
            if not _is_storable(text):
                raise UnstorableText(pointer)
    return value


def _check_depth(body: bytes) -> None:
    """Count brackets outside strings, before anything recursive sees them."""
    depth = 0
    for match in re.finditer(rb'"(?:[^"\\]+|\\.)*"?|[\[{]|[\]}]', body, re.DOTALL):
        match match[0][:1]:
            case b"[" | b"{":
                depth += 1
                if depth > DEEPEST:
                    raise MalformedJson(f"The body is nested more than {DEEPEST} levels deep.")
            case b"]" | b"}":
                depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise MalformedJson(f"The key {_shown(twice)} stands twice in one object.")
    return members


def _no_constant(name: str) -> NoReturn:
    raise MalformedJson(f"{name} is not JSON: there is no number of that name.")


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise MalformedJson("A number is too large: it does not fit a double.")
    return number


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise MalformedJson(f"A number is too large: it has {len(text)} digits.")
    number = int(text)
    try:
        float(number)
    except OverflowError as error:
        raise MalformedJson("A number is too large: it does not fit a double.") from error
    return number


def _texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            below = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            yield below if _is_storable(name) else pointer, name
            yield from _texts(inner, below)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{pointer}/{index}")


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(text: str) -> str:
    return ascii(text if len(text) <= SHOWN else text[:SHOWN] + "…")
