"""The figures as Markdown, and their place in a page."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from redis import Redis

from benchmarks import machine
from benchmarks.load import Run
from benchmarks.systems import BenchmarkError, Stock
from benchmarks.waiting import Round

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
_LIBRARIES = ("celery", "kombu", "redis", "flask", "gunicorn", "gevent")
_HEAD = """\
| system | connections | requests/s | p50 ms | p99 ms | p99/p50 | requests/s to stock |
|---|---:|---:|---:|---:|---:|---:|"""


def throughput(runs: Sequence[Run]) -> str:
    """Medians over the rounds with (lowest to highest); the ratio to stock is that of runs made side by side."""
    lines = [_HEAD]
    for connections in sorted({run.connections for run in runs}):
        stock = _of(runs, Stock.name, connections)
        for name in dict.fromkeys(run.system for run in runs):
            some = _of(runs, name, connections)
            ratios = [run.rate / other.rate for run, other in zip(some, stock, strict=True)]
            cells = [
                _cell([run.rate for run in some], "{:.0f}"),
                _cell([run.p50_ms for run in some], "{:.1f}"),
                _cell([run.p99_ms for run in some], "{:.1f}"),
                _cell([run.spread for run in some], "{:.1f}"),
                "1" if name == Stock.name else _cell(ratios, "{:.2f}"),
            ]
            lines.append(f"| {name} | {connections} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", _answers(runs), "", _quiet([run.others for run in runs])])


def waiting(rounds: Sequence[Round], waiters: int) -> str:
    """The cost of requests that wait, median over the rounds with (lowest to highest)."""
    odd = sum((Counter(one.odd) for one in rounds), Counter[str]())
    lines = [
        "| one web process of ours | quick job, p50 ms | ratio | memory for each waiting request |",
        "|---|---:|---:|---:|",
        f"| before: nobody waits | {_cell([one.before_ms for one in rounds], '{:.2f}')} | 1 | |",
        f"| then: {waiters} requests wait | {_cell([one.crowded_ms for one in rounds], '{:.2f}')} "
        f"| {_cell([one.ratio for one in rounds], '{:.2f}')} "
        f"| {_cell([one.bytes_each / 1000 for one in rounds], '{:.1f}')} kB |",
        f"| meanwhile, through a second web process: nobody waits "
        f"| {_cell([one.beside_ms for one in rounds], '{:.2f}')} "
        f"| {_cell([one.beside_ms / one.before_ms for one in rounds], '{:.2f}')} | |",
        "",
        _quiet([one.others for one in rounds]),
    ]
    if odd:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in odd.most_common())
        lines += ["", f"**Not valid, for not all of them waited: {kinds}.**"]
    return "\n".join(lines)


def about(redis_url: str, command: str) -> str:
    """When, on what and how it was measured."""
    with Redis.from_url(redis_url) as client:
        info = client.info("server")
    server = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `{command}`: {os.cpu_count()} CPUs shared by load, web, worker "
        f"and server; Python {platform.python_version()}, {libraries}, {server} with its append-only file. "
        "Medians over the rounds (lowest to highest)."
    )


def check_markers(page: Path) -> None:
    """Raise BenchmarkError unless ``page`` has the place for the figures."""
    try:
        text = page.read_text()
    except OSError as error:
        raise BenchmarkError(f"{page}: {error.strerror}") from error
    if not -1 < text.find(BEGIN) < text.find(END):
        raise BenchmarkError(f"{page} has no {BEGIN} followed by {END}")


def write(page: Path, report: str) -> None:
    """Put ``report`` between the markers of ``page``."""
    before, rest = page.read_text().split(BEGIN, 1)
    _, after = rest.split(END, 1)
    page.write_text(f"{before}{BEGIN}\n{report}\n{END}{after}")


def _of(runs: Sequence[Run], system: str, connections: int) -> list[Run]:
    return [run for run in runs if run.system == system and run.connections == connections]


def _cell(values: Sequence[float], form: str) -> str:
    show: Callable[[float], str] = form.format
    if len(values) == 1:
        return show(values[0])
    return f"{show(median(values))} ({show(min(values))} to {show(max(values))})"


def _quiet(others: Sequence[float]) -> str:
    """Whether the machine was ours while we measured."""
    noisy = sum(share > machine.NOISY for share in others)
    said = f"Other processes took {100 * median(others):.0f} % of the machine's CPUs (up to {100 * max(others):.0f} %)."
    if not noisy:
        return said
    return f"{said} **{noisy} of {len(others)} measurements had more than {100 * machine.NOISY:.0f} %: do not quote.**"


def _answers(runs: Sequence[Run]) -> str:
    bad = [run for run in runs if run.not_200 or run.socket_errors]
    if not bad:
        return f"All {sum(run.requests for run in runs)} answers were 200."
    return "\n".join(
        f"- **{run.system}, {run.connections} connections: {run.not_200} of {run.requests} answers were not 200, "
        f"{run.socket_errors} socket errors.**"
        for run in bad
    )
