"""The outcomes as Markdown, and their place in a page."""

import math
from collections.abc import Sequence
from pathlib import Path

from faults.outcome import Outcome

BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"
_HEAD = """\
| row | set-up: fault | accepted | faults | lost | finished twice | stale writes refused | recovery s, p50 / p99 / max \
| holds | twin | seed |
|---|---|---:|---|---:|---:|---:|---|---|---|---:|"""


def line(number: str, what: str, outcome: Outcome, seed: int, twin: str = "") -> str:
    cells = [
        *(number, what, _count(outcome.accepted), outcome.faults, _count(outcome.lost), _count(outcome.twice)),
        *(_count(outcome.refused), recovery(outcome.recovery), "yes" if outcome.holds else "**no**", twin, str(seed)),
    ]
    return f"| {' | '.join(cells)} |"


def report(lines: Sequence[str], notes: Sequence[str]) -> str:
    """The whole table, and what is to be said about it."""
    return "\n".join([_HEAD, *lines, *([""] if notes else []), *(f"- {note}" for note in notes)])


def recovery(times: Sequence[float]) -> str:
    """p50, p99 and the longest, and of how many."""
    if not times:
        return ""
    return f"{at(times, 0.5):.2f} / {at(times, 0.99):.2f} / {max(times):.2f} ({len(times)})"


def at(values: Sequence[float], share: float) -> float:
    """The value that a ``share`` of all do not exceed."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def has_markers(page: Path) -> bool:
    text = page.read_text() if page.is_file() else ""
    return -1 < text.find(BEGIN) < text.find(END)


def write(page: Path, text: str) -> None:
    """Put ``text`` between the markers of ``page``."""
    before, rest = page.read_text().split(BEGIN, 1)
    _, after = rest.split(END, 1)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"
