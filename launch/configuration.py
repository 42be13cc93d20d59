"""What `make run` is told by the environment, checked before anything starts."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from jobs.errors import SettingsError
from jobs.listening import HIGHEST_PORT, LOCALHOST, number, refused
from jobs.settings import Settings

OLDEST_REDIS = 7
MODULES_WITHIN = 60
"""Seconds."""


class CannotStart(Exception):
    """Nothing was started; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class Configuration:
    settings: Settings
    redis_given: bool
    """Whether JOBS_REDIS_URL names a server; else we start one."""
    host: str
    port: int
    flower_port: int
    workers: int

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Configuration":
        """Read everything, and report every mistake at once.

        Raises:
            CannotStart.
        """
        problems: list[str] = []
        settings = Settings()
        try:
            settings = Settings.from_environ(environ)
        except SettingsError as error:
            problems.extend(error.problems)
        port = number(environ, "PORT", 8000, HIGHEST_PORT, problems)
        flower_port = number(environ, "FLOWER_PORT", 5555, HIGHEST_PORT, problems)
        workers = number(environ, "WORKERS", 1, 64, problems)
        if port == flower_port:
            problems.append(f"PORT and FLOWER_PORT are both {port}")
        if problems:
            raise CannotStart("; ".join(problems))
        host = environ.get("HOST") or LOCALHOST
        return cls(settings, bool(environ.get("JOBS_REDIS_URL")), host, port, flower_port, workers)


def check_ports(configuration: Configuration) -> None:
    """Raise CannotStart if a port we need is taken."""
    wanted = (
        (configuration.host, configuration.port, "the API", "PORT"),
        (LOCALHOST, configuration.flower_port, "Flower", "FLOWER_PORT"),
    )
    for host, port, what, variable in wanted:
        refusal = refused(host, port)
        if refusal is not None:
            changes = variable if refusal.is_of_port else "HOST"
            raise CannotStart(f"{host[:100]}:{port} for {what} cannot be had ({refusal.why}); {changes} changes it")


def check_redis(url: str) -> None:
    """Raise CannotStart unless a server we can work with answers at ``url``."""
    shown = without_password(url)
    try:
        with Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            info = client.info("server")
    except AuthenticationError as error:
        raise CannotStart(f"Redis at {shown} refuses the user or password in JOBS_REDIS_URL") from error
    except (RedisError, OSError) as error:
        raise CannotStart(f"Redis at {shown} (JOBS_REDIS_URL) cannot be used: {_one_line(error, url)}") from error
    version = str(info.get("redis_version", "0"))
    if "valkey_version" not in info and int(version.split(".")[0]) < OLDEST_REDIS:
        raise CannotStart(f"Redis at {shown} is {version}; Redis {OLDEST_REDIS} or newer, or Valkey, is needed")


def check_modules(settings: Settings, environ: Mapping[str, str]) -> None:
    """Raise CannotStart unless the job modules can be imported, as a worker would."""
    if not settings.modules:
        return
    command = [sys.executable, "-c", "import workers.main"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MODULES_WITHIN, env=dict(environ))
    except subprocess.TimeoutExpired as error:
        raise CannotStart(f"the modules of JOBS_MODULES took more than {MODULES_WITHIN} s to import") from error
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise CannotStart(last.removeprefix("joborchestrator: "))


def make_logs(settings: Settings) -> Path:
    """The directory of the log files. Raises CannotStart if it cannot be made."""
    logs = settings.data_dir / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(f"{logs} cannot be made ({error.strerror}); JOBS_DATA_DIR names another place") from error
    return logs


def without_password(url: str) -> str:
    """A Redis URL as it may be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"


def _one_line(error: Exception, url: str) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    password = urlsplit(url).password
    return text.replace(password, "…").replace(unquote(password), "…") if password else text
