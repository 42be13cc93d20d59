"""The OpenAPI document and the pages that show it. What it promises is tried in tests/fuzz."""

import json
from typing import Any
from uuid import uuid4

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from redis import Redis
from support.service import Service

from jobs.events import NAMES, type_of
from jobs.keys import KEYS


def test_the_document_is_openapi_3_1_and_names_the_announced_types(service: Service) -> None:
    document = service.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()
    submit = document["components"]["schemas"]["Submit"]
    assert "sample.greet" in submit["properties"]["type"]["enum"]
    assert {"/jobs", "/jobs/{job_id}", "/jobs/{job_id}/result", "/job-types", "/Jobs/get"} <= set(document["paths"])


def test_the_document_names_callbacks_and_webhooks_with_the_event_s_own_schema(service: Service) -> None:
    document = service.get("/openapi.json").json()
    [callback] = document["paths"]["/jobs"]["post"]["callbacks"]["events"].items()
    [webhook] = document["webhooks"].values()
    assert callback[0] == "{$request.body#/callback/url}"
    for told in (callback[1]["post"], webhook["post"]):
        assert told["requestBody"]["content"] == {
            "application/cloudevents+json": {"schema": {"$ref": "#/components/schemas/Event"}}
        }
        assert {each["name"] for each in told["parameters"]} == {
            *("webhook-id", "webhook-timestamp", "webhook-signature")
        }
    assert {"2XX", "410"} <= set(webhook["post"]["responses"])


def test_every_event_fits_the_schema_of_the_document(service: Service, redis: Redis) -> None:
    document = service.get("/openapi.json").json()
    owner = f"openapi-{uuid4().hex[:8]}"
    slow = {"type": "demo.random_delay", "parameters": {"seconds": 0.6}}
    batch = service.submit_batch([slow, {"type": "demo.fail"}, {"type": "demo.noop", "delay": 60}], owner=owner).json()
    service.post(f"/jobs/{batch['jobs'][-1]}/cancel")
    service.get(f"/batches/{batch['id']}?wait=5")
    schema = {"$ref": "#/components/schemas/Event", "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    entries: list[Any] = redis.xrange(KEYS.stream_of(owner))
    events = [json.loads(fields["event"]) for _, fields in entries]
    assert {event["type"] for event in events} == {type_of(name) for name in NAMES}
    for event in events:
        validator.validate(event)
        with pytest.raises(jsonschema_rs.ValidationError):
            validator.validate({**event, "type": "job.eaten"})


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
