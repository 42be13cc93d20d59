"""Keeps a set of processes running, and ends them all in order."""

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from launch.guardian import Guardian
from launch.part import Part
from launch.readiness import Check
from launch.redis_server import RedisServer, ServerError
from launch.terminal import complain, say

READY_WITHIN = 60.0
ASK_EVERY = 0.1
SETTLED_AFTER = 10.0
"""Seconds a part must have run for its next end not to count as a failed start."""
SLOWEST_RESTART = 15.0
SERVER_AGAIN_AFTER = 2.0


class Supervisor:
    """Starts the parts, watches them, starts again what dies, and stops them.

    Args:
        parts: in the order in which they are to end.
        environ: what they are started with.
        logs: the directory of their log files.
        server: the embedded server, already started; the last to end.
    """

    def __init__(
        self, parts: Sequence[Part], environ: Mapping[str, str], logs: Path, server: RedisServer | None = None
    ) -> None:
        self._parts, self._environ, self._logs, self._server = parts, environ, logs, server
        self._guardian = Guardian()
        self._stopping = threading.Event()
        self._interrupts = 0
        self._failures: dict[str, int] = {}
        self._due: dict[str, float] = {}

    def catch_signals(self) -> None:
        """Make Ctrl-C and SIGTERM stop everything, and a second one kill it."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupted)

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def start(self) -> None:
        self._guardian.start()
        for part in self._parts:
            if not self.stopping:
                part.start(self._environ, self._logs)
                self._tell_guardian()

    def wait_until_ready(self, checks: Mapping[str, Check], within: float = READY_WITHIN) -> bool:
        """Whether every check came true ``within`` seconds; if not, the terminal says which did not, or who died."""
        deadline = time.monotonic() + within
        waiting = dict(checks)
        while waiting and not self.stopping:
            if self._somebody_died():
                return False
            waiting = {name: check for name, check in waiting.items() if not check()}
            if waiting and time.monotonic() > deadline:
                complain(f"not ready after {within:g} s: {', '.join(waiting)}; logs are in {self._logs}")
                return False
            if waiting:
                self._stopping.wait(ASK_EVERY)
        return not self.stopping

    def watch(self) -> None:
        """Return when told to stop; until then start again whatever dies."""
        while not self._stopping.wait(0.2):
            if self._server is not None and not self._server.is_running:
                self._revive_server(self._server)
            for part in self._parts:
                if part.exit_code is not None:
                    self._revive(part)

    def stop(self) -> None:
        """Ask every part in order to end, then end the server; who does not leave within its grace is killed."""
        self._stopping.set()
        for part in self._parts:
            part.terminate()
        asked_at = time.monotonic()
        for part in self._parts:
            self._see_out(part, asked_at + part.grace)
        if self._server is not None:
            if self._interrupts < 2:
                self._server.stop()
            else:
                self._server.kill()
        self._guardian.dismiss()

    def _see_out(self, part: Part, deadline: float) -> None:
        while time.monotonic() < deadline and self._interrupts < 2 and not part.wait(0.1):
            continue
        part.kill()
        self._tell_guardian()

    def _tell_guardian(self) -> None:
        running = [part.pid for part in self._parts if part.pid is not None and part.exit_code is None]
        self._guardian.tell([*running, self._server.pid] if self._server and self._server.is_running else running)

    def _somebody_died(self) -> bool:
        if self._server is not None and not self._server.is_running:
            complain(f"the embedded server ended while starting; {self._server.data_dir / 'server.log'} says why")
            return True
        for part in self._parts:
            if part.exit_code is not None:
                complain(f"{part.name} ended while starting (exit code {part.exit_code}):")
                part.kill()
                for line in part.last_lines:
                    say(f"  {line}")
                return True
        return False

    def _revive_server(self, server: RedisServer) -> None:
        say("--- the embedded server died; starting it again with its data")
        try:
            server.start()
            self._tell_guardian()
        except ServerError as error:
            complain(str(error))
            self._stopping.wait(SERVER_AGAIN_AFTER)

    def _revive(self, part: Part) -> None:
        now = time.monotonic()
        if part.name not in self._due:
            settled = now - part.started_at >= SETTLED_AFTER
            failures = self._failures[part.name] = 0 if settled else self._failures.get(part.name, 0) + 1
            pause = 0.0 if failures <= 1 else min(SLOWEST_RESTART, 0.5 * 2.0**failures)
            self._due[part.name] = now + pause
            part.kill()  # what is left of its session
            later = f" in {pause:g} s" if pause else ""
            say(f"--- {part.name} died (exit code {part.exit_code}); starting it again{later}")
        if now >= self._due[part.name]:
            del self._due[part.name]
            part.start(self._environ, self._logs)
            self._tell_guardian()

    def _interrupted(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupts += 1
        self._stopping.set()
