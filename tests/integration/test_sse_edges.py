"""Streams of events where something is wrong: ids of another time, what was trimmed, bad entries, Redis away."""

import json
from collections.abc import Iterator

import pytest
from support.eventually import eventually
from support.publishing import created, store_of, told_at_length
from support.service import Service
from support.streams import Stream, Streams

from jobs.model.keys import KEYS
from jobs.store.job_store import JobStore
from launch.redis_server import RedisServer

STREAM_LENGTH = 100
MORE_THAN_THAT = 250
"""Redis trims a stream by whole nodes, of a hundred entries."""
EVENT_STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One without workers, whose streams are short."""
    directory = tmp_path_factory.mktemp("sse-edges")
    with RedisServer(directory / "redis") as server:
        length = str(STREAM_LENGTH)
        settings = {"JOBS_STREAM_LENGTH": length, "JOBS_STREAM_HARD_LENGTH": length}
        with Service(directory, server, **settings).without_workers() as service:
            yield service


@pytest.fixture
def store(service: Service) -> Iterator[JobStore]:
    with store_of(service.settings) as store:
        yield store


def begun(streams: Streams, path: str, last: str | None = None) -> Stream:
    stream = streams.open(path, last)
    streams.read(lambda: stream.has_begun, within=5)
    return stream


def test_who_loses_us_before_the_first_event_misses_nothing(store: JobStore, streams: Streams) -> None:
    left = begun(streams, "/events?owner=early")
    left.sock.shutdown(2)
    missed = created(store, "early")
    again = begun(streams, "/events?owner=early", left.last)
    streams.read(lambda: bool(again.events), within=5)
    assert again.ids == [f"{missed}:1"]


def test_an_id_newer_than_the_newest_event_is_as_good_as_now(store: JobStore, streams: Streams) -> None:
    stream = begun(streams, "/events?owner=late", f"{2**64 - 1}-{2**64 - 2}")
    job_ids: list[str] = []

    def has_come() -> bool:
        job_ids.append(created(store, "late"))
        return bool(stream.events)

    streams.read(has_come, within=5)
    assert stream.ids[0].removesuffix(":1") in job_ids


def test_what_was_trimmed_away_unread_is_told_once_and_the_rest_follows(store: JobStore, streams: Streams) -> None:
    left = begun(streams, "/events?owner=trimmed")
    left.sock.shutdown(2)
    sent = told_at_length(store, "trimmed", MORE_THAN_THAT, length=10)
    late = begun(streams, "/events?owner=trimmed", left.last)
    streams.read(lambda: late.ids[-1:] == sent[-1:], within=5)
    assert late.ids == sent[-len(late.ids) :]
    assert STREAM_LENGTH <= len(late.ids) < len(sent)
    (gap,) = late.gaps
    assert gap == {"after": left.last, "before": late.events[0][0]}

    again = begun(streams, "/events?owner=trimmed", late.gap_ids[0])
    streams.read(lambda: again.ids[-1:] == sent[-1:], within=5)
    assert again.ids == late.ids
    assert again.gaps == []


def test_a_job_whose_first_events_are_gone_says_so(store: JobStore, streams: Streams) -> None:
    sent = told_at_length(store, "short", MORE_THAN_THAT, length=10)
    whole = created(store, "short")
    partly = streams.open(f"/jobs/{sent[0].removesuffix(':1')}/events")
    streams.read(lambda: partly.ids[-1:] == sent[-1:], within=5)
    assert len(partly.gaps) == 1
    assert partly.ids == sent[-len(partly.ids) :]
    sound = streams.open(f"/jobs/{whole}/events")
    streams.read(lambda: sound.ids == [f"{whole}:1"], within=5)
    assert sound.gaps == []


def test_a_job_whose_events_are_all_gone_is_one_gap_and_then_nothing(
    service: Service, store: JobStore, streams: Streams
) -> None:
    job_id = created(store, "gone")
    store.cancel(job_id)
    told_at_length(store, "gone", MORE_THAN_THAT, length=10)
    stream = streams.open(f"/jobs/{job_id}/events")
    streams.read(lambda: stream.has_ended, within=5)
    assert (stream.events, len(stream.gaps)) == ([], 1)
    last = {"Last-Event-ID": str(stream.last), **EVENT_STREAM}
    assert service.get(f"/jobs/{job_id}/events", headers=last).status_code == 204


def test_bad_entries_in_the_stream_are_passed_over(store: JobStore, streams: Streams) -> None:
    stream = begun(streams, "/events")
    sound = created(store, "bad")
    ((_, fields),) = store.client.xrevrange(KEYS.stream_of("bad"), count=1)
    text, event = fields["event"], json.loads(fields["event"])
    bad = [
        {"other": text},
        {"event": "not JSON"},
        {"event": b"\xff\xfe"},
        {"event": b'{"specversion": "1.0", "type": "\xff"}'},
        {"event": "[" * 100_000},
        {"event": "[]"},
        {"event": "null"},
        {"event": json.dumps({**event, "specversion": "0.3"})},
        {"event": json.dumps({**event, "type": "job.exploded"})},
        {"event": json.dumps({**event, "data": {}})},
        {"event": json.dumps({**event, "data": 3})},
        {"event": json.dumps({**event, "data": {**event["data"], "job_type": ["t"]}})},
    ]
    for fields in bad:
        for key in (KEYS.stream, KEYS.stream_of("bad")):
            store.client.xadd(key, fields)
    spread = json.dumps({**event, "id": f"{sound}:2"}, indent=1).replace("\n", "\r\n")
    store.client.xadd(KEYS.stream, {"event": spread})
    last = created(store, "bad")
    streams.read(lambda: stream.ids[-1:] == [f"{last}:1"], within=5)
    assert stream.ids == [f"{sound}:1", f"{sound}:2", f"{last}:1"]
    resumed = begun(streams, "/events?owner=bad", stream.events[0][0])
    streams.read(lambda: resumed.ids == [f"{last}:1"], within=5)


def test_head_opens_no_stream(service: Service, store: JobStore) -> None:
    for path in ("/events", f"/jobs/{created(store, 'head')}/events"):
        answer = service.session.head(service.url + path, timeout=5)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert service.get("/health/live").status_code == 200  # on the same connection


def test_while_redis_is_away_a_browser_is_told_when_to_come_back(
    service: Service, store: JobStore, streams: Streams
) -> None:
    job_id = created(store, "away")
    open_before = begun(streams, "/events?owner=away")
    service.redis.kill()
    last = {"Last-Event-ID": str(open_before.last)}
    for path in ("/events", f"/jobs/{job_id}/events"):
        answer = service.get(path, headers={**EVENT_STREAM, **last})
        assert answer.status_code == 200  # on any other it would give up for good
        assert answer.text.startswith("retry: ")
        assert service.get(path, headers=last).status_code == 503
    service.redis.start()
    eventually(lambda: service.get("/health/ready").status_code == 200)
    after = created(store, "away")
    streams.read(lambda: open_before.ids == [f"{after}:1"], within=10)
