"""``python -m launch`` (`make run`): server, API, workers, Flower and subscribers in one terminal."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from launch.configuration import (
    CannotStart,
    Configuration,
    check_modules,
    check_ports,
    check_redis,
    make_logs,
    without_password,
)
from launch.part import Part, Show
from launch.readiness import api_url, checks, why_not_ready, worker_names
from launch.redis_server import USUAL_PORT, RedisServer, ServerError, free_port
from launch.supervisor import Supervisor
from launch.terminal import complain, say

SUBSCRIBERS = 2
WORKER_GRACE = 5
"""Seconds that running jobs have after Ctrl-C, unless JOBS_GRACE says so; they are still there at the next start."""


def main(environ: Mapping[str, str]) -> int:
    """Run until Ctrl-C. Returns the exit code: 0, 1 if something did not come up, 2 if nothing was started."""
    environ = {"JOBS_GRACE": str(WORKER_GRACE), **environ}
    try:
        configuration = Configuration.from_environ(environ)
        check_ports(configuration)
        if configuration.redis_given:
            check_redis(configuration.settings.redis_url)
        check_modules(configuration.settings, environ)
        logs = make_logs(configuration.settings)
        return _run(configuration, _server(configuration), environ, logs)
    except (CannotStart, ServerError) as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:  # before anything was started
        return 130


def _server(configuration: Configuration) -> RedisServer | None:
    if configuration.redis_given:
        return None
    port = free_port(USUAL_PORT)
    while port in {configuration.port, configuration.flower_port}:
        port = free_port()
    return RedisServer(configuration.settings.data_dir / "redis", port=port)


def _run(configuration: Configuration, server: RedisServer | None, environ: Mapping[str, str], logs: Path) -> int:
    redis_url = server.url if server else configuration.settings.redis_url
    inherited = {
        **environ,
        "JOBS_REDIS_URL": redis_url,
        "HOST": configuration.host,
        "PORT": str(configuration.port),
        "FLOWER_UNAUTHENTICATED_API": "1",
        "PYTHONUNBUFFERED": "1",
    }
    supervisor = Supervisor(parts(configuration), inherited, logs, server)
    supervisor.catch_signals()
    if server is not None:
        server.start()
    try:
        supervisor.start()
        ready = supervisor.wait_until_ready(checks(configuration, redis_url, SUBSCRIBERS))
        if ready:
            _welcome(configuration, redis_url, logs)
            supervisor.watch()
        elif not supervisor.stopping and (reason := why_not_ready(configuration)):
            complain(reason)
        failed = not ready and not supervisor.stopping
    finally:
        say("stopping …")
        supervisor.stop()
    say("stopped; what was queued is kept" if server else "stopped")
    return 1 if failed else 0


def parts(configuration: Configuration) -> list[Part]:
    """The processes, in the order in which they end: first whoever accepts work, last whoever does it."""
    python, signs = sys.executable, bool(configuration.settings.webhook_secret)
    flower = [
        "-m",
        "celery",
        "-A",
        "workers.main",
        "flower",
        "--address=127.0.0.1",
        f"--port={configuration.flower_port}",
    ]
    return [
        Part("web", [python, "-m", "app"], grace=12),
        Part("console", [python, "-m", "subscribers.console"], Show.EVERYTHING),
        Part("microservice-x", [python, "-m", "subscribers.microservice_x"], Show.PREFIXED),
        *([Part("webhooks", [python, "-m", "subscribers.webhooks"], grace=8)] if signs else []),
        Part("flower", [python, *flower], grace=3),
        *(
            Part(
                name,
                [python, "-m", "workers", "-n", f"{name}@%h", "-l", "warning"],
                grace=configuration.settings.grace + 5,
            )
            for name in sorted(worker_names(configuration))
        ),
    ]


def _welcome(configuration: Configuration, redis_url: str, logs: Path) -> None:
    api = api_url(configuration)
    say(f"API      {api}/jobs")
    say(f"Swagger  {api}/docs")
    say(f"Flower   http://127.0.0.1:{configuration.flower_port}/")
    say(f"Redis    {without_password(redis_url)}")
    say(f"Logs     {logs}")
    say("ready; one line a change of a job follows, Ctrl-C stops everything")


if __name__ == "__main__":
    raise SystemExit(main(os.environ))
