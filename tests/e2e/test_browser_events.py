"""A real browser follows events through killed web processes: nothing missed, nothing twice, in order."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from support.browser import Browser, find_browser
from support.eventually import eventually
from support.publishing import created, store_of
from support.service import Service

from jobs.model.keys import KEYS
from launch.redis_server import RedisServer

FOLLOW = """
follow = (name, url) => {
  const seen = {ids: [], texts: [], opened: 0, stream: new EventSource(url)};
  for (const event of ["created", "updated", "progress", "completed", "failed", "cancelled", "gap"])
    seen.stream.addEventListener(event, (told) => { seen.ids.push(told.lastEventId); seen.texts.push(told.data); });
  window[name] = seen;
  return new Promise((done) => { seen.stream.onopen = () => { seen.opened += 1; done(); } });
};
"""

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("followed")
    with RedisServer(directory / "redis") as server, Service(directory, server) as service:
        yield service


@pytest.fixture
def owner() -> str:
    return f"browser-{uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(str(find_browser()), tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def browser(started: Browser, service: Service) -> Browser:
    """One that shows a page of ours: a stream may be opened from the same origin only."""
    started.go(f"{service.url}/health/live")
    started.run(FOLLOW)
    return started


def seen(browser: Browser, name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(
        browser.run(f"JSON.stringify({{...{name}, stream: undefined, state: {name}.stream.readyState}})")
    )
    return told


def in_stream(redis: Redis, owner: str, job_id: str = "") -> dict[str, str]:
    """The events of the owner, or of one job of theirs, by entry id."""
    entries = redis.xrange(KEYS.stream_of(owner))
    return {entry_id: fields["event"] for entry_id, fields in entries if job_id in fields["event"]}


def test_event_source_misses_nothing_when_the_web_process_is_killed(
    service: Service, browser: Browser, owner: str
) -> None:
    browser.run(f"follow('many', '/events?owner={owner}')")
    steps = {"steps": 6000, "every": 0.1}
    followed = str(service.submit("sample.steps", owner=owner, parameters=steps).json()["id"])
    browser.run(f"follow('one', '/jobs/{followed}/events')")
    with store_of(service.settings) as store, Redis.from_url(service.redis.url, decode_responses=True) as redis:
        for kill in range(2):
            before = len(in_stream(redis, owner))
            eventually(lambda before=before: len(in_stream(redis, owner)) > before + 1, within=20)
            assert service.web is not None
            service.web.kill()
            for _ in range(5):
                created(store, owner)  # while nobody could be told
            service.start_web()
            for name in ("many", "one"):
                eventually(lambda name=name, kill=kill: seen(browser, name)["opened"] >= kill + 2, within=20)
        assert service.post(f"/jobs/{followed}/cancel").status_code == 200
        last = created(store, owner)
        eventually(lambda: last in "".join(seen(browser, "many")["texts"]), within=10)
        many, one = in_stream(redis, owner), in_stream(redis, owner, followed)
        eventually(lambda: seen(browser, "one")["state"] == 2, within=10)  # it was told that there will be no more
    assert (seen(browser, "many")["ids"], seen(browser, "many")["texts"]) == (list(many), list(many.values()))
    assert (seen(browser, "one")["ids"], seen(browser, "one")["texts"]) == (list(one), list(one.values()))
    assert [json.loads(text)["sequence"] for text in one.values()] == list(range(1, len(one) + 1))


def test_one_that_had_no_event_yet_misses_nothing_either(service: Service, browser: Browser, owner: str) -> None:
    browser.run(f"follow('many', '/events?owner={owner}')")
    assert service.web is not None
    service.web.kill()
    with store_of(service.settings) as store:
        missed = created(store, owner)
    service.start_web()
    eventually(lambda: seen(browser, "many")["texts"], within=10)
    assert [json.loads(text)["id"] for text in seen(browser, "many")["texts"]] == [f"{missed}:1"]


def test_one_goes_on_when_redis_was_away(service: Service, browser: Browser, owner: str) -> None:
    browser.run(f"follow('many', '/events?owner={owner}')")
    assert service.web is not None
    service.redis.kill()
    service.web.kill()
    service.start_web()
    eventually(lambda: seen(browser, "many")["opened"] >= 2, within=10)  # and each time the stream ends
    service.redis.start()
    with store_of(service.settings) as store:
        job_id = created(store, owner)
    eventually(lambda: seen(browser, "many")["texts"], within=15)
    assert [json.loads(text)["id"] for text in seen(browser, "many")["texts"]] == [f"{job_id}:1"]
