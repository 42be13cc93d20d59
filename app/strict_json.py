"""JSON as RFC 8259 writes it and nothing beyond, so that what we accept means the same to everybody."""

import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn

DEEPEST = 32
SHOWN = 60
"""Characters of what was sent that a message repeats at most."""

LONGEST_POINTER = 200

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STRING = rb'"(?:[^"\\]+|\\.)*"?'
_BRACKETS = re.compile(_STRING + rb"|[\[{]|[\]}]", re.DOTALL)
_SCALARS = re.compile(_STRING + rb"|[^\s,:\[\]{}\"]+", re.DOTALL)
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_LONGEST_INTEGER = 400


class MalformedJson(Exception):
    """The body is no JSON that we read; the text says what is wrong, and where."""


class _BadNumber(Exception):
    """A number that we do not read, as it stands in the body; ``loads`` knows where that is."""

    def __init__(self, text: str, what: str) -> None:
        self.text, self.what = text, what


class UnstorableText(Exception):
    """A string holds a lone surrogate, which no UTF-8 can say; ``pointer`` is its JSON pointer."""

    def __init__(self, pointer: str) -> None:
        self.pointer = without_its_tail(pointer)
        super().__init__("A string holds a lone surrogate (half of a UTF-16 pair): it cannot be stored as text.")


def loads(body: bytes) -> Any:
    """Read a request's body.

    Raises:
        MalformedJson: not UTF-8, not JSON, a key twice, a number too large, or more than 32 levels deep.
        UnstorableText: a string or key holds a lone surrogate.
    """
    if not body.strip(b" \t\r\n"):
        raise MalformedJson("The body is empty; a JSON document is expected.")
    if body.startswith(_BYTE_ORDER_MARK):
        raise MalformedJson("The body starts with a byte order mark, which JSON does not have (line 1, column 1).")
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
        raise MalformedJson(f"The body is not UTF-8 ({_where(body, error.start)}).") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedJson(f"The body is not JSON: {error.msg} ({where}).") from error
    except _BadNumber as error:
        raise MalformedJson(f"{error.what} ({_where_number(body, error.text)}).") from error
    if _SURROGATE_ESCAPE.search(body):
        pointer = _unstorable(value)
        if pointer is not None:
            raise UnstorableText(pointer)
    return value


def pointer_to(path: Iterable[str | int]) -> str:
    """A path as JSON pointer (RFC 6901): ``['a/b', 0]`` is ``/a~1b/0``."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def without_its_tail(pointer: str) -> str:
    """A pointer as answers show it: a name that was sent is not repeated, however long it is."""
    return pointer if len(pointer) <= LONGEST_POINTER else pointer[:LONGEST_POINTER] + "…"


def _where(body: bytes, offset: int) -> str:
    """Line and column in characters, both from 1, as ``JSONDecodeError`` counts."""
    before = body[:offset].decode(errors="replace")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"line {line}, column {column}"


def _where_number(body: bytes, text: str) -> str:
    """Where the number stands: the first that is refused is the first of its text outside the strings."""
    number = text.encode()
    return _where(body, next((m.start() for m in _SCALARS.finditer(body) if m[0].startswith(number)), 0))


def _check_depth(body: bytes) -> None:
    """Count brackets outside strings, before anything recursive sees them."""
    depth = 0
    for match in _BRACKETS.finditer(body):
        match match[0][:1]:
            case b"[" | b"{":
                depth += 1
                if depth > DEEPEST:
                    where = _where(body, match.start())
                    raise MalformedJson(f"The body is nested more than {DEEPEST} levels deep ({where}).")
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
    raise _BadNumber(name, f"{name} is not JSON: there is no number of that name")


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise _BadNumber(text, "A number is too large: it does not fit a double")
    return number


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise _BadNumber(text, f"A number is too large: it has {len(text.lstrip('-'))} digits")
    number = int(text)
    try:
        float(number)
    except OverflowError as error:
        raise _BadNumber(text, "A number is too large: it does not fit a double") from error
    return number


def _unstorable(value: Any) -> str | None:
    """The pointer of the first string that is not storable, or of the object when that is a key of it."""
    if isinstance(value, str):
        return None if _is_storable(value) else ""
    members: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        if not all(map(_is_storable, value)):
            return ""
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for name, inner in members:
        below = _unstorable(inner)
        if below is not None:
            return pointer_to([name]) + below
    return None


def _is_storable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(text: str) -> str:
    return ascii(text[:SHOWN]) + ("…" if len(text) > SHOWN else "")
