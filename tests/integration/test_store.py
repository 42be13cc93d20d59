"""The store's scripts, one step at a time, against a real server."""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from jobs.celery_app import JobsCelery, create_celery
from jobs.errors import InvalidTransition, JobCancelled, JobNotFound, StaleAttempt, StoreRefused
from jobs.model.callback import Callback
from jobs.model.event import Event
from jobs.model.keys import KEYS
from jobs.model.status import RERUN_FROM, TRANSITIONS, Status
from jobs.model.submission import Submission
from jobs.results.backend import JobBackend
from jobs.settings import Settings
from jobs.store.job_store import JobStore
from jobs.store.recovery import Recovery
from launch.redis_server import RedisServer


@pytest.fixture
def store(celery: JobsCelery) -> JobStore:
    backend: JobBackend = celery.backend
    return backend.store


def submitted(store: JobStore, **more: Any) -> str:
    job = Submission(type="t", owner="store-test", parameters_json='{"a":1}', queue="nobody", max_attempts=2, **more)
    assert store.submit(job, message=None).record is not None
    return job.id


def brought_to(store: JobStore, status: Status) -> str:
    job_id = submitted(store)
    if status is not Status.NEW:
        move(store, job_id, Status.IN_PROGRESS)
    if status.is_final:
        move(store, job_id, status)
    return job_id


def move(store: JobStore, job_id: str, to: Status) -> None:
    match to:
        case Status.IN_PROGRESS:
            store.claim(job_id)
        case Status.COMPLETED:
            store.complete(job_id, "1")
        case Status.FAILED:
            store.fail(job_id, '{"type":"x","message":"y","retryable":false}')
        case Status.CANCELLED:
            store.cancel(job_id)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(Status, list(Status)[1:])))
def test_table_and_scripts_agree_on_every_move(store: JobStore, source: Status, target: Status) -> None:
    job_id = brought_to(store, source)
    before = store.get(job_id)
    if target in TRANSITIONS[source]:
        move(store, job_id, target)
        assert store.get(job_id).status is target
    elif source is target and source.is_final:
        move(store, job_id, target)  # said twice: changes nothing
        assert store.get(job_id) == before
    else:
        with pytest.raises(InvalidTransition):
            move(store, job_id, target)
        assert store.get(job_id) == before


def events_of(store: JobStore, job_id: str) -> list[Event]:
    entries = store.client.xrange(KEYS.stream_of("store-test"))
    events = [Event.from_json(fields["event"]) for _, fields in entries]
    return [event for event in events if event.job_id == job_id]


def test_every_change_is_an_event_and_folding_them_gives_the_record(store: JobStore) -> None:
    job_id = submitted(store)
    claim = store.claim(job_id)
    store.progress(claim, '{"percent":50.0,"current":1,"total":2,"message":null}')
    store.complete(job_id, '{"x":1}', claim)
    events = events_of(store, job_id)
    assert [event.name for event in events] == ["created", "updated", "progress", "completed"]
    assert [event.sequence for event in events] == [1, 2, 3, 4]
    assert [event.id for event in events] == [f"{job_id}:{n}" for n in (1, 2, 3, 4)]
    assert [event.data["old_status"] for event in events] == [None, "New", "InProgress", "InProgress"]
    last, record = events[-1], store.get(job_id)
    assert (last.status, last.data["attempt"], last.sequence) == (record.status, record.attempt, record.sequence)
    assert last.data["duration"] == pytest.approx(record.duration)
    assert last.data["payload_uri"].endswith(f"/jobs/{job_id}/result")
    assert store.client.ttl(KEYS.record(job_id)) > 604_000


def test_both_streams_and_the_channel_carry_the_same_event(store: JobStore) -> None:
    with store.client.pubsub() as pubsub:
        pubsub.psubscribe("jobs.events.store-test.*")
        pubsub.get_message(timeout=2)
        job_id = submitted(store)
        message = pubsub.get_message(timeout=2)
    (_, everybody), *_ = store.client.xrevrange(KEYS.stream, count=1)
    (_, owners), *_ = store.client.xrevrange(KEYS.stream_of("store-test"), count=1)
    assert message["channel"] == "jobs.events.store-test.created"
    assert message["data"] == everybody["event"] == owners["event"]
    assert json.loads(message["data"])["subject"] == job_id


def test_a_claim_said_twice_is_one_attempt_and_another_s_is_refused(store: JobStore) -> None:
    job_id = submitted(store)
    claim = store.claim(job_id, "worker/1", nonce="a")
    before = store.get(job_id)
    assert store.claim(job_id, "worker/1", nonce="a") == claim
    for other in ("b", ""):
        with pytest.raises(InvalidTransition):
            store.claim(job_id, "worker/1", nonce=other)
    assert store.get(job_id) == before
    assert [event.sequence for event in events_of(store, job_id)] == [1, 2]
    store.complete(job_id, "1", claim)
    with pytest.raises(InvalidTransition):
        store.claim(job_id, "worker/1", nonce="a")


def test_an_attempt_of_a_deleted_job_writes_nothing_into_another_with_its_id(store: JobStore) -> None:
    job_id = submitted(store)
    stale = store.claim(job_id, "worker/1", nonce="a")
    store.cancel(job_id)
    store.delete(store.get(job_id), {})
    assert submitted(store, id=job_id) == job_id
    claim = store.claim(job_id, "worker/1", nonce="b")
    assert claim.attempt == stale.attempt
    before = store.get(job_id)
    with pytest.raises(StaleAttempt):
        store.progress(stale, "{}")
    for write in (store.complete, store.fail):
        with pytest.raises(InvalidTransition):
            write(job_id, "1", stale)
    with pytest.raises(InvalidTransition):
        store.requeue(stale, "m")
    assert store.get(job_id) == before
    store.complete(job_id, "2", claim)
    store.complete(job_id, "2", claim)
    with pytest.raises(InvalidTransition):
        store.complete(job_id, "1", stale)
    assert store.get(job_id).result_json == "2"


def test_events_of_an_id_that_is_used_again_have_ids_of_their_own(store: JobStore) -> None:
    job_id = str(uuid4())
    submitted(store, chosen_id=job_id)
    store.cancel(job_id)
    store.delete(store.get(job_id), {})
    again = Submission(
        type="t", owner="store-test", parameters_json="{}", queue="nobody", max_attempts=2, chosen_id=job_id
    )
    accepted = store.submit(again, message=None)
    assert accepted.record == store.get(job_id)
    assert [event.sequence for event in events_of(store, job_id)] == [1, 2, 3]


def test_a_heartbeat_knows_which_attempts_count_and_whose_process_is_to_end(store: JobStore) -> None:
    recovery = Recovery(store, queue=None)  # type: ignore[arg-type]  # nothing is enqueued here
    job_id = submitted(store)
    first, second = (job_id, "worker/1"), (job_id, "worker/2")
    assert recovery.renew([first]) == {}, "it has been handed to a process, which is about to begin it"
    claim = store.claim(job_id, "worker/1", nonce="a")
    assert recovery.renew([first]) == {}
    store.cancel(job_id)
    assert recovery.renew([first]) == {first: False}
    store.cancel(job_id, force=True)
    assert recovery.renew([first]) == {first: True}
    store.requeue(store.get(job_id), "m", sources=RERUN_FROM)
    assert recovery.renew([first]) == {first: True}
    store.claim(job_id, "worker/2", nonce="b")
    assert recovery.renew([first, second]) == {first: True}
    with pytest.raises(InvalidTransition):
        store.complete(job_id, "1", claim)
    store.cancel(job_id)
    assert recovery.renew([second]) == {second: False}


def test_one_that_was_to_end_by_force_and_ended_by_itself_is_forgotten(store: JobStore) -> None:
    recovery = Recovery(store, queue=None)  # type: ignore[arg-type]  # nothing is enqueued here
    job_id = submitted(store)
    claim = store.claim(job_id, "worker/1", nonce="a")
    store.cancel(job_id, force=True)
    with pytest.raises(InvalidTransition):
        store.complete(job_id, "1", claim)
    store.requeue(store.get(job_id), "m", sources=RERUN_FROM)
    assert recovery.renew([(job_id, "worker/1")]) == {}


def test_a_callback_is_kept_for_the_last_deleted_job_with_an_id(store: JobStore) -> None:
    job_id = str(uuid4())
    kept = KEYS.callback(job_id)
    for callback in (Callback("https://example.org/told", ("completed",)), None):
        submitted(store, chosen_id=job_id, callback=callback)
        store.cancel(job_id)
        store.client.set(KEYS.callback_gone(job_id), 1)
        store.delete(store.get(job_id), {})
        assert store.client.exists(kept) == (callback is not None)
        assert not store.client.exists(KEYS.callback_gone(job_id))


def test_a_stale_attempt_writes_nothing(store: JobStore) -> None:
    job_id = submitted(store)
    claim = store.claim(job_id)
    stale = replace(claim, attempt=claim.attempt - 1)
    before = store.get(job_id)
    with pytest.raises(StaleAttempt):
        store.progress(stale, "{}")
    with pytest.raises(InvalidTransition):
        store.complete(job_id, "1", stale)
    with pytest.raises(InvalidTransition):
        store.fail(job_id, "{}", stale)
    assert store.get(job_id) == before


def test_a_cancelled_attempt_is_told_so(store: JobStore) -> None:
    claim = store.claim(submitted(store))
    store.cancel(claim.id)
    with pytest.raises(JobCancelled):
        store.progress(claim)
    with pytest.raises(InvalidTransition):
        store.complete(claim.id, "1", claim)


def test_the_final_event_of_a_job_cancelled_after_a_failed_attempt_has_the_error_that_its_record_has(
    store: JobStore,
) -> None:
    claim = store.claim(submitted(store))
    store.requeue(claim, "m", error_json='{"type":"t","message":"m","retryable":true}')
    store.cancel(claim.id)
    error_json = store.get(claim.id).error_json
    assert error_json is not None
    assert events_of(store, claim.id)[-1].data["error"] == json.loads(error_json)


def test_what_is_not_there_is_not_made_by_a_late_write(store: JobStore) -> None:
    job_id = submitted(store)
    claim = store.claim(job_id)
    store.client.delete(KEYS.record(job_id))
    for write in (lambda: store.progress(claim, "{}"), lambda: store.complete(job_id, "1", claim)):
        with pytest.raises((JobNotFound, StaleAttempt)):
            write()
    assert not store.client.exists(KEYS.record(job_id))


def began_and_failed(store: JobStore, job: Submission) -> None:
    store.requeue(store.claim(job.id), "outside")


def was_cancelled_and_is_retried(store: JobStore, job: Submission) -> None:
    """The worker that had its message dropped it."""
    store.cancel(job.id)
    store.requeue(store.get(job.id), "outside", sources=RERUN_FROM, max_attempts=2)


def is_another_with_the_same_id(store: JobStore, job: Submission) -> None:
    store.cancel(job.id)
    store.delete(store.get(job.id), {})
    store.submit(replace(job, parameters_json="[]"), message="outside")


@pytest.mark.parametrize(
    "meanwhile", [None, began_and_failed, was_cancelled_and_is_retried, is_another_with_the_same_id]
)
def test_a_job_that_moved_before_its_message_was_said_to_be_handed_over_is_handed_over_again(
    store: JobStore, meanwhile: Callable[[JobStore, Submission], None] | None
) -> None:
    """The broker, a worker and whoever asks for the job may be quicker than whoever has published the message."""
    told = {"type": "t", "owner": "store-test", "parameters_json": "{}", "queue": "nobody", "max_attempts": 2}
    first, second = (Submission(chosen_id=str(uuid4()), **told) for _ in range(2))
    for job in (first, second):
        store.submit(job, message="outside")
        if meanwhile is not None:
            meanwhile(store, job)
    store.handed_over(first, 1)
    store.client.zadd(KEYS.scheduled, {second.id: 1})
    keys = [KEYS.record(second.id), "nobody", KEYS.waiting("nobody"), KEYS.scheduled, KEYS.fetched]
    assert store.call("enqueue", keys, [second.id, "outside", "", 1_000_000, 1]) == (meanwhile is None)
    for job in (first, second):
        assert (store.client.zscore(KEYS.scheduled, job.id) is not None) == (meanwhile is not None)
        assert (store.client.zscore(KEYS.waiting("nobody"), job.id) is not None) == (meanwhile is None)
        store.cancel(job.id)


def test_a_job_that_ended_before_its_message_was_said_to_be_handed_over_is_scheduled_no_more(store: JobStore) -> None:
    job = Submission(type="t", owner="store-test", parameters_json="{}", queue="nobody", max_attempts=2)
    store.submit(job, message="outside")
    store.complete(job.id, "1", store.claim(job.id))
    store.delete(store.get(job.id), {})
    store.handed_over(job, 1)
    assert store.client.zscore(KEYS.scheduled, job.id) is None
    assert store.client.zscore(KEYS.waiting("nobody"), job.id) is None


def test_a_job_that_is_put_off_is_not_due_earlier_and_not_made_to_wait_again(store: JobStore) -> None:
    now = store.client.time()[0] * 1_000_000
    scores = {"due": now - 1, "in an hour": now + 3_600_000_000}
    store.client.zadd("put-off", {**scores})
    for member in (*scores, "was cancelled"):
        store.call("put_off", ["put-off"], [member, 5_000_000])
    found = dict(store.client.zrange("put-off", 0, -1, withscores=True))
    assert now + 5_000_000 <= found.pop("due") < now + 60_000_000
    assert found == {"in an hour": scores["in an hour"]}
    store.client.delete("put-off")


def test_a_submit_repeated_by_the_client_library_makes_one_job(store: JobStore) -> None:
    job = Submission(type="t", owner="store-test", parameters_json="{}", queue="nobody", max_attempts=1)
    assert store.submit(job, message=None).record is not None
    assert store.submit(job, message=None).id == job.id
    assert len(events_of(store, job.id)) == 1


def test_an_event_is_a_cloudevent(store: JobStore) -> None:
    from cloudevents.core.formats.json import JSONFormat
    from cloudevents.core.v1.event import CloudEvent

    submitted(store)
    (_, fields), *_ = store.client.xrevrange(KEYS.stream_of("store-test"), count=1)
    event = JSONFormat().read(CloudEvent, fields["event"])
    assert event.get_type() == "job.created"
    assert event.get_source() == "/jobs"
    assert event.get_extension("owner") == "store-test"
    assert event.get_extension("sequence") == 1
    assert event.get_extension("traceparent").startswith("00-")


@pytest.fixture
def bare(redis_server: RedisServer) -> Iterator[JobStore]:
    """A store in a database of its own, with nothing in it."""
    app = create_celery(Settings.from_environ({"JOBS_REDIS_URL": redis_server.url.removesuffix("/0") + "/9"}))
    store: JobStore = app.backend.store
    store.client.flushdb()
    yield store
    store.client.flushdb()
    app.close()


SUBMITTED = Submission(
    type="t",
    owner="o",
    parameters_json="{}",
    queue="q",
    max_attempts=1,
    tags={"a": "1", "b": "2"},
    idempotency_key="k",
    id="6f1c0a2b-0000-4000-8000-000000000000",
)
KEYS_OF_IT = (
    *(KEYS.record(SUBMITTED.id), KEYS.index_of_owner("o"), KEYS.index_of_status(Status.NEW)),
    *(KEYS.index_of_type("t"), KEYS.index_of_tag("a", "1"), KEYS.index_of_tag("b", "2")),
    *(KEYS.stream, KEYS.stream_of("o"), KEYS.idempotency("o", "k")),
)
QUEUED = (*KEYS_OF_IT, "q", KEYS.waiting("q"))
DELAYED = (*KEYS_OF_IT, KEYS.scheduled)


def test_a_submit_touches_no_other_keys_than_are_tried_here(bare: JobStore) -> None:
    bare.submit(SUBMITTED, "a message")
    assert set(bare.client.keys()) == set(QUEUED)
    bare.client.flushdb()
    bare.submit(replace(SUBMITTED, delay=60), "a message")
    assert set(bare.client.keys()) == set(DELAYED)


@pytest.mark.parametrize("earlier", [True, False], ids=["with other jobs", "the first job"])
@pytest.mark.parametrize(
    ("job", "key"), [*((SUBMITTED, key) for key in QUEUED), *((replace(SUBMITTED, delay=60), key) for key in DELAYED)]
)
def test_where_a_key_holds_something_else_a_submit_leaves_nothing_behind(
    bare: JobStore, job: Submission, key: str, earlier: bool
) -> None:
    if earlier:
        for delay in (0, 60):
            bare.submit(replace(SUBMITTED, id=str(uuid4()), idempotency_key=None, delay=delay), "another message")
    bare.client.delete(key)
    bare.client.hset(key, "not", "ours") if key != KEYS.record(job.id) else bare.client.set(key, "not ours")
    before = contents(bare)
    with pytest.raises(StoreRefused, match="WRONGTYPE"):
        bare.submit(job, f'{{"id": "{job.id}"}}')
    assert contents(bare) == before


def contents(store: JobStore) -> dict[str, Any]:
    """Everything that is stored, with the time that it is kept."""
    reads = {
        "string": store.client.get,
        "hash": store.client.hgetall,
        "list": lambda key: store.client.lrange(key, 0, -1),
        "zset": lambda key: store.client.zrange(key, 0, -1, withscores=True),
        "stream": store.client.xrange,
    }
    return {key: (reads[store.client.type(key)](key), store.client.ttl(key)) for key in store.client.scan_iter()}
