"""Load, by wrk."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("post.lua")


@dataclass(frozen=True, slots=True)
class Figures:
    """One run: requests a second, milliseconds, and answers that were not 200."""

    rate: float
    p50: float
    p99: float
    bad: int


def need_wrk() -> None:
    """Make sure that wrk is there; installs Debian's package when we may."""
    if shutil.which("wrk") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-q"], capture_output=True)
        subprocess.run(["apt-get", "install", "-y", "-q", "wrk"], capture_output=True)
    if shutil.which("wrk") is None:
        raise SystemExit("make bench needs wrk: install it (Debian: apt-get install wrk) and run it again")


def run(url: str, connections: int, seconds: float) -> Figures:
    """Keep ``connections`` requests under way for ``seconds``."""
    threads = "1" if connections == 1 else "2"
    command = [
        "wrk",
        "-t",
        threads,
        "-c",
        str(connections),
        "-d",
        f"{seconds:g}s",
        "--timeout",
        "12s",
        "-s",
        str(SCRIPT),
    ]
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 60, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    requests, micros, p50, p99, bad = map(int, line.split()[1:])
    return Figures(requests / (micros / 1e6), p50 / 1000, p99 / 1000, bad)
