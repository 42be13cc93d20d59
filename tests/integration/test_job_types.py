"""GET /job-types, and parameters checked against what was announced."""

import pytest
from redis import Redis
from support.eventually import eventually
from support.service import Service

from jobs.model.keys import KEYS


def test_what_workers_run_is_announced(service: Service) -> None:
    types = {info["name"]: info for info in service.get("/job-types").json()}
    assert {"demo.random_delay", "demo.fail", "demo.noop", "csv.profile", "sample.greet"} <= set(types)
    greet = types["sample.greet"]
    assert greet["description"] == "Greet somebody."
    assert greet["queue"] == "default"
    assert greet["max_attempts"] == 3
    assert greet["parameters"]["required"] == ["name"]
    assert greet["parameters"]["additionalProperties"] is False
    assert greet["parameters"]["properties"]["name"]["maxLength"] == 20
    assert types["sample.slow"]["time_limit"] == 1.0


@pytest.mark.parametrize(
    ("parameters", "pointers"),
    [
        ({}, ["/parameters/name"]),
        ({"name": 5}, ["/parameters/name"]),
        ({"name": "x" * 21, "times": 9}, ["/parameters/name", "/parameters/times"]),
        ({"name": "x", "colour": "red"}, ["/parameters/colour"]),
        ({"name": "x", "times": "2"}, ["/parameters/times"]),
        ({"name": "x", "day": "someday"}, ["/parameters/day"]),
    ],
)
def test_parameters_are_checked_at_the_door(
    service: Service, parameters: dict[str, object], pointers: list[str]
) -> None:
    answer = service.submit("sample.greet", parameters=parameters)
    assert answer.status_code == 422
    assert sorted(error["pointer"] for error in answer.json()["errors"]) == pointers
    assert all(error["detail"] for error in answer.json()["errors"])


def test_parameters_are_loaded_by_the_workers_schema(service: Service) -> None:
    good = service.submit("sample.greet", parameters={"name": "x", "day": "2026-11-24"}, wait=5).json()
    assert good["result"]["day"] == "2026-11-24"
    bad = service.submit("sample.even", parameters={"number": 3}, wait=5).json()
    assert bad["status"] == "Failed"
    assert bad["error"]["type"] == "invalid-parameters"
    assert "Must be even." in bad["error"]["message"]


def test_an_unknown_type_is_told_with_the_known_ones(service: Service) -> None:
    answer = service.submit("no.such")
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/unknown-job-type"
    assert "sample.greet" in answer.json()["detail"]


def test_what_another_version_announced_stops_nothing(service: Service, redis: Redis) -> None:
    others = {"t.newer": '{"name":"t.newer","colour":"red"}', "t.broken": '{"name":"t.broken","queue":"jobs:stream"}'}
    redis.hset(KEYS.types, mapping=others)
    try:
        answer = service.submit("t.broken")
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unknown-job-type")
        assert "t.newer" in answer.json()["detail"]
        assert service.submit("demo.noop", wait=5).status_code == 200
        assert service.get("/job-types").status_code == 200
    finally:
        redis.hdel(KEYS.types, *others)


@pytest.mark.parametrize(
    ("job_type", "error"),
    [
        ("sample.not_json", "result-not-json"),
        ("sample.too_big", "result-too-large"),
        ("sample.raises", "ValueError"),
        ("sample.slow", "time-limit"),
    ],
)
def test_what_goes_wrong_in_a_job_is_its_error(service: Service, job_type: str, error: str) -> None:
    job = service.submit(job_type, wait=10).json()
    assert job["status"] == "Failed"
    assert job["error"]["type"] == error
    assert "Traceback" not in job["error"]["message"]


@pytest.mark.parametrize(
    ("what", "error_type", "message"),
    [
        ("two arguments", "TwoArguments", "7: bad"),
        ("a lock", "WithLock", "held"),
        ("a class of a function", "ParseError", "line 3"),
        ("no text", "WithoutText", "WithoutText"),
        ("Ignore", "Ignore", "x"),
        ("Reject", "Reject", "('x', True)"),
        ("Retry", "Retry", "x"),
        ("a number", "JobError", "123"),
        ("a JobError with another __init__", "BadRow", "4"),
        ("a long type", "x" * 100, "m"),
        ("a type that is no UTF-8", "?", "m"),
        ("cancelled", "CancelledError", "CancelledError"),
    ],
)
def test_the_error_is_the_exceptions_class_and_text(service: Service, what: str, error_type: str, message: str) -> None:
    job = service.submit("sample.raises_any", parameters={"what": what}, wait=10).json()
    assert job["error"] == {"type": error_type, "message": message, "retryable": False}
    assert job["attempt"] == 1


def test_the_workers_log_shows_where_the_function_raised(service: Service) -> None:
    service.submit("sample.raises_any", parameters={"what": "a class of a function"}, wait=10)
    log = service.workers[0]
    eventually(lambda: "of_a_function.<locals>.ParseError: line 3" in log.text)
    assert "raise RAISED[what]()" in log.text


def test_a_job_whose_process_dies_is_failed(service: Service) -> None:
    job = service.submit("sample.dies", wait=10).json()
    assert (job["status"], job["error"]["type"]) == ("Failed", "worker-lost")
    assert service.submit(wait=5).json()["status"] == "Completed"


def test_a_large_result_arrives(service: Service) -> None:
    assert len(service.submit("sample.big", wait=5).json()["result"]) == 300_000


def test_the_airports_are_profiled(service: Service, data: object) -> None:
    text = (data / "airports.csv").read_text()  # type: ignore[operator]
    job = service.submit("csv.profile", parameters={"csv": text}, wait=20).json()
    assert job["status"] == "Completed", job["error"]
    assert job["result"]["rows"] == 3376
    assert [c["name"] for c in job["result"]["columns"]][-2:] == ["latitude", "longitude"]
    assert job["progress"]["percent"] == 100.0
