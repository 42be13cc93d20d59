"""Callbacks and standing webhooks from end to end: a web process, the service that delivers, receivers that verify."""

import json
import math
import re
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from redis import Redis
from standardwebhooks import Webhook, WebhookVerificationError
from support.eventually import eventually
from support.processes import ROOT, ForkedProcess, Process, clean_environ
from support.receiver import KEY, SECRET, Receiver, Says
from support.service import Service

from jobs.model.callback import USUAL_EVENTS
from jobs.model.event import OF_JOBS
from jobs.model.keys import KEYS
from launch.redis_server import RedisServer

QUICK = "support.quick_webhooks"
Started = Callable[..., Process]


@pytest.fixture(scope="module")
def hooks(service: Service, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A web process where webhooks are on; the workers are those of ``service``."""
    on = {"JOBS_WEBHOOK_SECRET": SECRET, "JOBS_WEBHOOK_ALLOW": "127.0.0.1"}
    with Service(tmp_path_factory.mktemp("hooks"), redis_server, **on).without_workers() as running:
        yield running


class Delivering:
    """The processes that deliver: one that tests share, or those that a test has for itself."""

    def __init__(self, hooks: Service) -> None:
        self._hooks = hooks
        self._shared: Process | None = None

    def start(self, module: str = QUICK, **environ: str) -> Process:
        log = self._hooks.directory / f"delivering-{uuid4().hex[:8]}.log"
        started = ForkedProcess if module == QUICK else Process
        return started(log, module, **{**self._hooks.environ, **environ})

    def share(self) -> Process:
        self._shared = self._shared or self.start()
        return self._shared

    def stop_sharing(self) -> None:
        if self._shared is not None:
            self._shared.kill()
        self._shared = None


@pytest.fixture(scope="module")
def delivering(hooks: Service) -> Iterator[Delivering]:
    processes = Delivering(hooks)
    yield processes
    processes.stop_sharing()


@pytest.fixture
def shared(delivering: Delivering) -> Process:
    """A process with the usual settings, that goes on when the test has ended."""
    return delivering.share()


@pytest.fixture
def start(delivering: Delivering) -> Iterator[Started]:
    """Start one that no other test has, and that is alone but for others that the test starts."""
    delivering.stop_sharing()
    started: list[Process] = []

    def start(module: str = QUICK, **environ: str) -> Process:
        started.append(delivering.start(module, **environ))
        return started[-1]

    yield start
    for process in started:
        process.kill()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def submit(hooks: Service, url: str, job_type: str = "demo.noop", **body: Any) -> str:
    callback = {"url": url, **({"events": body.pop("events")} if "events" in body else {})}
    answer = hooks.submit(job_type, callback=callback, **body)
    assert answer.status_code in {200, 202}, answer.text
    return str(answer.json()["id"])


def test_the_end_of_a_job_is_told_once_signed_and_verified(hooks: Service, start: Started, receiver: Receiver) -> None:
    start("subscribers.webhooks")
    job_id = submit(hooks, receiver.url + "?a=b", owner="me")
    other = hooks.submit(wait=5).json()["id"]
    eventually(lambda: receiver.of(job_id), within=10)
    time.sleep(0.5)
    [received] = receiver.of(job_id)
    event = received.verified()
    assert (event.name, event.job_id, event.owner, received.id) == ("completed", job_id, "me", event.id)
    assert received.headers["content-type"] == "application/cloudevents+json"
    assert received.path == "/hook?a=b"
    stream: list[Any] = hooks_redis(hooks).xrange(KEYS.stream_of("me"))
    assert received.body in [fields["event"] for _, fields in stream]
    assert receiver.of(other) == []


def test_with_two_secrets_a_receiver_may_have_either(hooks: Service, start: Started, receiver: Receiver) -> None:
    new = b"the secret that comes next"
    start(JOBS_WEBHOOK_SECRET=f"whsec_{b64encode(new).decode()},{SECRET}")
    job_id = submit(hooks, receiver.url)
    [received] = eventually(lambda: receiver.of(job_id), within=10)
    for key in (new, KEY):
        Webhook(key).verify(received.body, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(b"another key of twenty-four").verify(received.body, received.headers)


@pytest.mark.usefixtures("shared")
def test_the_events_that_were_asked_for_are_told(hooks: Service, receiver: Receiver) -> None:
    job_id = submit(hooks, receiver.url, "demo.random_delay", events=OF_JOBS, parameters={"seconds": 0.6})
    failing = submit(hooks, receiver.url, "demo.fail", events=["failed"])
    names = eventually(
        lambda: len(found := [each.verified().name for each in receiver.of(job_id)]) >= 4 and found, within=10
    )
    assert sorted(names) == ["completed", "created", "progress", "updated"]
    [failed] = eventually(lambda: receiver.of(failing))
    assert failed.verified().data["error"]["type"] == "demo-failure"


@pytest.mark.usefixtures("shared")
def test_what_was_tampered_with_is_refused_by_the_receiver(hooks: Service, receiver: Receiver) -> None:
    job_id = submit(hooks, receiver.url)
    [received] = eventually(lambda: receiver.of(job_id), within=10)
    verifier = Webhook(SECRET)
    verifier.verify(received.body, received.headers)
    tampered = {
        "body": (received.body.replace("Completed", "Cancelled"), received.headers),
        "id": (received.body, {**received.headers, "webhook-id": "other"}),
        "time": (received.body, {**received.headers, "webhook-timestamp": str(int(time.time()) + 1)}),
        "signature": (received.body, {**received.headers, "webhook-signature": "v1," + "A" * 43 + "="}),
    }
    for body, headers in tampered.values():
        with pytest.raises(WebhookVerificationError):
            verifier.verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(b"another key of twenty-four").verify(received.body, received.headers)


@pytest.mark.usefixtures("shared")
def test_a_receiver_that_failed_is_told_again_with_the_same_id_and_a_new_signature(
    hooks: Service, receiver: Receiver
) -> None:
    receiver.answer(Says(500), Says(302, (("Location", receiver.url + "/other"),)), Says(200))
    job_id = submit(hooks, receiver.url)
    eventually(lambda: len(receiver.of(job_id)) == 3, within=10)
    time.sleep(0.5)
    attempts = receiver.of(job_id)
    assert len(attempts) == 3
    assert {each.id for each in attempts} == {f"{job_id}:3"}
    assert {each.path for each in attempts} == {"/hook"}
    assert all(each.verified().name == "completed" for each in attempts)


@pytest.mark.usefixtures("shared")
def test_what_never_arrives_is_set_aside_with_the_reason(hooks: Service, receiver: Receiver, redis: Any) -> None:
    receiver.answer(Says(500))
    job_id = submit(hooks, receiver.url)

    def letters() -> list[dict[str, str]]:
        found = redis.xrange(KEYS.deliveries_dead)
        return [letter for _, letter in found if letter["delivery"].startswith(job_id)]

    [letter] = eventually(letters, within=10)
    assert (letter["reason"], letter["attempts"], letter["url"]) == ("answered 500", "4", receiver.url)
    assert len(receiver.of(job_id)) == 4


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("form", ["seconds", "time"])
def test_retry_after_is_honoured(hooks: Service, receiver: Receiver, form: str) -> None:
    before = submit(hooks, receiver.url)
    eventually(lambda: receiver.of(before), within=15)  # the process that delivers has started
    to_come = math.ceil(time.time()) + 3 - time.time()
    due = time.monotonic() + to_come
    at = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + to_come))
    receiver.answer(Says(503, (("Retry-After", "2" if form == "seconds" else at),)), Says(200))
    job_id = submit(hooks, receiver.url)
    eventually(lambda: len(receiver.of(job_id)) == 2, within=15)
    first, second = receiver.of(job_id)
    assert (first.at + 2 if form == "seconds" else due) - 0.1 <= second.at < due + 3


def test_410_ends_a_callback(hooks: Service, shared: Process, receiver: Receiver) -> None:
    receiver.answer(Says(410))
    job_id = submit(hooks, receiver.url, events=["created", "cancelled"], delay=60)
    eventually(lambda: re.search(rf"{job_id}:1 .* answered 410", shared.text), within=10)
    hooks.post(f"/jobs/{job_id}/cancel")
    time.sleep(0.5)
    assert [each.verified().name for each in receiver.of(job_id)] == ["created"]


def test_a_killed_service_s_deliveries_arrive_after_its_restart(
    hooks: Service, start: Started, receiver: Receiver
) -> None:
    receiver.answer(Says(200, after=5), Says(200))
    first = start()
    job_id = submit(hooks, receiver.url)
    eventually(lambda: receiver.of(job_id), within=10)
    first.kill()
    start()
    eventually(lambda: len(receiver.of(job_id)) == 2, within=15)
    assert {each.id for each in receiver.of(job_id)} == {f"{job_id}:3"}


def test_every_end_is_told_though_the_service_is_killed_again_and_again(
    hooks: Service, start: Started, receiver: Receiver
) -> None:
    receiver.answer(Says(200, after=0.05))
    ids: list[str] = []
    for _ in range(6):
        told = len(receiver.received)
        process = start(JOBS_LEASE="1")
        ids += [submit(hooks, receiver.url) for _ in range(20)]
        eventually(lambda told=told: len(receiver.received) >= told + 5, within=15)
        process.kill()
    for _ in range(2):
        start(JOBS_LEASE="1")
    eventually(lambda: all(receiver.of(job_id) for job_id in ids), within=30)
    assert {each.id for each in receiver.received} == {f"{job_id}:3" for job_id in ids}


def test_what_happened_while_the_service_was_away_is_told(hooks: Service, start: Started, receiver: Receiver) -> None:
    assert start().stop() in {0, -15}
    ids = [submit(hooks, receiver.url, wait=5) for _ in range(5)]
    deleted = ids.pop()
    assert hooks.delete(f"/jobs/{deleted}").status_code == 204
    start()
    eventually(lambda: all(receiver.of(job_id) for job_id in [*ids, deleted]), within=15)


def test_a_service_that_is_stopped_ends_though_a_receiver_does_not_answer(
    hooks: Service, start: Started, receiver: Receiver
) -> None:
    receiver.answer(Says(200, after=20))
    process = start("subscribers.webhooks")
    job_id = submit(hooks, receiver.url)
    eventually(lambda: receiver.of(job_id), within=10)
    assert process.stop(within=8) == 0


def test_a_slow_receiver_does_not_hold_up_another(hooks: Service, start: Started) -> None:
    with Receiver(Says(200, after=3)) as slow, Receiver() as quick:
        start(JOBS_WEBHOOK_ALLOW="127.0.0.1,localhost")
        slow_url = slow.url.replace("127.0.0.1", "localhost")
        behind = [submit(hooks, slow_url) for _ in range(12)]
        eventually(lambda: slow.received, within=10)
        began = time.monotonic()
        job_id = submit(hooks, quick.url, wait=5)
        eventually(lambda: quick.of(job_id), within=10)
        assert time.monotonic() - began < 2
        assert len(slow.received) < len(behind)


def test_what_is_not_allowed_is_not_reached_whatever_the_door_let_in(
    hooks: Service, start: Started, receiver: Receiver
) -> None:
    process = start(JOBS_WEBHOOK_ALLOW="192.0.2.1")
    by_address = submit(hooks, receiver.url)
    by_name = submit(hooks, receiver.url.replace("127.0.0.1", "localhost"))
    for job_id in (by_address, by_name):
        eventually(lambda job_id=job_id: re.search(rf"{job_id}:3 callback: .* is not public", process.text), within=10)
    process.kill()
    assert receiver.received == []


def test_the_secret_is_in_no_log(hooks: Service, start: Started, receiver: Receiver) -> None:
    receiver.answer(Says(500), Says(200))
    process = start(JOBS_WEBHOOK_ALLOW="127.0.0.1")
    job_id = submit(hooks, receiver.url)
    eventually(lambda: len(receiver.of(job_id)) == 2, within=10)
    assert "answered 500" in process.text
    for log in hooks.directory.glob("*.log"):
        for secret in (SECRET, SECRET.removeprefix("whsec_"), KEY.decode(), KEY.hex()):
            assert secret not in log.read_text(errors="replace"), log


def test_the_container_s_healthcheck_tells_a_living_service_from_a_dead_one(
    hooks: Service, start: Started, redis: Any
) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    _, _, *arguments = compose["services"]["webhooks"]["healthcheck"]["test"]

    def is_healthy(**environ: str) -> bool:
        command = [sys.executable, *arguments]
        return (
            subprocess.run(command, env=clean_environ(**{**hooks.environ, **environ}), capture_output=True).returncode
            == 0
        )

    process = start("subscribers.webhooks")
    eventually(is_healthy, within=10, every=0.3)
    process.kill()
    eventually(lambda: not is_healthy(), within=15, every=1.0)
    assert is_healthy(JOBS_WEBHOOK_SECRET="")


def test_without_a_secret_the_service_says_so_and_waits(service: Service, tmp_path: Path) -> None:
    process = Process(tmp_path / "off.log", "subscribers.webhooks", **service.environ)
    try:
        eventually(lambda: "JOBS_WEBHOOK_SECRET is not set" in process.text, within=10)
        assert len(process.text.splitlines()) == 1
    finally:
        assert process.stop() == 0


# --- standing webhooks


@pytest.mark.usefixtures("shared")
def test_a_standing_webhook_is_told_of_its_owner_s_jobs_until_it_is_removed(hooks: Service, receiver: Receiver) -> None:
    owner = f"hooks-{uuid4().hex[:8]}"
    added = hooks.post("/webhooks", {"url": receiver.url, "owner": owner, "events": ["completed", "created"]})
    assert added.status_code == 201
    document = added.json()
    assert list(document) == ["id", "url", "owner", "events", "created_at", "status"]
    assert added.headers["Location"] == f"{hooks.url}/webhooks/{document['id']}"
    assert document["events"] == ["created", "completed"]
    assert document["status"] == "active"
    assert hooks.get(f"/webhooks/{document['id']}").json() == document
    assert document in hooks.get("/webhooks").json()

    job_id = hooks.submit(owner=owner, wait=5).json()["id"]
    other = hooks.submit(owner="somebody-else", wait=5).json()["id"]
    eventually(lambda: len(receiver.of(job_id)) == 2, within=10)
    assert {each.verified().name for each in receiver.of(job_id)} == {"created", "completed"}
    assert receiver.of(other) == []

    assert hooks.delete(f"/webhooks/{document['id']}").status_code == 204
    assert hooks.get(f"/webhooks/{document['id']}").status_code == 404
    later = hooks.submit(owner=owner, wait=5).json()["id"]
    time.sleep(0.7)
    assert receiver.of(later) == []


@pytest.mark.usefixtures("shared")
def test_a_standing_webhook_is_told_of_the_end_of_a_batch(hooks: Service, receiver: Receiver) -> None:
    owner = f"hooks-{uuid4().hex[:8]}"
    added = hooks.post("/webhooks", {"url": receiver.url, "owner": owner, "events": ["batch.completed"]}).json()
    try:
        batch = hooks.submit_batch([{"type": "demo.noop"}, {"type": "demo.fail"}], owner=owner, wait=5).json()
        [received] = eventually(lambda: receiver.of(batch["id"]), within=10)
        event = received.verified()
        assert (event.name, event.batch_id, event.data["counts"]["Failed"]) == ("batch.completed", batch["id"], 1)
    finally:
        hooks.delete(f"/webhooks/{added['id']}")


@pytest.mark.usefixtures("shared")
def test_410_disables_a_standing_webhook(hooks: Service, receiver: Receiver) -> None:
    receiver.answer(Says(410))
    owner = f"hooks-{uuid4().hex[:8]}"
    webhook = hooks.post("/webhooks", {"url": receiver.url, "owner": owner}).json()
    hooks.submit(owner=owner, wait=5)
    eventually(lambda: hooks.get(f"/webhooks/{webhook['id']}").json()["status"] == "disabled", within=10)
    hooks.submit(owner=owner, wait=5)
    time.sleep(0.7)
    assert len(receiver.received) == 1


# --- at the door


@pytest.mark.parametrize(
    ("callback", "pointer"),
    [
        (None, "/callback"),
        ("http://x/", "/callback"),
        ([], "/callback"),
        ({}, "/callback/url"),
        ({"url": None}, "/callback/url"),
        ({"url": 1}, "/callback/url"),
        ({"url": "ftp://x/"}, "/callback/url"),
        ({"url": "/hook"}, "/callback/url"),
        ({"url": "https://me:pw@example.org/"}, "/callback/url"),
        ({"url": "http://x/" + "y" * 2040}, "/callback/url"),
        ({"url": "http://x/\u0000"}, "/callback/url"),
        ({"url": "http://x/", "events": []}, "/callback/events"),
        ({"url": "http://x/", "events": ["compleated"]}, "/callback/events/0"),
        ({"url": "http://x/", "events": "completed"}, "/callback/events"),
        ({"url": "http://x/", "secret": "y"}, "/callback/secret"),
        *(
            ({"url": f"http://{host}/"}, "/callback/url")
            for host in (
                *("127.0.0.2", "10.1.2.3", "169.254.169.254", "192.168.1.1", "172.16.0.1", "100.64.0.1", "0.0.0.0"),
                *("[::1]", "[::ffff:127.0.0.2]", "[fd00::1]", "2130706434", "0x7f000002", "0177.0.0.2", "127.2"),
            )
        ),
    ],
)
def test_a_callback_that_cannot_be_called_is_refused_with_its_place(
    hooks: Service, callback: object, pointer: str
) -> None:
    answer = hooks.submit(callback=callback)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_the_job_document_says_nothing_of_its_callback(hooks: Service) -> None:
    job = hooks.submit(callback={"url": "http://127.0.0.1:9/"}, wait=5).json()
    assert "callback" not in json.dumps(job)


def test_the_callback_is_part_of_what_makes_a_submit_the_same(hooks: Service) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    url = "http://127.0.0.1:9/"
    first = hooks.submit(callback={"url": url}, headers=key)
    again = hooks.submit(callback={"url": url, "events": list(reversed(USUAL_EVENTS))}, headers=key)
    other = hooks.submit(callback={"url": url + "x"}, headers=key)
    without = hooks.submit(headers=key)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, without.status_code) == (422, 422)


def test_callbacks_are_off_without_a_secret_and_the_answer_says_so(service: Service) -> None:
    before = [job["id"] for job in service.get("/jobs").json()[:1]]  # it may go on meanwhile
    answer = service.submit(callback={"url": "https://example.org/"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/callback", "detail": "Callbacks are off here: JOBS_WEBHOOK_SECRET is not set."}
    ]
    assert [job["id"] for job in service.get("/jobs").json()[:1]] == before


def test_the_routes_of_webhooks_are_off_without_a_secret(service: Service) -> None:
    path = f"/webhooks/{uuid4()}"
    answers = [
        service.get("/webhooks"),
        service.post("/webhooks", {"url": "https://example.org/"}),
        service.get(path),
        service.delete(path),
    ]
    for answer in answers:
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["type"] == "/problems/webhooks-off"
        assert "JOBS_WEBHOOK_SECRET" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": "http://127.0.0.2/"}, "/url"),
        ({"url": "x"}, "/url"),
        ({"url": "http://x/", "owner": "a b"}, "/owner"),
        ({"url": "http://x/", "owner": None}, "/owner"),
        ({"url": "http://x/", "id": "1"}, "/id"),
        ({"url": "http://x/", "events": ["job.completed"]}, "/events/0"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused(hooks: Service, body: dict[str, object], pointer: str) -> None:
    answer = hooks.post("/webhooks", body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("webhook_id", ["6f1c0a2b-0000-4000-8000-000000000000", "x", "*", "..%2f", "a" * 5000])
def test_a_webhook_that_is_not_there_is_404(hooks: Service, webhook_id: str) -> None:
    for answer in (hooks.get(f"/webhooks/{webhook_id}"), hooks.delete(f"/webhooks/{webhook_id}")):
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"


def hooks_redis(hooks: Service) -> Redis:
    return Redis.from_url(hooks.settings.redis_url, decode_responses=True)
