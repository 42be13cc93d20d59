"""Deliveries in Redis: planned once, taken under a lease, each host in its own queue; and the loop that sends them."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from support.eventually import eventually

from jobs.addresses import Allowed
from jobs.connections.client import connect
from jobs.model.callback import Callback
from jobs.model.event import NAMES, Event
from jobs.model.keys import KEYS
from jobs.model.status import Status
from jobs.model.submission import Submission
from jobs.settings import Settings
from jobs.store.job_store import JobStore
from jobs.webhooks.deliveries import CALLBACK, MOST_WAITING, Deliveries, Delivery
from jobs.webhooks.registry import Webhooks
from launch.redis_server import RedisServer
from subscribers.delivering import AT_ONCE, OF_ONE_HOST, Delivering
from subscribers.posting import Answer, NotAnswered, Poster
from subscribers.schedule import Schedule

LEASE = 0.3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("deliveries")) as server:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[Redis]:
    with connect(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def store(client: Redis) -> JobStore:
    return JobStore(client, Settings())


@pytest.fixture
def deliveries(store: JobStore) -> Deliveries:
    """With a lease that outlasts a test."""
    return Deliveries(store, 60)


def finished(store: JobStore, callback: Callback | None = None, owner: str = "me") -> list[Event]:
    """The three events of a job that was run."""
    job = Submission(
        type="t", owner=owner, parameters_json="{}", queue="nobody", max_attempts=1, callback=callback, tags={"a": "b"}
    )
    store.submit(job, message=None)
    store.claim(job.id)
    store.complete(job.id, "1")
    entries: list[Any] = store.client.xrange(KEYS.stream_of(owner))
    events = [Event.from_json(fields["event"]) for _, fields in entries]
    return [event for event in events if event.job_id == job.id]


def plan(deliveries: Deliveries, events: list[Event]) -> int:
    return sum(deliveries.plan(event) for event in events)


def take(deliveries: Deliveries, most: int = 100) -> list[Delivery]:
    return deliveries.take(most, most, {})[0]


def test_a_callback_gets_the_events_it_asked_for(store: JobStore, deliveries: Deliveries) -> None:
    events = finished(store, Callback.to("http://Hooks.example:81/x?y"))
    assert plan(deliveries, events) == 1
    [delivery] = take(deliveries)
    assert (delivery.event_id, delivery.target, delivery.host) == (events[2].id, CALLBACK, "hooks.example")
    assert (delivery.url, delivery.text, delivery.attempt) == ("http://Hooks.example:81/x?y", events[2].text, 1)
    assert plan(deliveries, finished(store, Callback.to("http://x", NAMES))) == 3
    assert plan(deliveries, finished(store)) == 0


def test_a_webhook_gets_the_events_of_its_owner_since_it_was_added(store: JobStore, deliveries: Deliveries) -> None:
    before = finished(store)
    time.sleep(0.002)  # event times are in milliseconds
    webhooks = Webhooks(store)
    mine = webhooks.add(Callback.to("http://mine", ["completed"]), "me")
    everybody = webhooks.add(Callback.to("http://all", ["created", "completed"]), None)
    assert plan(deliveries, before) == 0
    assert plan(deliveries, finished(store)) == 3
    assert plan(deliveries, finished(store, owner="you")) == 2
    targets = [delivery.target for delivery in take(deliveries)]
    assert sorted(targets) == sorted([mine.id, *[everybody.id] * 4])


def test_an_event_that_comes_again_makes_nothing_new_whatever_became_of_it(
    store: JobStore, deliveries: Deliveries
) -> None:
    events = finished(store, Callback.to("http://x"))
    assert plan(deliveries, events) == 1
    assert plan(deliveries, events) == 0
    [delivery] = take(deliveries)
    assert plan(deliveries, events) == 0
    deliveries.arrived(delivery)
    assert plan(deliveries, events) == 0
    assert take(deliveries) == []


def test_what_is_done_leaves_nothing_without_a_ttl(store: JobStore, deliveries: Deliveries, client: Any) -> None:
    before = set(client.scan_iter())
    plan(deliveries, finished(store, Callback.to("http://x")))
    for delivery in take(deliveries):
        deliveries.arrived(delivery)
    take(deliveries)
    client.zadd(KEYS.deliveries, {"x": 0})
    assert take(deliveries) == []
    left = {key for key in set(client.scan_iter()) if key not in before and "deliver" in key}
    assert all(client.ttl(key) > 0 for key in left), left


def test_a_deleted_job_s_callback_is_still_told(store: JobStore, deliveries: Deliveries, client: Any) -> None:
    events = finished(store, Callback.to("http://x"))
    store.delete(store.get(events[0].job_id), {"a": "b"})
    assert client.ttl(KEYS.callback(events[0].job_id)) > 0
    assert not client.exists(KEYS.record(events[0].job_id))
    assert not client.zscore(KEYS.index_of_status(Status.COMPLETED), events[0].job_id)
    assert plan(deliveries, events) == 1


def test_what_was_taken_is_another_s_only_when_the_lease_has_ended(store: JobStore) -> None:
    deliveries = Deliveries(store, LEASE)
    plan(deliveries, finished(store, Callback.to("http://x")))
    began = time.monotonic()
    [first] = take(deliveries)
    [second] = eventually(lambda: take(deliveries))
    assert time.monotonic() - began >= LEASE
    assert (second.id, second.attempt) == (first.id, 2)
    assert not deliveries.put_off(first, 0)
    assert not deliveries.give_up(first, "late")
    assert deliveries.give_up(second, "in time")
    assert not deliveries.give_up(second, "twice")


def test_what_arrived_late_has_arrived(store: JobStore) -> None:
    deliveries = Deliveries(store, LEASE)
    plan(deliveries, finished(store, Callback.to("http://x")))
    [first] = take(deliveries)
    [second] = eventually(lambda: take(deliveries))
    deliveries.arrived(first)
    assert not deliveries.put_off(second, 0)
    time.sleep(LEASE)
    assert take(deliveries) == []


def test_what_is_put_off_is_due_when_it_was_said(store: JobStore, deliveries: Deliveries) -> None:
    plan(deliveries, finished(store, Callback.to("http://x")))
    [delivery] = take(deliveries)
    began = time.monotonic()
    assert deliveries.put_off(delivery, 0.15)  # less than the lease
    eventually(lambda: take(deliveries))
    assert time.monotonic() - began >= 0.15


def test_what_is_given_up_is_set_aside_with_all_of_it(store: JobStore, deliveries: Deliveries, client: Any) -> None:
    events = finished(store, Callback.to("http://x/y"))
    plan(deliveries, events)
    [delivery] = take(deliveries)
    deliveries.give_up(delivery, "answered 500")
    [(_, letter)] = client.xrange(KEYS.deliveries_dead)
    assert letter.pop("at").startswith("20")
    assert letter == {
        "delivery": f"{events[2].id} callback",
        "url": "http://x/y",
        "event": events[2].text,
        "attempts": "1",
        "reason": "answered 500",
    }


def test_a_host_s_many_deliveries_stand_in_nobody_s_way(store: JobStore, deliveries: Deliveries) -> None:
    for number in range(30):
        plan(deliveries, finished(store, Callback.to(f"http://slow/{number}")))
    plan(deliveries, finished(store, Callback.to("http://quick/")))
    plan(deliveries, finished(store, Callback.to("http://[2001:db8::1]:8080/")))
    taken, more = deliveries.take(10, 4, {})
    assert sorted(delivery.host for delivery in taken) == ["[2001:db8::1]", "quick", *["slow"] * 4]
    assert more
    assert deliveries.take(10, 4, {"slow": 4}) == ([], False)
    assert [delivery.host for delivery in deliveries.take(10, 4, {"slow": 3})[0]] == ["slow"]


def test_a_host_for_which_too_many_wait_gets_no_more(store: JobStore, deliveries: Deliveries, client: Any) -> None:
    client.zadd(KEYS.deliveries_to("full"), {f"d{number}": 9e15 for number in range(MOST_WAITING)})
    assert plan(deliveries, finished(store, Callback.to("http://full/"))) == 0
    [(_, letter)] = client.xrange(KEYS.deliveries_dead)
    assert letter["reason"] == "too many deliveries wait for this host"


def test_what_waits_for_a_removed_or_disabled_webhook_is_dropped(store: JobStore, deliveries: Deliveries) -> None:
    webhooks = Webhooks(store)
    removed, disabled, kept = (webhooks.add(Callback.to(f"http://{name}"), None) for name in ("a", "b", "c"))
    plan(deliveries, finished(store))
    webhooks.remove(removed.id)
    webhooks.disable(disabled.id)
    taken, more = deliveries.take(10, 10, {})
    assert [delivery.target for delivery in taken] == [kept.id]
    assert more
    assert [(webhook.id, webhook.status) for webhook in webhooks.all()] == [
        (disabled.id, "disabled"),
        (kept.id, "active"),
    ]
    assert plan(deliveries, finished(store)) == 1


def test_a_callback_that_is_gone_is_told_nothing_more(store: JobStore, deliveries: Deliveries) -> None:
    events = finished(store, Callback.to("http://x", NAMES))
    plan(deliveries, events[:2])
    [first, *_] = take(deliveries, 1)
    deliveries.end_callback(first.job_id)
    deliveries.arrived(first)
    assert deliveries.take(10, 10, {}) == ([], True)
    assert plan(deliveries, events) == 0


def test_a_record_that_is_no_record_costs_no_webhook_its_event(
    store: JobStore, deliveries: Deliveries, client: Any
) -> None:
    Webhooks(store).add(Callback.to("http://x"), None)
    events = finished(store, Callback.to("http://y"))
    client.set(KEYS.record(events[0].job_id), "not a hash")
    assert plan(deliveries, events) == 1


# --- the loop


class Hosts:
    """Receivers without a network: what each host answers, or how it fails."""

    def __init__(self, **hosts: Any) -> None:
        self.hosts = hosts
        self.under_way: dict[str, int] = dict.fromkeys(hosts, 0)
        self.most: dict[str, int] = dict.fromkeys(hosts, 0)
        self.posted: list[Delivery] = []
        self._lock = threading.Lock()

    def post(self, delivery: Delivery) -> Answer:
        host = delivery.host
        with self._lock:
            self.posted.append(delivery)
            self.under_way[host] += 1
            self.most[host] = max(self.most[host], self.under_way[host])
        try:
            answer: Answer = self.hosts[host]()
            return answer
        finally:
            with self._lock:
                self.under_way[host] -= 1

    def of(self, host: str) -> list[Delivery]:
        return [delivery for delivery in list(self.posted) if delivery.host == host]


@pytest.fixture
def deliver(store: JobStore) -> Iterator[Any]:
    started: list[tuple[Delivering, threading.Thread]] = []

    def deliver(hosts: Hosts | Poster, pauses: tuple[float, ...] = (0.05, 0.05), lease: float = 5.0) -> Delivering:
        deliveries = Deliveries(store, lease)
        delivering = Delivering(deliveries, Webhooks(store), hosts.post, Schedule(pauses, jitter=0))
        thread = threading.Thread(target=delivering.run)
        thread.start()
        started.append((delivering, thread))
        return delivering

    yield deliver
    for delivering, thread in started:
        delivering.stop(3)
        thread.join(5)
        assert not thread.is_alive()


def failing() -> Answer:
    raise NotAnswered("nobody is there")


def broken() -> Answer:
    raise RuntimeError("a bug")


def test_one_slow_receiver_does_not_hold_up_the_others(store: JobStore, deliveries: Deliveries, deliver: Any) -> None:
    answers = threading.Event()

    def slow() -> Answer:
        answers.wait(10)
        return Answer(204)

    hosts = Hosts(slow=slow, quick=lambda: Answer(200))
    for number in range(3 * AT_ONCE):
        plan(deliveries, finished(store, Callback.to(f"http://slow/{number}")))
    for number in range(20):
        plan(deliveries, finished(store, Callback.to(f"http://quick/{number}")))
    deliver(hosts)
    try:
        eventually(lambda: len(hosts.of("quick")) == 20)
        assert len(hosts.of("slow")) <= OF_ONE_HOST
    finally:
        answers.set()
    eventually(lambda: len(hosts.of("slow")) > 2 * OF_ONE_HOST)
    assert hosts.most["slow"] <= OF_ONE_HOST


def test_what_fails_is_tried_again_and_then_set_aside(
    store: JobStore, deliveries: Deliveries, deliver: Any, client: Any
) -> None:
    hosts = Hosts(failing=failing, redirecting=lambda: Answer(302), refusing=lambda: Answer(404))
    for host in hosts.hosts:
        plan(deliveries, finished(store, Callback.to(f"http://{host}/")))
    deliver(hosts)
    eventually(lambda: client.xlen(KEYS.deliveries_dead) == 3)
    assert {len(hosts.of(host)) for host in hosts.hosts} == {3}
    letters = [letter for _, letter in client.xrange(KEYS.deliveries_dead)]
    assert {letter["reason"] for letter in letters} == {"nobody is there", "answered 302", "answered 404"}
    assert {letter["attempts"] for letter in letters} == {"3"}
    assert {each.event_id for each in hosts.posted} == {letter["delivery"].split()[0] for letter in letters}


def test_an_attempt_that_a_bug_ends_is_one_that_failed(
    store: JobStore, deliveries: Deliveries, deliver: Any, client: Any
) -> None:
    answers = [broken, lambda: Answer(200)]
    hosts = Hosts(x=lambda: answers.pop(0)(), y=broken)
    plan(deliveries, finished(store, Callback.to("http://x/")))
    deliver(hosts, lease=60)
    eventually(lambda: len(hosts.of("x")) == 2)
    plan(deliveries, finished(store, Callback.to("http://y/")))
    eventually(lambda: client.xlen(KEYS.deliveries_dead) == 1)
    [(_, letter)] = client.xrange(KEYS.deliveries_dead)
    assert (letter["reason"], letter["attempts"]) == ("RuntimeError: a bug", "3")


def test_a_url_that_an_older_version_took_is_set_aside_in_the_end(
    store: JobStore, deliveries: Deliveries, deliver: Any, client: Any
) -> None:
    plan(deliveries, finished(store, Callback.to("http://x/#a")))
    deliver(Poster([b"key"], Allowed()), pauses=(), lease=60)
    [(_, letter)] = eventually(lambda: client.xrange(KEYS.deliveries_dead))
    assert letter["reason"] == "ValueError: Must have no fragment, for that is not sent."


def test_410_ends_a_callback_and_disables_a_webhook(store: JobStore, deliveries: Deliveries, deliver: Any) -> None:
    webhooks = Webhooks(store)
    webhook = webhooks.add(Callback.to("http://gone/standing", NAMES), None)
    hosts = Hosts(gone=lambda: Answer(410))
    events = finished(store, Callback.to("http://gone/callback", NAMES))
    plan(deliveries, events[:1])
    deliver(hosts)
    eventually(lambda: webhooks.get(webhook.id).status == "disabled")
    eventually(lambda: len(hosts.posted) == 2)
    eventually(lambda: store.client.exists(KEYS.callback_gone(events[0].job_id)))
    assert plan(deliveries, events) == 0
    time.sleep(0.2)
    assert len(hosts.posted) == 2


def test_retry_after_is_waited_for(store: JobStore, deliveries: Deliveries, deliver: Any) -> None:
    answers, at = [Answer(503, retry_after=0.7), Answer(200)], []

    def answer() -> Answer:
        at.append(time.monotonic())
        return answers.pop(0)

    plan(deliveries, finished(store, Callback.to("http://x/")))
    deliver(Hosts(x=answer))
    eventually(lambda: len(at) == 2)
    assert 0.7 <= at[1] - at[0] < 4, "it was tried again when its lease had ended"


def test_two_processes_share_the_work_and_send_each_once(store: JobStore, deliveries: Deliveries, deliver: Any) -> None:
    def when_both_have_begun() -> Answer:
        eventually(lambda: one.posted and other.posted, within=4)
        return Answer(204)

    one, other = Hosts(x=when_both_have_begun), Hosts(x=when_both_have_begun)
    for number in range(16):
        plan(deliveries, finished(store, Callback.to(f"http://x/{number}")))
    deliver(one)
    deliver(other)
    eventually(lambda: len(one.posted) + len(other.posted) >= 16, within=8)
    assert len({each.id for each in [*one.posted, *other.posted]}) == len(one.posted) + len(other.posted) == 16


def test_nothing_is_lost_while_redis_is_away(tmp_path_factory: pytest.TempPathFactory) -> None:
    with RedisServer(tmp_path_factory.mktemp("away")) as server:
        store = JobStore(connect(server.url), Settings())
        deliveries, hosts = Deliveries(store, 1.0), Hosts(x=lambda: Answer(200))
        loop = Delivering(deliveries, Webhooks(store), hosts.post, Schedule())
        thread = threading.Thread(target=loop.run)
        thread.start()
        plan(deliveries, finished(store, Callback.to("http://x/1")))
        eventually(lambda: len(hosts.posted) == 1)
        server.stop()
        time.sleep(0.6)
        server.start()
        eventually(lambda: store.client.ping())
        plan(deliveries, finished(store, Callback.to("http://x/2")))
        eventually(lambda: any(each.url.endswith("2") for each in hosts.posted), within=10)
        loop.stop(2)
        thread.join(5)
