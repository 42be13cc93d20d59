"""The figures as Markdown, and their place in a page."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from redis import Redis

from benchmarks import machine
from benchmarks.load import SUBMITS, WAITS, Load, Run
from benchmarks.systems import BenchmarkError, Stock
from benchmarks.waiting import Round

BENCH = "bench"
"""The section that ``make bench`` writes; ``markers`` says how it is marked in a page."""
PEERS_REQUIREMENTS = Path(__file__).with_name("peers") / "requirements.txt"
PROCESSES = ("web", "worker", "server")
_LIBRARIES = ("celery", "kombu", "redis", "flask", "gunicorn", "gevent")
_PEERS_LIBRARIES = ("fastapi", "uvicorn", "arq", "taskiq", "taskiq-redis")
_HEAD = """\
| system | connections | requests/s | p50 ms | p99 ms | p99/p50 | requests/s to stock |
|---|---:|---:|---:|---:|---:|---:|"""


def throughput(runs: Sequence[Run]) -> str:
    """Medians over the rounds with (lowest to highest); the ratio to stock is that of runs made side by side."""
    lines = [_HEAD]
    for load in WAITS:
        for name in _systems(runs):
            some = _of(runs, name, load)
            cells = [
                cell([run.rate for run in some], "{:.0f}"),
                cell([run.p50_ms for run in some], "{:.1f}"),
                cell([run.p99_ms for run in some], "{:.1f}"),
                cell([run.spread for run in some], "{:.1f}"),
                _to_stock(runs, name, load),
            ]
            lines.append(f"| {name} | {load.connections} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *validity([run for run in runs if run.load in WAITS])])


def submits(runs: Sequence[Run]) -> str:
    """Jobs accepted a second while nobody waits for them, median over the rounds with (lowest to highest)."""
    lines = [
        f"| submit only, {SUBMITS.connections} connections | accepted/s | p50 ms | p99 ms | accepted/s to stock |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in _systems(runs):
        some = _of(runs, name, SUBMITS)
        cells = [
            cell([run.rate for run in some], "{:.0f}"),
            cell([run.p50_ms for run in some], "{:.1f}"),
            cell([run.p99_ms for run in some], "{:.1f}"),
            _to_stock(runs, name, SUBMITS),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *validity([run for run in runs if run.load == SUBMITS])])


def cpu(runs: Sequence[Run]) -> str:
    """Milliseconds of CPU time that a request and its job take, by process, with (lowest to highest)."""
    load = WAITS[1]
    lines = [
        f"| CPU time a job, {load.connections} connections | web ms | worker ms | server ms | all ms | all to stock |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in _systems(runs):
        some = _of(runs, name, load)
        each = [cell([1000 * run.cpu[process] / run.requests for run in some], "{:.2f}") for process in PROCESSES]
        whole = cell([1000 * run.cpu_a_request for run in some], "{:.2f}")
        lines.append(f"| {name} | {' | '.join([*each, whole])} | {_to_stock(runs, name, load, _cpu_a_request)} |")
    return "\n".join(lines)


def rates(runs: Sequence[Run]) -> dict[str, dict[int, float]]:
    """Requests a second from request to result, by system and connections; medians over the rounds."""
    return {
        name: {load.connections: median(run.rate for run in _of(runs, name, load)) for load in WAITS}
        for name in _systems(runs)
    }


def waiting(rounds: Sequence[Round], waiters: int) -> str:
    """The cost of requests that wait, median over the rounds with (lowest to highest)."""
    odd = sum((Counter(one.odd) for one in rounds), Counter[str]())
    lines = [
        "| one web process of ours | quick job, p50 ms | ratio | memory for each waiting request |",
        "|---|---:|---:|---:|",
        f"| before: nobody waits | {cell([one.before_ms for one in rounds], '{:.2f}')} | 1 | |",
        f"| then: {waiters} requests wait | {cell([one.crowded_ms for one in rounds], '{:.2f}')} "
        f"| {cell([one.ratio for one in rounds], '{:.2f}')} "
        f"| {cell([one.bytes_each / 1000 for one in rounds], '{:.1f}')} kB |",
        f"| meanwhile, through a second web process: nobody waits "
        f"| {cell([one.beside_ms for one in rounds], '{:.2f}')} "
        f"| {cell([one.beside_ms / one.before_ms for one in rounds], '{:.2f}')} | |",
        "",
        quiet([one.others for one in rounds]),
    ]
    if odd:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in odd.most_common())
        lines += ["", f"**Not valid, for not all of them waited: {kinds}.**"]
    return "\n".join(lines)


def about(redis_url: str, command: str, peers: bool) -> str:
    """When, on what and how it was measured; with the libraries of the peers, if they were."""
    libraries = ", ".join([f"{name} {version(name)}" for name in _LIBRARIES] + (_peers_libraries() if peers else []))
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} by `{command}`: {os.cpu_count()} CPUs shared by load, web, worker "
        f"and server; Python {platform.python_version()}, {libraries}, {server_of(redis_url)} with its append-only "
        "file. Medians over the rounds (lowest to highest)."
    )


def server_of(redis_url: str) -> str:
    """Its name and version, and its memory allocator, which ours is given as it starts."""
    with Redis.from_url(redis_url) as client:
        info: Any = {**client.info("server"), **client.info("memory")}
    name, version = ("Valkey", "valkey_version") if "valkey_version" in info else ("Redis", "redis_version")
    maps = Path(f"/proc/{info['process_id']}/maps")
    given = maps.exists() and "libmimalloc" in maps.read_text()
    return f"{name} {info[version]} ({'mimalloc' if given else info['mem_allocator']})"


def markers(section: str) -> tuple[str, str]:
    """What stands before and after the figures of a section in a page."""
    return f"<!-- {section}:begin -->", f"<!-- {section}:end -->"


def check_markers(page: Path, section: str = BENCH) -> None:
    """Raise BenchmarkError unless ``page`` has the place for the figures."""
    begin, end = markers(section)
    try:
        text = page.read_text()
    except OSError as error:
        raise BenchmarkError(f"{page}: {error.strerror}") from error
    if not -1 < text.find(begin) < text.find(end):
        raise BenchmarkError(f"{page} has no {begin} followed by {end}")


def write(page: Path, report: str, section: str = BENCH) -> None:
    """Put ``report`` between the markers of a section of ``page``."""
    begin, end = markers(section)
    before, rest = page.read_text().split(begin, 1)
    _, after = rest.split(end, 1)
    page.write_text(f"{before}{begin}\n{report}\n{end}{after}")


def _peers_libraries() -> list[str]:
    lines = PEERS_REQUIREMENTS.read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    return [f"{name} {pins[name]}" for name in _PEERS_LIBRARIES]


def _systems(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(run.system for run in runs))


def _of(runs: Sequence[Run], system: str, load: Load) -> list[Run]:
    return [run for run in runs if run.system == system and run.load == load]


def _rate(run: Run) -> float:
    return run.rate


def _cpu_a_request(run: Run) -> float:
    return run.cpu_a_request


def _to_stock(runs: Sequence[Run], system: str, load: Load, of: Callable[[Run], float] = _rate) -> str:
    if system == Stock.name:
        return "1"
    pairs = zip(_of(runs, system, load), _of(runs, Stock.name, load), strict=True)
    return cell([of(run) / of(stock) for run, stock in pairs], "{:.2f}")


def cell(values: Sequence[float], form: str) -> str:
    """The median with (lowest to highest)."""
    show: Callable[[float], str] = form.format
    if len(values) == 1:
        return show(values[0])
    return f"{show(median(values))} ({show(min(values))} to {show(max(values))})"


def quiet(others: Sequence[float]) -> str:
    """Whether the machine was ours while we measured."""
    noisy = sum(share > machine.NOISY for share in others)
    said = f"Other processes took {100 * median(others):.0f} % of the machine's CPUs (up to {100 * max(others):.0f} %)."
    if not noisy:
        return said
    return f"{said} **{noisy} of {len(others)} measurements had more than {100 * machine.NOISY:.0f} %: do not quote.**"


def validity(runs: Sequence[Run]) -> list[str]:
    """Lines: whether all answers were as they should, and whether the machine was ours."""
    return [_answers(runs), "", quiet([run.others for run in runs])]


def _answers(runs: Sequence[Run]) -> str:
    bad = [run for run in runs if run.unexpected or run.socket_errors]
    if not bad:
        return f"All {sum(run.requests for run in runs)} answers were {runs[0].load.status}."
    return "\n".join(
        f"- **{run.system}, {run.load.connections} connections: {run.unexpected} of {run.requests} answers were not "
        f"{run.load.status}, {run.socket_errors} socket errors.**"
        for run in bad
    )
