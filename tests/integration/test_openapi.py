"""The OpenAPI document and the pages that show it. What it promises is tried in tests/fuzz."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from redis import Redis
from requests import Response
from support.service import Service

from jobs.model.event import NAMES, type_of
from jobs.model.keys import KEYS


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


SUBMIT = {"Prefer", "Idempotency-Key", "traceparent"}
START = SUBMIT - {"Prefer"}
READS = {
    "post /jobs": SUBMIT,
    "post /jobs/batch": SUBMIT,
    "post /Jobs/StartJob": START,
    "post /Jobs/StartJobWithTimeout": START,
    "get /jobs/{job_id}": {"Prefer", "If-None-Match"},
    "get /batches/{batch_id}": {"Prefer", "If-None-Match"},
    "get /jobs/{job_id}/result": {"Prefer"},
    "get /events": {"Last-Event-ID"},
    "get /jobs/{job_id}/events": {"Last-Event-ID"},
    "get /batches/{batch_id}/events": {"Last-Event-ID"},
}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each with its method and its path."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield method, path, operation


def test_each_operation_names_the_headers_that_it_reads(service: Service) -> None:
    document = service.get("/openapi.json").json()
    known = {f"#/components/parameters/{name}": name for name in document["components"]["parameters"]}
    for method, path, operation in operations(document):
        named = {known[each["$ref"]] for each in operation.get("parameters", []) if "$ref" in each}
        assert named == READS.get(f"{method} {path}", set()), (method, path)
    assert set(known.values()) == set().union(*READS.values())


def test_the_headers_that_are_read_leave_the_query_in_the_document(service: Service) -> None:
    document = service.get("/openapi.json").json()
    for path in ("/jobs/{job_id}", "/jobs/{job_id}/result", "/batches/{batch_id}"):
        assert "wait" in {each.get("name") for each in document["paths"][path]["get"]["parameters"]}


QUICK, SLOW = {"type": "demo.noop"}, {"type": "demo.noop", "delay": 86_400}
IN_TIME = {"Prefer": "wait=5"}
WAITED = ("Preference-Applied", "Vary")


def described(service: Service, answer: Response, status: int, path: str, *headers: str) -> Response:
    """The answer: of the headers that the document knows it has these, and its type is the one that it says."""
    document = service.get("/openapi.json").json()
    assert answer.status_code == status
    told = document["paths"][path][str(answer.request.method).lower()]["responses"][str(status)]
    assert set(document["components"]["headers"]) & set(answer.headers) == set(headers)
    assert set(headers) <= set(told.get("headers", {}))
    assert list(told.get("content", {})) == ([answer.headers["Content-Type"]] if answer.content else [])
    return answer


def test_the_answers_to_a_submit_are_as_described(service: Service) -> None:
    at_end = ("Content-Location", "ETag", *WAITED)
    key = {**IN_TIME, "Idempotency-Key": uuid4().hex}
    described(service, service.post("/jobs", QUICK, headers=key), 200, "/jobs", *at_end)
    described(service, service.post("/jobs", QUICK, headers=key), 200, "/jobs", *at_end, "Idempotency-Replayed")
    minimal = {"Prefer": "wait=5, return=minimal"}
    described(service, service.post("/jobs", QUICK, headers=minimal), 204, "/jobs", *at_end)
    later = described(service, service.post("/jobs", SLOW), 202, "/jobs", "Location", "Retry-After", "ETag")
    service.post(f"/jobs/{later.json()['id']}/cancel")
    described(service, service.get("/jobs?limit=1"), 200, "/jobs", "Link")


def test_the_answers_about_an_ended_job_are_as_described(service: Service) -> None:
    path, own = "/jobs/{job_id}", f"/jobs/{service.submit(wait=5).json()['id']}"
    looked = described(service, service.get(own, headers=IN_TIME), 200, path, "ETag", *WAITED)
    known = {"If-None-Match": looked.headers["ETag"]}
    described(service, service.get(own, headers=known), 304, path, "ETag")
    described(service, service.get(f"{own}/result", headers=IN_TIME), 200, f"{path}/result", *WAITED)


def test_the_answers_about_a_job_that_goes_on_are_as_described(service: Service) -> None:
    path, own = "/jobs/{job_id}", f"/jobs/{service.post('/jobs', SLOW).json()['id']}"
    looked = described(service, service.get(own), 202, path, "ETag", "Retry-After")
    known = {"If-None-Match": looked.headers["ETag"]}
    described(service, service.get(own, headers=known), 304, path, "ETag", "Retry-After")
    described(service, service.get(f"{own}/result"), 202, f"{path}/result", "Retry-After")
    described(service, service.post(f"{own}/cancel"), 200, f"{path}/cancel", "ETag")
    described(service, service.get(f"{own}/result", headers=IN_TIME), 409, f"{path}/result", *WAITED)
    described(service, service.post(f"{own}/retry"), 202, f"{path}/retry", "Location", "Retry-After", "ETag")
    service.post(f"{own}/cancel")


def test_the_answers_about_a_batch_are_as_described(service: Service) -> None:
    path, submit = "/batches/{batch_id}", "/jobs/batch"
    made = service.submit_batch([QUICK, QUICK], headers=IN_TIME)
    own = f"/batches/{described(service, made, 200, submit, 'Content-Location', 'ETag', *WAITED).json()['id']}"
    looked = described(service, service.get(own), 200, path, "ETag")
    described(service, service.get(own, headers={"If-None-Match": looked.headers["ETag"]}), 304, path, "ETag")
    described(service, service.get(f"{own}/jobs?limit=1"), 200, f"{path}/jobs", "Link")
    later = described(service, service.submit_batch([SLOW]), 202, submit, "Location", "Retry-After", "ETag")
    service.post(f"/jobs/{later.json()['jobs'][0]}/cancel")


def test_the_answers_to_the_seeds_starts_are_as_described(service: Service) -> None:
    body, key = {"parameters": {"seconds": 0.1}}, {"Idempotency-Key": uuid4().hex}
    for path in ("/Jobs/StartJob", "/Jobs/StartJobWithTimeout"):
        described(service, service.post(path, body), 202, path, "Location", "Retry-After")
    service.finished(service.post("/Jobs/StartJob", body, headers=key).json())
    again = service.post("/Jobs/StartJob", body, headers=key)
    assert described(service, again, 200, "/Jobs/StartJob", "Idempotency-Replayed").json()["status"] == "Completed"


def test_the_document_says_406_where_json_must_be_accepted(service: Service) -> None:
    document = service.get("/openapi.json").json()
    for method, path, operation in operations(document):
        asked = path.replace("{", "").replace("}", "")
        verb = "head" if method == "get" else method  # of a stream of events only the head comes to an end
        answer = service.session.request(verb, service.url + asked, headers={"Accept": "text/html"}, timeout=5)
        assert (answer.status_code == 406) == ("406" in operation["responses"]), (method, path)


@pytest.mark.parametrize(
    ("tags", "good"),
    [
        ({"a": "x", "B_2.c-d": ""}, True),
        ({"a b": "x"}, False),
        ({"": "x"}, False),
        ({"a": "x" * 257}, False),
        ({f"t{n}": "" for n in range(17)}, False),
    ],
    ids=["two", "a blank in a name", "an empty name", "a long value", "too many"],
)
def test_what_the_document_says_of_tags_is_what_is_taken(service: Service, tags: dict[str, str], good: bool) -> None:
    document = service.get("/openapi.json").json()
    body = {"type": "demo.noop", "tags": tags}
    for name, path, asked in (("Submit", "/jobs", body), ("BatchSubmit", "/jobs/batch", {"jobs": [body]})):
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        assert jsonschema_rs.Draft202012Validator(schema).is_valid(asked) is good
        assert (service.post(path, asked).status_code == 202) is good
    of_object = document["components"]["schemas"]["Submit"]["properties"]["tags"]
    assert not {"minLength", "maxLength"} & set(of_object)


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
