"""Events over HTTP: of one job until it ends, of many, and resumed without a gap."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from support.eventually import eventually
from support.service import Service
from support.streams import Stream, Streams


@contextmanager
def stream(service: Service, path: str, last: str | None = None) -> Iterator[Stream]:
    """What a thread of its own reads, as it comes."""
    streams, is_over = Streams(service.port), threading.Event()
    try:
        opened = streams.open(path, last)
        streams.read(lambda: bool(opened.head), within=5)
        assert opened.head.startswith("HTTP/1.0 200 OK"), opened.head
        assert "Content-Type: text/event-stream" in opened.head
        reading = threading.Thread(target=streams.read, args=(is_over.is_set, 60))
        reading.start()
        yield opened
        is_over.set()
        reading.join()
    finally:
        streams.close()


def submit(service: Service, **body: Any) -> str:
    return str(service.submit("demo.random_delay", **body).json()["id"])


def test_the_events_of_a_job_come_as_they_happen_and_end_with_it(service: Service, tmp_path: Path) -> None:
    goes_on = tmp_path / "goes on"
    job_id = str(service.submit("sample.holds", parameters={"file": str(goes_on)}).json()["id"])
    with stream(service, f"/jobs/{job_id}/events") as received:
        eventually(lambda: received.names == ["created", "updated", "progress"])
        assert not received.has_ended
        goes_on.touch()
        eventually(lambda: received.has_ended)
    assert received.names == ["created", "updated", "progress", "progress", "completed"]
    assert received.ids == [f"{job_id}:{sequence}" for sequence in (1, 2, 3, 4, 5)]


def test_last_event_id_resumes_with_nothing_missed_and_nothing_twice(service: Service) -> None:
    job_id = submit(service, parameters={"seconds": 1.2}, wait=5)
    with stream(service, f"/jobs/{job_id}/events") as whole:
        eventually(lambda: whole.has_ended)
    for seen in range(1, len(whole.events)):
        with stream(service, f"/jobs/{job_id}/events", last=whole.events[seen - 1][0]) as rest:
            eventually(lambda rest=rest: rest.has_ended)
        assert rest.events == whole.events[seen:]


def test_a_browser_that_has_it_all_is_told_to_stop_asking(service: Service) -> None:
    job_id = submit(service, parameters={"seconds": 0.1}, wait=5)
    with stream(service, f"/jobs/{job_id}/events") as whole:
        eventually(lambda: whole.has_ended)
    last = {"Last-Event-ID": whole.events[-1][0]}
    assert service.get(f"/jobs/{job_id}/events", headers=last).status_code == 204


@pytest.mark.parametrize("is_over", [False, True])
def test_a_job_that_was_retried_does_not_end_with_its_first_end(service: Service, is_over: bool) -> None:
    job_id = str(service.submit("demo.noop", delay=60).json()["id"])
    service.post(f"/jobs/{job_id}/cancel")
    service.post(f"/jobs/{job_id}/retry")
    if is_over:
        service.finished(job_id)
    with stream(service, f"/jobs/{job_id}/events") as received:
        eventually(lambda: received.has_ended)
    assert received.names[:3] == ["created", "cancelled", "updated"]
    assert received.names[-1] == "completed"


def test_a_batch_that_was_opened_again_does_not_end_with_its_first_end(service: Service) -> None:
    batch = service.post("/jobs/batch", {"wait": 5, "jobs": [{"type": "demo.fail"}]}).json()
    service.post(f"/jobs/{batch['jobs'][0]}/retry")
    service.finished(batch["jobs"][0])
    with stream(service, f"/batches/{batch['id']}/events") as received:
        eventually(lambda: received.has_ended)
    assert received.names.count("batch.completed") == 2
    assert received.names[-1] == "batch.completed"


def test_many_jobs_are_followed_by_owner_and_type(service: Service) -> None:
    owner = f"sse-{uuid4().hex[:8]}"
    with stream(service, f"/events?owner={owner}&type=demo.noop") as received:
        service.submit("demo.noop", owner="somebody-else", wait=5)
        service.submit("demo.random_delay", owner=owner, parameters={"seconds": 0}, wait=5)
        ids = [service.submit("demo.noop", owner=owner, wait=5).json()["id"] for _ in range(3)]
        eventually(lambda: len(received.events) >= 9)
        first = received.events[0][0]
    assert received.names == ["created", "updated", "completed"] * 3
    assert received.ids[::3] == [f"{job_id}:1" for job_id in ids]
    with stream(service, f"/events?owner={owner}", last=first) as rest:
        eventually(lambda: len(rest.events) >= 8)
    assert rest.events[0] == received.events[1]


@pytest.mark.parametrize("path", ["/jobs/4fb1d1d6-6f0f-4c08-9a4e-3d4f8a1c2b7e/events", "/jobs/x/events"])
def test_a_job_that_is_not_there_is_404(service: Service, path: str) -> None:
    assert service.get(path, headers={"Accept": "text/event-stream"}).status_code == 404


@pytest.mark.parametrize(
    "given", ["yesterday", "1-", "-1", "1-\u0661", f"{2**64}-0", f"1-{2**64}", f"{2**64 - 1}-{2**64 - 1}", "1" * 10_000]
)
def test_a_last_event_id_that_is_none_is_refused(service: Service, given: str) -> None:
    answer = service.get("/events", headers={"Last-Event-ID": given.encode()})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
