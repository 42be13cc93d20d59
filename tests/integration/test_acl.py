"""The access that docs/events.md gives one service: its own events, and nothing else. Tried as it stands there."""

import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError
from support.eventually import eventually
from support.processes import ROOT
from support.publishing import created, store_of

from jobs.model.event import Event
from jobs.model.keys import KEYS
from jobs.settings import Settings
from jobs.store.job_store import JobStore
from launch.redis_server import RedisServer
from subscribers import Subscriber

OWNER = "microservice-x"
PASSWORD = "a-password"


def documented() -> dict[str, list[str]]:
    """The two commands of the page, as words, by mode."""
    text = (ROOT / "docs" / "events.md").read_text()
    live, durable = re.findall(r"^ACL SETUSER .*?(?=^```)", text, re.MULTILINE | re.DOTALL)
    return {"live": shlex.split(live), "durable": shlex.split(durable)}


@pytest.fixture(params=["live", "durable"])
def mode(request: pytest.FixtureRequest, redis: Redis) -> Iterator[str]:
    """The mode whose user is there."""
    redis.execute_command(*documented()[request.param])
    redis.acl_log_reset()
    yield request.param
    redis.execute_command("ACL", "DELUSER", OWNER)


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[JobStore]:
    with store_of(Settings.from_environ({"JOBS_REDIS_URL": redis_server.url})) as store:
        yield store


@pytest.fixture
def own_url(redis_server: RedisServer) -> str:
    return redis_server.url.replace("redis://", f"redis://{OWNER}:{PASSWORD}@")


@pytest.fixture
def restricted(own_url: str, mode: str) -> Iterator[Redis]:
    with Redis.from_url(own_url, decode_responses=True) as client:
        yield client


@contextmanager
def running(subscriber: Subscriber, seen: list[Event], fails_on: str = "") -> Iterator[None]:
    def handle(event: Event) -> None:
        if event.name == fails_on:
            raise RuntimeError("as the test wants it")
        seen.append(event)

    thread = threading.Thread(target=subscriber.run, args=(handle,))
    thread.start()
    try:
        yield
    finally:
        subscriber.stop()
        thread.join(10)
    assert not thread.is_alive()


def refused(redis: Redis) -> set[str]:
    """What the server refused to the user since it is there; that it may not give its client a name is no matter."""
    return {str(entry["object"]) for entry in redis.acl_log() if entry["username"] == OWNER} - {"client|setinfo"}


def subscriber(own_url: str, mode: str) -> Subscriber:
    settings = Settings.from_environ({"JOBS_REDIS_URL": own_url, "JOBS_LEASE": "1"})
    terms = {"max_deliveries": 2, "backoff": 0.05} if mode == "durable" else {}
    return Subscriber(OWNER, owner=OWNER, mode=mode, settings=settings, **terms)


def test_our_own_subscriber_works_and_is_refused_nothing(
    redis: Redis, store: JobStore, own_url: str, mode: str
) -> None:
    seen: list[Event] = []
    with running(subscriber(own_url, mode), seen, fails_on="cancelled" if mode == "durable" else ""):
        eventually(lambda: created(store, OWNER) and seen, within=10)
        created(store, "somebody-else")
        for connection in redis.client_list():
            if connection["user"] == OWNER:
                redis.client_kill_filter(_id=connection["id"])
        job_id = created(store, OWNER)
        eventually(lambda: job_id in [event.job_id for event in seen], within=10)
        store.cancel(job_id)  # in durable mode it fails twice, and is buried
        if mode == "durable":
            eventually(lambda: redis.xlen(KEYS.subscription(f"{OWNER}:{OWNER}", "dead")) > 0, within=10)
        else:
            eventually(lambda: seen[-1].name == "cancelled")
    assert {event.owner for event in seen} == {OWNER}
    assert refused(redis) == set()


@pytest.mark.parametrize("mode", ["durable"], indirect=True)
def test_a_process_that_dies_is_taken_over_with_the_same_access(
    redis: Redis, store: JobStore, own_url: str, mode: str
) -> None:
    one, other, seen = subscriber(own_url, mode), subscriber(own_url, mode), list[Event]()
    with running(one, seen), running(other, seen):
        eventually(lambda: redis.zcard(KEYS.subscription(f"{OWNER}:{OWNER}", "consumers")) >= 2, within=10)
        jobs = {created(store, OWNER) for _ in range(50)}
        eventually(lambda: jobs <= {event.job_id for event in seen}, within=10)
        one.stop()
        more = {created(store, OWNER) for _ in range(50)}
        eventually(lambda: more <= {event.job_id for event in seen}, within=10)
    assert refused(redis) == set()


@pytest.mark.parametrize(
    "command",
    [
        "XRANGE jobs:stream - +",
        "XREAD STREAMS jobs:stream 0",
        "XINFO STREAM jobs:stream",
        "XRANGE jobs:stream:somebody-else - +",
        "XREAD STREAMS jobs:stream:somebody-else 0",
        "SUBSCRIBE jobs.events.somebody-else.completed",
        "PSUBSCRIBE jobs.events.somebody-else.*",
        "PSUBSCRIBE jobs.events.*",
        "PSUBSCRIBE *",
        "PUBLISH jobs.events.microservice-x.completed {}",
        "XADD jobs:stream:microservice-x * event {}",
        "XADD jobs:stream * event {}",
        "XDEL jobs:stream:microservice-x 1-0",
        "XTRIM jobs:stream:microservice-x MAXLEN 0",
        "DEL jobs:stream:microservice-x",
        "EXPIRE jobs:stream:microservice-x 1",
        "RENAME jobs:stream:microservice-x jobs:subscription:microservice-x:microservice-x:dead",
        "HGETALL jobs:job:4fb1d1d6-6f0f-4c08-9a4e-3d4f8a1c2b7e",
        "HGETALL jobs:subscriptions",
        "HGETALL jobs:subscription:somebody-else:somebody-else:held",
        "XADD jobs:subscription:somebody-else:somebody-else:dead * event {}",
        "LPUSH default {}",
        "SET anything 1",
        "GET anything",
        "KEYS *",
        "SCAN 0",
        "FLUSHALL",
        "CONFIG GET *",
        "CLIENT LIST",
        "ACL WHOAMI",
        "EVAL return(1) 0",
    ],
)
def test_all_else_is_refused(restricted: Redis, command: str) -> None:
    with pytest.raises(NoPermissionError):
        restricted.execute_command(*command.split(" "))


@pytest.mark.parametrize("mode", ["live"], indirect=True)
def test_a_live_service_loads_no_script(restricted: Redis) -> None:
    with pytest.raises(NoPermissionError):
        restricted.script_load("return 1")


@pytest.mark.parametrize("mode", ["durable"], indirect=True)
@pytest.mark.parametrize(
    "call",
    [
        "'XADD', KEYS[1], '*', 'event', '{}'",
        "'DEL', KEYS[1]",
        "'XRANGE', 'jobs:stream', '-', '+'",
        "'PUBLISH', 'jobs.events.microservice-x.completed', '{}'",
    ],
)
def test_a_script_of_a_durable_service_can_do_no_more(restricted: Redis, call: str) -> None:
    sha = restricted.script_load(f"return redis.call({call})")
    with pytest.raises(ResponseError, match=r"permission|ACL|can't access|can't run"):
        restricted.evalsha(sha, 1, "jobs:stream:microservice-x")
