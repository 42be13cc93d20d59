"""Results as JSON text: what a job function returns, written strictly."""

import json
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from jobs.errors import JobError


def dump(value: Any) -> str:
    """``value`` as compact JSON. Dates become ISO text, UUIDs and Decimals text, sets and dataclasses what they hold.

    Raises:
        JobError: it holds NaN, an infinity, a lone surrogate or something that is no JSON (``result-not-json``).
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise JobError(f"The result cannot be written as JSON: {error}.", error_type="result-not-json") from error
    return text


def _plain(value: Any) -> Any:
    match value:
        case datetime() | date():
            return value.isoformat()
        case UUID() | Decimal():
            return str(value)
        case set() | frozenset():
            return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is no JSON type")
