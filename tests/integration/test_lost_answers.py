"""A connection that breaks when the submit's script has run: the job is stored, and whoever submitted it is told so."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from faults.proxy import Proxy
from requests import Response
from support.service import Service
from support.timing import assert_takes

from launch.redis_server import RedisServer, free_port

AT_ONCE = [1, 2, 3, 5]
"""Answers lost one after the other; redis-py gets over the first by itself."""
LEASE = 6.0
"""Seconds, the default: an attempt that a claim began in vain would be found when they are over."""


@pytest.fixture(scope="module")
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    with Proxy(free_port(), redis_server.port) as running:
        yield running


@pytest.fixture(scope="module")
def proxied(proxy: Proxy, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    url = f"redis://127.0.0.1:{proxy.port}/0"
    with Service(tmp_path_factory.mktemp("proxied"), redis_server, JOBS_REDIS_URL=url) as running:
        yield running


def submitted(service: Service, proxy: Proxy, times: int, owner: str, **more: object) -> Response:
    """The answer to a submit that Redis answered in vain so often."""
    proxy.lose_answers(to=owner.encode(), times=times)
    return service.submit("demo.noop", owner=owner, **more)


def owned(service: Service, owner: str) -> list[str]:
    return [job["id"] for job in service.get("/jobs", params={"owner": owner}).json()]


@pytest.mark.parametrize("times", AT_ONCE)
def test_it_is_accepted_once_and_waited_for(proxied: Service, proxy: Proxy, times: int) -> None:
    owner = f"o-{uuid4()}"
    answer = submitted(proxied, proxy, times, owner, parameters={"a": 1}, wait=10)
    assert (answer.status_code, answer.json()["result"]) == (200, {"a": 1})
    assert answer.elapsed.total_seconds() < LEASE / 2, "the worker's claim, whose answer was lost too, was repeated"
    assert proxy.answers_lost
    assert owned(proxied, owner) == [answer.json()["id"]]


@pytest.mark.parametrize("times", AT_ONCE)
@pytest.mark.parametrize("wait", [0, 0.2])
def test_it_goes_on_with_a_202(proxied: Service, proxy: Proxy, times: int, wait: float) -> None:
    answer = submitted(proxied, proxy, times, f"o-{uuid4()}", delay=30, wait=wait)
    assert answer.status_code == 202
    assert answer.json()["run_at"] is not None
    assert answer.headers["Location"] == f"{proxied.url}/jobs/{answer.json()['id']}"


@pytest.mark.parametrize("times", AT_ONCE)
@pytest.mark.parametrize("wait", [0, 10])
def test_it_is_no_replay_of_itself_but_the_next_one_is(proxied: Service, proxy: Proxy, times: int, wait: float) -> None:
    owner, key = f"o-{uuid4()}", {"Idempotency-Key": "k"}
    first = submitted(proxied, proxy, times, owner, wait=wait, headers=key)
    assert first.status_code in (200, 202)
    assert "Idempotency-Replayed" not in first.headers
    again = submitted(proxied, proxy, times, owner, wait=10, headers=key)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"


def test_another_body_under_the_same_key_is_still_refused(proxied: Service, proxy: Proxy) -> None:
    owner, key = f"o-{uuid4()}", {"Idempotency-Key": "k"}
    submitted(proxied, proxy, 2, owner, headers=key)
    assert submitted(proxied, proxy, 2, owner, parameters={"other": 1}, headers=key).status_code == 422


def test_a_chosen_id_is_accepted_under_it(proxied: Service, proxy: Proxy) -> None:
    owner, chosen = f"o-{uuid4()}", str(uuid4())
    answer = submitted(proxied, proxy, 3, owner, id=chosen, wait=10)
    assert (answer.status_code, answer.json()["id"]) == (200, chosen)
    assert owned(proxied, owner) == [chosen]


def test_a_batch_is_accepted_once_and_waited_for(proxied: Service, proxy: Proxy) -> None:
    owner = f"o-{uuid4()}"
    proxy.lose_answers(to=owner.encode(), times=3)
    answer = proxied.submit_batch([{"type": "demo.noop"}] * 3, owner=owner, wait=10)
    assert (answer.status_code, answer.json()["counts"]["Completed"]) == (200, 3)
    assert proxy.answers_lost
    assert sorted(owned(proxied, owner)) == sorted(answer.json()["jobs"])


def test_where_every_connection_breaks_it_is_503_within_two_seconds(proxied: Service, proxy: Proxy) -> None:
    def is_refused() -> None:
        assert submitted(proxied, proxy, 1000, f"o-{uuid4()}").status_code == 503
        assert not proxy.answers_lost

    assert_takes(is_refused, at_least=0, at_most=2)
    proxy.lose_answers(to=b"-", times=0)
