"""One process of the running whole: how it starts, what of its output is shown, how it ends."""

import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO

from launch.child import child_options
from launch.terminal import say

_ALARMING = re.compile(r"\b(WARNING|ERROR|CRITICAL|Error:)|^joborchestrator:")
_LINES_KEPT = 15


class Show(Enum):
    """What the terminal shows of a process's output; its log file has all of it."""

    EVERYTHING = "everything"
    PREFIXED = "everything, with its name in front"
    ALARMS = "warnings and errors, with its name in front"


@dataclass(slots=True)
class Part:
    """A process that is kept running."""

    name: str
    command: Sequence[str]
    show: Show = Show.ALARMS
    grace: float = 5.0
    """Seconds between SIGTERM and SIGKILL."""
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))
    started_at: float = 0.0
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self, environ: Mapping[str, str], logs: Path) -> None:
        """Start it; its output goes to ``logs/<name>.log`` and to the terminal as :class:`Show` says."""
        self._process = subprocess.Popen(
            list(self.command),
            env=dict(environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            **child_options(),
        )
        self.started_at = time.monotonic()
        assert self._process.stdout is not None
        log = (logs / f"{self.name}.log").open("a", encoding="utf-8")
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout, log), daemon=True)
        self._reader.start()

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within ``seconds``."""
        try:
            if self._process is not None:
                self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End it and every process of its session, now; what it said is all in ``last_lines`` then."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a zombie
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        if self._reader is not None:
            self._reader.join(2)

    def _read(self, output: IO[str], log: IO[str]) -> None:
        with output, suppress(OSError), log:
            for line in output:
                with suppress(OSError):  # a full disk must not make the process wait for its reader
                    log.write(line)
                    log.flush()
                self._show(line.rstrip("\n"))

    def _show(self, line: str) -> None:
        if line.strip():
            self.last_lines.append(line)
        if self.show is Show.EVERYTHING:
            say(line)
        elif self.show is Show.PREFIXED or _ALARMING.search(line):
            say(f"{self.name} | {line}")
