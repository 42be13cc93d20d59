"""Bad input gets the code that the contract names, and leaves nothing behind."""

import gzip
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
import requests
from redis import Redis
from support.service import JSON, Service
from support.stored import job_ids

from jobs.model.keys import KEYS

NOOP = b'{"type":"demo.noop"}'
DEEP = b'{"type":"demo.noop","parameters":{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}}"


def noop(**more: Any) -> bytes:
    return json.dumps({"type": "demo.noop", **more}).encode()


BODIES: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "blank": (b"  \n", 400),
    "null": (b"null", 422),
    "a list": (b"[]", 422),
    "a string": (b'"x"', 422),
    "text": (b"hello", 400),
    "form": (b"type=demo.noop", 400),
    "cut off": (NOOP[:-1], 400),
    "not UTF-8": (b'{"type":"\xff"}', 400),
    "UTF-16": (NOOP.decode().encode("utf-16"), 400),
    "a BOM": (b"\xef\xbb\xbf" + NOOP, 400),
    "too large": (noop(parameters={"a": "x" * 5_000_000}), 413),
    "50,000 deep": (DEEP, 400),
    "33 deep": (b'{"type":"demo.noop","parameters":{"a":' + b"[" * 31 + b"]" * 31 + b"}}", 400),
    "a key twice": (b'{"type":"demo.noop","type":"demo.noop"}', 400),
    "a key twice, deeper": (b'{"type":"demo.noop","parameters":{"a":1,"a":1}}', 400),
    "NaN": (b'{"type":"demo.noop","parameters":{"a":NaN}}', 400),
    "Infinity": (b'{"type":"demo.noop","wait":-Infinity}', 400),
    "1e999": (b'{"type":"demo.noop","parameters":{"a":1e999}}', 400),
    "5,000 digits": (b'{"type":"demo.noop","parameters":{"a":' + b"9" * 5000 + b"}}", 400),
    "a lone surrogate": (b'{"type":"demo.noop","parameters":{"a":"\\ud800"}}', 422),
    "a lone surrogate as key": (b'{"type":"demo.noop","parameters":{"\\udfff":1}}', 422),
    "a lone surrogate as owner": (b'{"type":"demo.noop","owner":"\\ud800"}', 422),
    "60,000 unknown keys": (noop(**{f"k{n}": n for n in range(60_000)}), 422),
    "an unknown field": (noop(colour="red"), 422),
    "no type": (b"{}", 422),
    "a type that is none": (b'{"type":1}', 422),
    "an unknown type": (b'{"type":"no.such"}', 422),
    "a type with NUL": (b'{"type":"demo.noop\\u0000"}', 422),
    "parameters that are none": (noop(parameters=[]), 422),
    "null parameters": (noop(parameters=None), 422),
    "an owner with a space": (noop(owner="a b"), 422),
    "an owner with a line break": (noop(owner="a\n"), 422),
    "an owner with NUL": (noop(owner="a\0"), 422),
    "an owner too long": (noop(owner="a" * 65), 422),
    "a tag with NUL in its name": (noop(tags={"a\0": "b"}), 422),
    "a tag that is no text": (noop(tags={"a": 1}), 422),
    "17 tags": (noop(tags={f"t{n}": "" for n in range(17)}), 422),
    "a negative wait": (noop(wait=-1), 422),
    "a wait of text": (noop(wait="5"), 422),
    "a wait that is true": (noop(wait=True), 422),
    "an id that is no UUID": (noop(id="x"), 422),
    "an id in braces": (noop(id="{12345678-1234-1234-1234-123456789012}"), 422),
    "an id with a line break": (noop(id="12345678-1234-1234-1234-123456789012\n"), 422),
    "a priority of 10": (noop(priority=10), 422),
    "a priority of 1.5": (noop(priority=1.5), 422),
    "parameters that break the schema": (b'{"type":"demo.random_delay","parameters":{"seconds":"1"}}', 422),
    "parameters out of range": (b'{"type":"demo.random_delay","parameters":{"seconds":3601}}', 422),
}


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(service: Service, redis: Redis) -> Iterator[None]:
    ids = set(job_ids(redis))
    last = next((entry_id for entry_id, _ in redis.xrevrange(KEYS.stream, count=1)), "0")
    yield
    assert set(job_ids(redis)) <= ids  # those of other tests may expire meanwhile, and tell of themselves
    assert not any('"type":"job.created"' in fields["event"] for _, fields in redis.xrange(KEYS.stream, f"({last}"))
    assert service.get("/health/live").status_code == 200


def assert_problem(answer: requests.Response, status: int) -> None:
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert {"type", "title", "status", "detail", "instance"} <= set(problem)
    assert problem["status"] == status
    assert len(problem.get("errors", [])) <= 20
    assert len(answer.content) < 8000
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES)
def test_a_bad_body_is_refused(service: Service, body: bytes, status: int) -> None:
    answer = service.post("/jobs", body)
    assert_problem(answer, status)
    if status == 422:
        assert answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    "body", [b"[]", b"", b'{"owner":"\\ud800"}', b'{"initialTimeout":-1}', b'{"initialTimeout":NaN}']
)
def test_the_seeds_endpoints_refuse_it_too(service: Service, body: bytes) -> None:
    status = 400 if body in (b"", b'{"initialTimeout":NaN}') else 422
    assert_problem(service.post("/Jobs/StartJobWithTimeout", body), status)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_is_not_json_is_415(service: Service, content_type: str) -> None:
    assert_problem(service.post("/jobs", NOOP, headers={"Content-Type": content_type}), 415)


def test_a_compressed_body_is_415(service: Service) -> None:
    assert_problem(service.post("/jobs", gzip.compress(NOOP), headers={"Content-Encoding": "gzip"}), 415)


@pytest.mark.parametrize("encoding", ["", "identity", "Identity"])
def test_a_body_that_is_not_compressed_may_say_so(service: Service, encoding: str) -> None:
    assert_problem(service.post("/jobs", b"{}", headers={"Content-Encoding": encoding}), 422)


@pytest.mark.parametrize("prefer", ["wait=nan", "wait=inf", "wait=-1", "wait=1_0", "wait=soon", 'wait=""', "wait"])
def test_a_wait_in_prefer_that_is_no_number_is_422(service: Service, prefer: str) -> None:
    assert_problem(service.post("/jobs", NOOP, headers={"Prefer": prefer}), 422)


@pytest.mark.parametrize(
    "query", ["wait=nan", "wait=inf", "wait=-1", "wait=1_0", "wait=%EF%BC%91", "wait=", "wait=1&wait=2"]
)
def test_a_wait_in_the_query_that_is_no_number_is_422(service: Service, query: str) -> None:
    assert_problem(service.get(f"/jobs/{uuid4()}?{query}"), 422)


@pytest.mark.parametrize("key", ["", "x" * 300, "ä", "a b"])
def test_a_bad_idempotency_key_is_422(service: Service, key: str) -> None:
    assert_problem(service.post("/jobs", NOOP, headers={"Idempotency-Key": key.encode()}), 422)


def test_what_accepts_no_json_is_406(service: Service) -> None:
    for accept in ("text/html", "image/*", "application/json;q=0", "application/json;q=0, */*", "text/*;q=1"):
        assert_problem(service.get("/jobs", headers={"Accept": accept}), 406)
    for accept in (
        "",
        "*/*",
        "application/*",
        "text/html, application/json;q=0.1",
        "application/json; charset=utf-8",
        'Application/JSON;profile="a"',
        "application/json;q=0, application/problem+json",
        "application/json;indent=2;q=0.5, text/html",
    ):
        assert service.get("/jobs", headers={"Accept": accept}).status_code == 200


def test_an_accept_too_long_to_read_is_406_and_says_so(service: Service) -> None:
    answer = service.get("/jobs", headers={"Accept": f'application/json;a="{" " * 16_000}"'})
    assert_problem(answer, 406)
    assert "1,000 characters" in answer.json()["detail"]


def test_unknown_paths_and_methods_are_problems(service: Service) -> None:
    for path in ("/nothing", "/jobs/", "/..%2f..%2fetc/passwd", "/Jobs/nothing"):
        assert_problem(service.get(path), 404)
    answer = service.session.patch(f"{service.url}/jobs", timeout=5)
    assert_problem(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "POST"}


@pytest.mark.parametrize("host", ["a b", "evil.example/path", "<script>", "a@b", "a:0", "a:99999", "a,b", '"'])
def test_a_host_that_is_none_is_400(service: Service, host: str) -> None:
    answer = service.get("/jobs", headers={"Host": host})
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_chunked_body_without_end_is_413(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        head = "POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        with suppress(OSError):
            for _ in range(80):
                connection.sendall(b"4000\r\n" + b" " * 16_384 + b"\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_nul_in_parameters_is_text_like_any_other(service: Service, redis: Redis) -> None:
    answer = service.post("/jobs", noop(parameters={"a": "x\0y"}, wait=5))
    assert answer.json()["result"] == {"a": "x\0y"}
    job_id = answer.json()["id"]
    service.delete(f"/jobs/{job_id}")
    redis.xdel("jobs:stream", *(entry for entry, fields in redis.xrange("jobs:stream") if job_id in fields["event"]))


def test_json_is_recognised_with_a_charset(service: Service) -> None:
    answer = service.session.post(
        f"{service.url}/jobs",
        data=b"{}",
        headers={**JSON, "Content-Type": "application/json; charset=utf-8"},
        timeout=5,
    )
    assert_problem(answer, 422)


@pytest.mark.parametrize("path", ["/jobs//x", "/batches//x", "/jobs/"])
def test_a_path_with_a_slash_too_many_is_404_and_no_page(service: Service, path: str) -> None:
    answer = service.session.get(service.url + path, allow_redirects=False, timeout=5)
    assert_problem(answer, 404)


@pytest.mark.parametrize(
    ("tags", "where"), [({"a": 1}, "/tags/a"), ({"a b": "x"}, "/tags/a b"), ({"a/b": "x"}, "/tags/a~1b")]
)
def test_a_wrong_tag_is_told_where_it_is(service: Service, tags: dict[str, object], where: str) -> None:
    assert [error["pointer"] for error in service.submit(tags=tags).json()["errors"]] == [where]
    batch = service.post("/jobs/batch", {"jobs": [{"type": "demo.noop", "tags": tags}]})
    assert [error["pointer"] for error in batch.json()["errors"]] == [f"/jobs/0{where}"]
