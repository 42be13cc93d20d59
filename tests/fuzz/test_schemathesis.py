"""Schemathesis sends what the OpenAPI document allows and forbids, and holds each answer against it."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import clean_environ
from support.receiver import SECRET
from support.service import Service

from launch.redis_server import RedisServer


@pytest.mark.parametrize(
    ("settings", "paths"),
    [({}, "^/webhooks"), ({"JOBS_WEBHOOK_SECRET": SECRET}, "")],
    ids=["webhooks off: their routes", "webhooks on: all routes"],
)
def test_schemathesis_finds_nothing(tmp_path: Path, settings: dict[str, str], paths: str) -> None:
    with RedisServer(tmp_path / "redis") as server:
        service = Service(tmp_path, server, JOBS_MAX_WAIT="0.2", **settings)
        try:
            service.start()
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"),
                    *("--max-examples", "25", "--seed", "1", "--workers", "1", "--no-color"),
                    *("--exclude-checks", "positive_data_acceptance,unsupported_method"),
                    *("--include-path-regex", paths or "^/"),
                    *("--exclude-path-regex", "/events$"),  # streams that need not end: test_sse.py reads them
                ],
                env=clean_environ(),
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=150,
            )
            assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        finally:
            service.stop()
