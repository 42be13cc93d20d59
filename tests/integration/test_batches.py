"""Batches: many jobs accepted in one step, and one id to wait for, poll and follow them all."""

import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from cloudevents.v1.http import from_json
from redis import Redis
from support.eventually import eventually
from support.service import Service
from support.stored import job_ids
from support.streams import Streams

from jobs.model.event import Event
from jobs.model.keys import KEYS


@pytest.fixture
def owner() -> str:
    return f"o-{uuid4().hex[:12]}"


def noop(number: int) -> dict[str, Any]:
    return {"type": "demo.noop", "parameters": {"n": number}}


def counts(**some: int) -> dict[str, int]:
    return {"New": 0, "InProgress": 0, "Completed": 0, "Failed": 0, "Cancelled": 0, **some}


def events_of(redis: Redis, owner: str) -> list[Event]:
    return [Event.from_json(fields["event"]) for _, fields in redis.xrange(KEYS.stream_of(owner))]


def test_a_batch_that_ends_in_time_is_answered_200_with_what_became_of_its_jobs(service: Service, owner: str) -> None:
    jobs = [*(noop(n) for n in range(8)), {"type": "demo.fail"}, {"type": "demo.noop"}]
    answer = service.submit_batch(jobs, owner=owner, wait=10)
    batch = answer.json()
    assert (answer.status_code, batch["status"], batch["total"]) == (200, "Completed", 10)
    assert batch["counts"] == counts(Completed=9, Failed=1)
    assert batch["progress"] == {"percent": 100.0, "current": 10, "total": 10, "message": None}
    assert answer.headers["Content-Location"] == batch["links"]["self"] == f"{service.url}/batches/{batch['id']}"
    found = [service.get(f"/jobs/{job_id}").json() for job_id in batch["jobs"]]
    assert [job["result"] for job in found[:8]] == [{"n": n} for n in range(8)]
    assert [job["status"] for job in found[8:]] == ["Failed", "Completed"]
    assert {job["owner"] for job in found} == {owner}


def test_a_batch_that_goes_on_is_202_and_polled_to_its_end(service: Service, tmp_path: Path) -> None:
    end = tmp_path / "end"
    answer = service.submit_batch([noop(1), {"type": "sample.holds", "parameters": {"file": str(end)}}])
    assert answer.status_code == 202
    assert answer.headers["Location"] == answer.json()["links"]["self"]
    assert int(answer.headers["Retry-After"]) >= 1
    path = f"/batches/{answer.json()['id']}"
    halfway = eventually(lambda: (b := service.get(path)).json()["counts"]["Completed"] == 1 and b)
    assert halfway.status_code == 202
    assert halfway.json()["progress"]["percent"] == 50.0
    assert "jobs" not in halfway.json()
    end.touch()
    done = service.get(path, params={"wait": 5})
    assert (done.status_code, done.json()["counts"]) == (200, counts(Completed=2))
    assert done.json()["finished_at"] < done.json()["expires_at"]
    again = service.get(path, headers={"If-None-Match": done.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_batch_that_is_between_two_attempts_is_another_version(service: Service) -> None:
    submitted = service.submit_batch([{"type": "sample.unreachable"}])
    path = f"/batches/{submitted.json()['id']}"
    between = eventually(
        lambda: (b := service.get(path).json())["counts"]["New"] == 1 and b["status"] == "InProgress" and b, within=10
    )
    known = {"If-None-Match": submitted.headers["ETag"]}
    assert (between["status"], service.get(path, headers=known).status_code) == ("InProgress", 202)
    service.post(f"/jobs/{submitted.json()['jobs'][0]}/cancel")


def test_who_has_this_version_of_a_batch_that_goes_on_is_told_so(service: Service) -> None:
    batch = service.submit_batch([noop(1), {"type": "demo.noop", "delay": 3600}]).json()
    path = f"/batches/{batch['id']}"
    halfway = eventually(lambda: (b := service.get(path)).json()["counts"]["Completed"] == 1 and b)
    same = service.get(path, headers={"If-None-Match": halfway.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert int(same.headers["Retry-After"]) >= 1
    service.post(f"/jobs/{batch['jobs'][1]}/cancel")
    assert service.get(path, headers={"If-None-Match": halfway.headers["ETag"]}).status_code == 200


def test_a_thousand_jobs_are_one_step_and_all_are_done_in_order_of_the_submit(service: Service, owner: str) -> None:
    batch = service.submit_batch([noop(n) for n in range(1000)], owner=owner, wait=50).json()
    done = service.get(f"/batches/{batch['id']}", params={"wait": 50}).json()  # on a busy machine, it goes on till then
    assert done["counts"] == counts(Completed=1000)
    assert len(set(batch["jobs"])) == 1000
    path, numbers = f"/batches/{batch['id']}/jobs?limit=200", []
    while path:
        page = service.get(path)
        numbers += [job["parameters"]["n"] for job in page.json()]
        path = page.links["next"]["url"].removeprefix(service.url) if "next" in page.links else ""
    assert numbers == list(range(1000))
    newest = service.get("/jobs", params={"owner": owner, "limit": 3}).json()
    assert [job["parameters"]["n"] for job in newest] == [999, 998, 997]


def test_its_events_name_it_and_its_end_is_told_once_and_last(service: Service, redis: Redis, owner: str) -> None:
    batch = service.submit_batch([noop(n) for n in range(20)], owner=owner, wait=10).json()
    told = events_of(redis, owner)
    assert {event.batch_id for event in told} == {batch["id"]}
    assert Counter(event.name for event in told) == {
        **dict.fromkeys(("created", "updated", "completed"), 20),
        "batch.completed": 1,
    }
    last = told[-1]
    assert (last.name, last.id, last.status) == ("batch.completed", f"{batch['id']}:1", "Completed")
    assert (last.data["total"], last.data["counts"]) == (20, {"Completed": 20, "Failed": 0, "Cancelled": 0})
    assert last.data["duration"] > 0
    cloud = from_json(last.text)
    assert (cloud["type"], cloud["subject"], cloud["owner"]) == ("batch.completed", batch["id"], owner)


def test_a_stream_follows_all_of_its_jobs_and_ends_with_it(service: Service, streams: Streams) -> None:
    slow = {"type": "demo.random_delay", "parameters": {"seconds": 0.3}}
    batch = service.submit_batch([slow, noop(1), noop(2)]).json()
    service.submit("demo.noop", wait=5)  # not of it
    stream = streams.open(f"/batches/{batch['id']}/events")
    streams.read(lambda: stream.has_ended, within=10)
    assert Counter(stream.names) == {"created": 3, "updated": 3, "completed": 3, "batch.completed": 1}
    assert stream.names[-1] == "batch.completed"
    later = streams.open(f"/batches/{batch['id']}/events", last=stream.events[4][0])
    streams.read(lambda: later.has_ended, within=10)
    assert later.events == stream.events[5:]
    last = {"Last-Event-ID": stream.last or ""}
    assert service.get(f"/batches/{batch['id']}/events", headers=last).status_code == 204


WRONG: dict[str, tuple[Any, int, list[str]]] = {
    "no jobs": ({}, 422, ["/jobs"]),
    "an empty list": ({"jobs": []}, 422, ["/jobs"]),
    "too many": ({"jobs": [{"type": "demo.noop"}] * 1001}, 422, ["/jobs"]),
    "no list": ({"jobs": {"type": "demo.noop"}}, 422, ["/jobs"]),
    "a job that is none": ({"jobs": [{"type": "demo.noop"}, 7]}, 422, ["/jobs/1"]),
    "an unknown type": ({"jobs": [{"type": "demo.noop"}, {"type": "no.such"}]}, 422, ["/jobs/1/type"]),
    "wrong parameters": (
        {"jobs": [{"type": "demo.random_delay", "parameters": {"seconds": "x"}}, {"type": "no.such"}]},
        422,
        ["/jobs/0/parameters/seconds", "/jobs/1/type"],
    ),
    "a wait of its own": ({"jobs": [{"type": "demo.noop", "wait": 1}]}, 422, ["/jobs/0/wait"]),
    "an owner of its own": ({"jobs": [{"type": "demo.noop", "owner": "x"}]}, 422, ["/jobs/0/owner"]),
    "a bad id": ({"jobs": [{"type": "demo.noop"}], "id": "x"}, 422, ["/id"]),
    "a bad wait": ({"jobs": [{"type": "demo.noop"}], "wait": -1}, 422, ["/wait"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_that_is_wrong_is_refused_as_a_whole(service: Service, redis: Redis, case: str) -> None:
    body, status, pointers = WRONG[case]
    before = set(job_ids(redis))
    answer = service.post("/jobs/batch", body)
    assert answer.status_code == status
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert set(job_ids(redis)) <= before


def test_the_same_key_gives_the_same_batch_and_another_body_is_refused(service: Service, owner: str) -> None:
    key = {"Idempotency-Key": "k"}
    first = service.submit_batch([noop(1), noop(2)], key, owner=owner, wait=5)
    again = service.submit_batch([noop(1), noop(2)], key, owner=owner)
    assert (again.status_code, again.json()) == (200, first.json())
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert service.submit_batch([noop(2), noop(1)], key, owner=owner).status_code == 422
    other = service.submit_batch([noop(2), noop(1)], key, owner=f"{owner}-")
    assert (other.status_code, "Idempotency-Replayed" in other.headers) in {(202, False), (200, False)}


def test_equal_submits_at_once_make_one_batch(service: Service, owner: str) -> None:
    answers: list[requests.Response] = []
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    body = json.dumps({"jobs": [noop(n) for n in range(5)], "owner": owner})

    def ask() -> None:
        answers.append(requests.post(f"{service.url}/jobs/batch", data=body, headers=headers, timeout=20))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert len(service.get("/jobs", params={"owner": owner}).json()) == 5


def test_an_id_of_ones_own_makes_it_repeatable(service: Service) -> None:
    chosen = str(uuid4())
    first = service.submit_batch([noop(1)], id=chosen.upper())
    assert (first.ok, first.json()["id"]) == (True, chosen)
    assert service.submit_batch([noop(1)], id=chosen).json()["jobs"] == first.json()["jobs"]
    assert service.submit_batch([noop(2)], id=chosen).status_code == 409


def test_a_cancelled_and_a_retried_job_are_counted_as_they_stand(service: Service, redis: Redis, owner: str) -> None:
    jobs = [{"type": "demo.noop", "delay": 3600}, {"type": "demo.fail"}]
    batch = service.submit_batch(jobs, owner=owner).json()
    path = f"/batches/{batch['id']}"
    eventually(lambda: service.get(path).json()["counts"]["Failed"] == 1)
    service.post(f"/jobs/{batch['jobs'][0]}/cancel")
    ended = service.get(path)
    assert (ended.status_code, ended.json()["counts"]) == (200, counts(Failed=1, Cancelled=1))
    assert redis.ttl(KEYS.record(batch["id"])) > 0
    assert redis.ttl(KEYS.jobs_of(batch["id"])) > 0
    assert service.post(f"/jobs/{batch['jobs'][0]}/retry").status_code == 202
    again = eventually(lambda: (b := service.get(path)).json()["counts"]["Completed"] == 1 and b)
    assert (again.status_code, again.json()["counts"]) == (200, counts(Failed=1, Completed=1))
    ends = [event.id for event in events_of(redis, owner) if event.name == "batch.completed"]
    assert ends == [f"{batch['id']}:1", f"{batch['id']}:2"]


def test_tags_delays_and_priorities_are_each_job_s_own(service: Service) -> None:
    tag = uuid4().hex
    jobs = [
        {"type": "demo.noop", "tags": {"t": tag}, "priority": 9},
        {"type": "demo.noop", "tags": {"t": tag, "u": "v"}, "delay": 3600},
        {"type": "demo.noop"},
    ]
    batch = service.submit_batch(jobs).json()
    tagged = service.get("/jobs", params={"tag": f"t={tag}"}).json()
    assert [job["id"] for job in tagged] == [batch["jobs"][1], batch["jobs"][0]]
    assert [job["priority"] for job in tagged] == [5, 9]
    assert tagged[0]["run_at"] is not None


def test_a_batch_is_no_job_and_a_job_no_batch(service: Service) -> None:
    batch = service.submit_batch([noop(1)], wait=5).json()
    for method, path in (("get", ""), ("get", "/result"), ("get", "/events"), ("delete", "")):
        assert getattr(service, method)(f"/jobs/{batch['id']}{path}").status_code == 404
    for verb in ("cancel", "retry"):
        assert service.post(f"/jobs/{batch['id']}/{verb}").status_code == 404
    for wrong in (batch["jobs"][0], str(uuid4()), "x", "*"):
        for path in ("", "/jobs", "/events"):
            answer = service.get(f"/batches/{wrong}{path}")
            assert (answer.status_code, answer.json()["title"]) == (404, "Not found")
    assert batch["id"] not in [job["id"] for job in service.get("/jobs?limit=200").json()]


def test_where_a_key_of_ours_is_something_else_nothing_is_stored(service: Service, redis: Redis, owner: str) -> None:
    redis.set(KEYS.index_of_owner(owner), "x")
    before = set(job_ids(redis))
    try:
        assert service.submit_batch([noop(1)], owner=owner).status_code == 503
        assert set(job_ids(redis)) <= before
        assert not redis.exists(KEYS.stream_of(owner))
    finally:
        redis.delete(KEYS.index_of_owner(owner))
