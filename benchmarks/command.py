"""What the commands that measure have in common: they tell how far they are, print Markdown, and put it into a page.

Exit code 2: it could not be measured; 130 and 143: it was stopped, and nothing was written.
"""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import load, table
from benchmarks.process import ROOT
from benchmarks.systems import BenchmarkError
from launch.redis_server import ServerError

PEERS_PYTHON = ".venv/peers/bin/python"


def run(page: Path | None, section: str, measure: Callable[[], str]) -> int:
    """Measure, print, and write the section of ``page``; the exit code."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        load.find_wrk()
        if page:
            table.check_markers(page, section)
        report = measure()
    except (BenchmarkError, ServerError) as error:
        tell(str(error))
        return 2
    except KeyboardInterrupt:
        tell("stopped; nothing was written")
        return 130
    print(report)
    if page:
        table.write(page, report, section)
    return 0


def tell(line: str) -> None:
    """Say on stderr what is being done."""
    print(f"benchmarks: {line}", file=sys.stderr, flush=True)


def draw(python: Path, module: str, png: Path, figures: Any, what: str) -> str:
    """Draw figures with the peers' venv, which has matplotlib; the picture as Markdown."""
    command = [str(python), "-m", module, str(png.absolute())]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(figures), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{png} cannot be drawn: {done.stderr.strip()[-500:]}")
    return f"![{what}]({png.name})"


def count(text: str) -> int:
    """For argparse: a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def python(text: str) -> Path:
    """For argparse: not resolved, for the venv's own link is what makes it the venv's."""
    return Path(text).absolute()


def has_peers(python: Path) -> bool:
    """Whether the peers can be measured too; if not, say why."""
    if not python.exists():
        tell(f"FastAPI + arq and + taskiq are left out: there is no {python}; `make .venv/.peers` makes it")
    return python.exists()


def _stop(*_: Any) -> None:
    raise SystemExit(143)
