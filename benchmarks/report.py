"""The figures as Markdown."""

import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.load import Figures
from benchmarks.waiting import Waiting

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
Runs = Mapping[tuple[str, int], Sequence[Figures]]


def report(runs: Runs, waiting: Waiting | None, command: str) -> str:
    """Medians over the rounds; the ratio is the median of the rounds' ratios to the first system."""
    names = list(dict.fromkeys(name for name, _ in runs))
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, "
        f"{', '.join(f'{p} {version(p)}' for p in ('celery', 'kombu', 'redis', 'flask', 'gunicorn', 'gevent'))}. "
        f"Reproduce: `{command}`.",
        "",
        "| connections | system | requests/s (min to max) | p50 ms | p99 ms | p99 / p50 | rate, ratio to stock |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    for connections in dict.fromkeys(c for _, c in runs):
        for name in names:
            figures = runs[name, connections]
            ratios = [a.rate / b.rate for a, b in zip(figures, runs[names[0], connections], strict=True)]
            rates, p50, p99 = [f.rate for f in figures], _median(figures, "p50"), _median(figures, "p99")
            bad = sum(f.bad for f in figures)
            lines.append(
                f"| {connections} | {name} | {statistics.median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f}) "
                f"| {p50:.1f} | {p99:.1f} | {p99 / p50:.1f} | {statistics.median(ratios):.2f} |"
                + (f" **{bad} answers were not 200**" if bad else "")
            )
    if waiting:
        lines += [
            "",
            f"With {waiting.waiters:,} requests waiting in the one web process, a no-op job takes "
            f"{waiting.among:.2f} ms; with none waiting {waiting.alone:.2f} ms "
            f"(ratio {waiting.among / waiting.alone:.2f}). "
            f"A waiter costs {waiting.bytes_each / 1000:.1f} kB of the process's memory.",
        ]
    return "\n".join(lines) + "\n"


def write_into(path: Path, text: str) -> None:
    """Replace what stands between the markers in ``path``."""
    before, rest = path.read_text().split(BEGIN, 1)
    _, after = rest.split(END, 1)
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _median(figures: Sequence[Figures], name: str) -> float:
    return statistics.median(getattr(f, name) for f in figures)
