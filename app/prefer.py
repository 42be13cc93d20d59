"""The Prefer header (RFC 7240), and how long a request waits."""

import re
from dataclasses import dataclass

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
# A quote that never closes runs to the end: a part of it that failed to match would be tried again from every quote.
_ELEMENT = re.compile(r'(?:"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[^,"])+', re.DOTALL)
_PREFERENCE = re.compile(rf"\s*({_WORD})\s*(?:=\s*({_WORD}|{_QUOTED})\s*)?(?:;.*)?", re.DOTALL)
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)
_ASKS_TO_WAIT = re.compile(r"\s*wait\s*=(.*)", re.DOTALL | re.IGNORECASE)
_LONGEST_WAIT = 400
"""Characters: as many as the longest number has that JSON may hold."""


@dataclass(frozen=True, slots=True)
class Prefer:
    """What a client prefers, of what we know."""

    wait: str | None = None
    """The text of ``wait``, unchecked."""
    respond_async: bool = False
    return_minimal: bool = False


@dataclass(frozen=True, slots=True)
class WaitChoice:
    seconds: float
    from_prefer: bool
    """Whether the Prefer header decided it."""


def parse_prefer(header: str) -> Prefer:
    """Read the Prefer header, several of which WSGI makes one, with commas.

    The first of equal preferences counts. What is malformed does not, but for a wait: whoever says one is told.
    """
    found: dict[str, str] = {}
    for element in _ELEMENT.findall(header):
        match = _PREFERENCE.fullmatch(element)
        if match:
            found.setdefault(match[1].lower(), _unquoted(match[2] or ""))
        elif wait := _ASKS_TO_WAIT.fullmatch(element):
            found.setdefault("wait", wait[1].strip())
    return Prefer(found.get("wait"), "respond-async" in found, found.get("return", "").lower() == "minimal")


def parse_wait_text(text: str) -> float:
    """Seconds written as plain decimal digits, such as ``10`` or ``0.25``.

    Raises:
        ValueError: anything else.
    """
    if len(text) > _LONGEST_WAIT or not _DECIMAL.fullmatch(text):
        raise ValueError("A wait is a number of seconds of at least 0, such as 10 or 0.25.")
    return float(text)


def choose_wait(asked: float | None, prefer: Prefer, default_wait: float, max_wait: float) -> WaitChoice:
    """How long to wait: what the body or query asked for, else Prefer, else the default; clamped.

    Raises:
        ValueError: Prefer's wait decides and is no number of seconds.
    """
    if asked is not None:
        return WaitChoice(min(asked, max_wait), from_prefer=False)
    if prefer.wait is not None:
        return WaitChoice(min(parse_wait_text(prefer.wait), max_wait), from_prefer=True)
    if prefer.respond_async:
        return WaitChoice(0.0, from_prefer=True)
    return WaitChoice(min(default_wait, max_wait), from_prefer=False)


def preference_applied(prefer: Prefer, choice: WaitChoice, minimal_applied: bool) -> str | None:
    """The value of Preference-Applied: what of Prefer was used, as it was used. A wait in the body overrides both."""
    applied = []
    if choice.from_prefer and prefer.respond_async:
        applied.append("respond-async")
    if choice.from_prefer and prefer.wait is not None:
        applied.append(f"wait={_decimal(choice.seconds)}")
    if minimal_applied:
        applied.append("return=minimal")
    return ", ".join(applied) or None


def _decimal(seconds: float) -> str:
    """As ``parse_wait_text`` reads it: without exponent, and without a fraction when there is none."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".")


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
