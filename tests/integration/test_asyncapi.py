"""The AsyncAPI document, and that it and the CloudEvents SDK hold for every event that is really told."""

import json
from typing import Any
from uuid import uuid4

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jsonschema import Draft7Validator
from redis import Redis
from redis.client import PubSub
from support.asyncapi_schema import official_schema
from support.eventually import eventually
from support.service import Service
from support.streams import Streams

from app.asyncapi import document as written
from jobs.model.event import NAMES, OF_JOBS, type_of

OFFICIAL = Draft7Validator(official_schema())
PLACES = ("fanout", "stream", "ownerStream", "events", "batchEvents", "jobEvents")


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.get("/asyncapi.json").json()
    return found


@pytest.fixture(scope="module")
def told(service: Service, document: dict[str, Any]) -> dict[str, list[str]]:
    """The texts of all events of a batch of three jobs, as received on each channel, by its name in the document."""
    owner = f"asyncapi-{uuid4().hex[:8]}"
    address = {name: channel["address"] for name, channel in document["channels"].items()}
    streams = Streams(service.port)
    with Redis.from_url(service.redis.url, decode_responses=True) as redis, redis.pubsub() as pubsub:
        pubsub.psubscribe(address["fanout"].format(owner=owner, event="*"))
        many = streams.open(f"{address['events']}?owner={owner}")
        streams.read(lambda: many.has_begun, within=5)
        batch_id, job_ids = _all_that_can_happen(service, owner)
        batch = streams.open(address["batchEvents"].format(batch_id=batch_id))
        streams.read(lambda: batch.has_ended, within=10)
        each = [streams.open(address["jobEvents"].format(job_id=job_id)) for job_id in job_ids]
        streams.read(lambda: all(stream.has_ended for stream in each), within=10)
        in_stream = [fields["event"] for _, fields in redis.xrange(address["ownerStream"].format(owner=owner))]
        streams.read(lambda: len(many.events) == len(in_stream), within=5)
        found = {
            "fanout": _messages(pubsub, len(in_stream)),
            "stream": [f["event"] for _, f in redis.xrange(address["stream"]) if owner in f["event"]],
            "ownerStream": in_stream,
            "events": many.texts,
            "batchEvents": batch.texts,
            "jobEvents": [text for stream in each for text in stream.texts],
        }
    streams.close()
    return found


def _all_that_can_happen(service: Service, owner: str) -> tuple[str, list[str]]:
    """To a batch and its jobs: their ids."""
    done = {"type": "demo.random_delay", "parameters": {"seconds": 0.7}}
    batch = service.submit_batch([done, {"type": "demo.fail"}, {"type": "demo.noop", "delay": 60}], owner=owner).json()
    assert service.post(f"/jobs/{batch['jobs'][-1]}/cancel").status_code == 200
    assert service.get(f"/batches/{batch['id']}?wait=10").status_code == 200
    return batch["id"], batch["jobs"]


def _messages(pubsub: PubSub, count: int) -> list[str]:
    texts: list[str] = []

    def have_come() -> bool:
        message = pubsub.get_message()
        if message is not None and message["type"] == "pmessage":
            texts.append(message["data"])
        return len(texts) == count

    eventually(have_come)
    return texts


def of_message(document: dict[str, Any], name: str) -> Draft7Validator:
    """What checks the payload of a message; its references point into the document."""
    payload = document["components"]["messages"][name]["payload"]
    return Draft7Validator({**document, **payload}, format_checker=Draft7Validator.FORMAT_CHECKER)


def test_the_document_is_asyncapi_3_0_by_the_official_schema(document: dict[str, Any]) -> None:
    OFFICIAL.validate(document)
    for broken in (
        {**document, "asyncapi": "2.6.0"},
        {name: part for name, part in document.items() if name != "info"},
        {**document, "operations": {"publish": {**document["operations"]["publish"], "action": "publish"}}},
    ):
        assert not OFFICIAL.is_valid(broken)


def test_every_reference_of_the_document_leads_somewhere(document: dict[str, Any]) -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, list):
            return [found for each in part for found in references(each)]
        if not isinstance(part, dict):
            return []
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + references(list(part.values()))

    found = references(document)
    assert len(found) > 50
    for reference in found:
        at: Any = document
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]


@pytest.mark.parametrize("place", PLACES)
def test_every_event_that_is_told_fits_its_own_message_and_no_other(
    document: dict[str, Any], told: dict[str, list[str]], place: str
) -> None:
    assert set(document["channels"]) == set(PLACES)
    names = OF_JOBS if place == "jobEvents" else NAMES
    checks = {type_of(name): of_message(document, name) for name in names}
    events = [json.loads(text) for text in told[place]]
    assert {event["type"] for event in events} == set(checks)
    for event in events:
        assert [name for name, check in checks.items() if check.is_valid(event)] == [event["type"]]
        assert not checks[event["type"]].is_valid({**event, "time": "yesterday"})
        assert not checks[event["type"]].is_valid({**event, "data": {}})


@pytest.mark.parametrize("place", PLACES)
def test_every_event_that_is_told_is_a_cloudevent(told: dict[str, list[str]], place: str) -> None:
    for text in told[place]:
        event = JSONFormat().read(CloudEvent, text)  # it checks each attribute
        data: Any = event.get_data()
        assert event.get_type() in {type_of(name) for name in NAMES}
        assert event.get_source() == "/jobs"
        assert event.get_subject() == data["job_id"]
        assert event.get_id() == f"{data['job_id']}:{event.get_extension('sequence')}"
        assert event.get_datacontenttype() == "application/json"


def test_the_same_is_told_everywhere(told: dict[str, list[str]]) -> None:
    assert told["fanout"] == told["stream"] == told["ownerStream"] == told["events"] == told["batchEvents"]
    assert sorted(told["jobEvents"]) == sorted(told["stream"][:-1])


def test_both_documents_share_the_schemas_of_an_event(service: Service, document: dict[str, Any]) -> None:
    openapi = service.get("/openapi.json").json()
    for name in ("Event", "EventData", "Progress", "JobError", "Gap"):
        assert document["components"]["schemas"][name] == openapi["components"]["schemas"][name]
    assert "asyncapi.json" in openapi["info"]["description"]
    data = openapi["components"]["schemas"]["ServerSentEvent"]["properties"]["data"]
    assert {"$ref": "#/components/schemas/Event"} in data["contentSchema"]["anyOf"]


@pytest.mark.parametrize("path", ["/asyncapi.json", "/openapi.json"])
def test_who_has_a_document_is_told_that_it_is_the_same(service: Service, path: str) -> None:
    first = service.get(path)
    again = service.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.text) == (304, "")
    assert service.get(path, headers={"If-None-Match": '"other"'}).content == first.content


def test_nothing_secret_is_told() -> None:
    found = written("rediss://user:secret@[::1]:7000/3", "https://jobs.example.org/api")
    assert found["servers"]["redis"]["host"] == "[::1]:7000"
    assert found["servers"]["http"] | {"description": ""} == {
        "host": "jobs.example.org",
        "pathname": "/api",
        "protocol": "https",
        "description": "",
    }
    assert "secret" not in json.dumps(found)
    assert "user:" not in json.dumps(found)
    OFFICIAL.validate(found)
