"""One column of a CSV text: which type all its values have, and what they say."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

QUANTILES = (0.25, 0.5, 0.75)

_INTEGER = r"^[+-]?(0|[1-9][0-9]*)$"
_NUMBER = r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_BOOLEAN = r"^(?i:true|false)$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_DATE_WITH_SLASHES = r"^[0-9]{4}/[0-9]{2}/[0-9]{2}$"
_DATETIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?$"


def describe(name: str, texts: list[str]) -> dict[str, Any]:
    """What ``csv.profile`` says of a column; the rules are in its docstring."""
    present = pl.Series(name, texts, dtype=pl.String)
    present = present.filter(present != "")
    kind, values = _typed(present)
    return {
        "name": name,
        "type": kind,
        "count": len(present),
        "missing": len(texts) - len(present),
        "distinct": values.n_unique(),
        "min": _plain(values.min()),
        "max": _plain(values.max()),
        "mean": _within_range(pl.Series.mean, values) if kind in {"integer", "number"} else None,
        "quantiles": _quantiles(values) if kind in {"integer", "number"} else None,
    }


def _typed(texts: pl.Series) -> tuple[str, pl.Series]:
    """The narrowest type that all values have, and the values in it."""
    if len(texts) == 0:
        return "string", texts
    bare = texts.str.strip_chars(" ")
    for kind, rule, convert in _KINDS:
        if bare.str.contains(rule).all():
            values = convert(bare)
            if values is not None and values.null_count() == 0:
                return kind, values
            break
    return "string", texts


def _integers(texts: pl.Series) -> pl.Series:
    return texts.str.strip_prefix("+").cast(pl.Int64, strict=False)


def _numbers(texts: pl.Series) -> pl.Series | None:
    if texts.filter(texts.str.contains(_INTEGER)).str.strip_chars("+-").str.len_chars().ge(16).any():
        return None  # a double would not hold all the digits
    values = texts.str.strip_prefix("+").cast(pl.Float64, strict=False)
    return values if values.is_finite().all() else None


def _booleans(texts: pl.Series) -> pl.Series:
    return texts.str.to_lowercase() == "true"


def _dates(texts: pl.Series) -> pl.Series | None:
    if texts.str.starts_with("0000").any():
        return None  # polars has a year 0, datetime.date has none
    return texts.str.replace_all("/", "-").str.to_date("%Y-%m-%d", strict=False)


def _datetimes(texts: pl.Series) -> pl.Series | None:
    """As ISO text in one zone, which sorts as the times do; times with and without an offset do not mix."""
    try:
        moments = [datetime.fromisoformat(text) for text in texts]
        if len({moment.tzinfo is None for moment in moments}) > 1:
            return None
        same = [moment.astimezone(UTC) if moment.tzinfo else moment for moment in moments]
    except (ValueError, OverflowError):
        return None
    return pl.Series([moment.isoformat(timespec="microseconds") for moment in same], dtype=pl.String)


_KINDS = (
    ("integer", _INTEGER, _integers),
    ("number", _NUMBER, _numbers),
    ("boolean", _BOOLEAN, _booleans),
    ("date", _DATE, _dates),
    ("date", _DATE_WITH_SLASHES, _dates),
    ("datetime", _DATETIME, _datetimes),
)


def _quantiles(values: pl.Series) -> dict[str, float | None]:
    def at(q: float) -> Callable[[pl.Series], Any]:
        return lambda series: series.quantile(q, interpolation="linear")

    return {f"{q:g}": _within_range(at(q), values) for q in QUANTILES}


def _within_range(statistic: Callable[[pl.Series], Any], values: pl.Series) -> Any:
    """``statistic``, worked out on scaled values where a sum or a difference on the way to it leaves the doubles."""
    answer = statistic(values)
    if math.isfinite(answer):
        return answer
    return _plain(statistic(values * 2.0**-64) * 2.0**64)


def _plain(value: Any) -> Any:
    """As JSON can say it; a number that overflowed is unknown."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, date) else value
