"""The OpenAPI document and the pages that show it; Schemathesis tries what it promises."""

import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from support.processes import clean_environ
from support.service import Service

from launch.redis_server import RedisServer


def test_the_document_is_openapi_3_1_and_names_the_announced_types(service: Service) -> None:
    document = service.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()
    submit = document["components"]["schemas"]["Submit"]
    assert "sample.greet" in submit["properties"]["type"]["enum"]
    assert {"/jobs", "/jobs/{job_id}", "/jobs/{job_id}/result", "/job-types", "/Jobs/get"} <= set(document["paths"])


@pytest.mark.parametrize("path", ["/docs", "/swagger"])
def test_swagger_ui_is_served_by_us(service: Service, path: str) -> None:
    page = service.get(path)
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "//" not in page.text.replace("<!DOCTYPE", "")
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        assert f"docs-assets/{asset}" in page.text
        assert service.get(f"/docs-assets/{asset}").status_code == 200
    assert service.get("/docs-assets/../factory.py").status_code == 404


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis") as server:
        service = Service(tmp_path, server, JOBS_MAX_WAIT="0.2")
        try:
            service.start()
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"),
                    *("--max-examples", "25", "--seed", "1", "--workers", "1", "--no-color"),
                    *("--exclude-checks", "positive_data_acceptance,unsupported_method"),
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
