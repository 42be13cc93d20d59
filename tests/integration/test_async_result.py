"""``app.AsyncResult(job_id).get(timeout=…)`` works for anyone, with exact times."""

import math
import threading
from pathlib import Path
from uuid import uuid4

import pytest
from celery import states
from celery.exceptions import TaskRevokedError, TimeoutError
from support.eventually import eventually
from support.publishing import created
from support.service import Service
from support.timing import assert_takes

from jobs.celery_app import JobsCelery, create_celery
from jobs.errors import JobFailed
from jobs.model.event import Event
from jobs.model.keys import KEYS
from jobs.model.status import Status


def test_a_plain_script_gets_the_result(service: Service, celery: JobsCelery) -> None:
    job_id = service.submit("demo.random_delay", parameters={"seconds": 0.3}).json()["id"]
    assert celery.AsyncResult(job_id).get(timeout=5) == {"seconds": 0.3}
    assert celery.AsyncResult(job_id).state == "SUCCESS"
    assert celery.AsyncResult(job_id).get(timeout=0) == {"seconds": 0.3}


def test_a_closed_app_reads_its_reply_channel_no_longer(service: Service) -> None:
    job_id = service.submit("demo.noop").json()["id"]
    with create_celery(service.settings) as app:
        assert app.AsyncResult(job_id).get(timeout=5) == {}
        channel = app.backend.result_consumer.channel
        assert app.backend.store.client.pubsub_numsub(channel) == [(channel, 1)]
    eventually(lambda: app.backend.store.client.pubsub_numsub(channel) == [(channel, 0)], within=15)


@pytest.mark.parametrize("timeout", [0.1, 0.25, 1.2])
def test_a_timeout_ends_after_exactly_its_time(service: Service, celery: JobsCelery, timeout: float) -> None:
    result = celery.AsyncResult(service.submit("demo.hang").json()["id"])

    def wait_in_vain() -> None:
        with pytest.raises(TimeoutError):
            result.get(timeout=timeout)

    assert_takes(wait_in_vain, at_least=timeout, at_most=timeout + 0.05)
    assert celery.backend.waiting == 0
    service.post(f"/jobs/{result.id}/cancel", {"force": True})
    with pytest.raises(TaskRevokedError):
        result.get(timeout=5)


def test_a_failed_job_raises_its_error_and_no_class_of_the_workers(service: Service, celery: JobsCelery) -> None:
    job_id = service.submit("sample.raises", wait=5).json()["id"]
    with pytest.raises(JobFailed) as caught:
        celery.AsyncResult(job_id).get(timeout=5)
    assert caught.value.error_type == "ValueError"
    assert isinstance(celery.AsyncResult(job_id).get(timeout=5, propagate=False), JobFailed)


def test_a_cancelled_job_is_revoked(service: Service, celery: JobsCelery) -> None:
    job_id = service.submit("sample.steps").json()["id"]
    service.post(f"/jobs/{job_id}/cancel")
    with pytest.raises(TaskRevokedError):
        celery.AsyncResult(job_id).get(timeout=5)


def test_an_unknown_job_is_waited_for_in_vain(celery: JobsCelery) -> None:
    with pytest.raises(TimeoutError):
        celery.AsyncResult(str(uuid4())).get(timeout=0.1)


def test_a_lost_subscription_costs_no_waiter_its_answer(service: Service, celery: JobsCelery, tmp_path: Path) -> None:
    end = tmp_path / "end"
    job_id = service.submit("sample.holds", parameters={"file": str(end)}).json()["id"]
    found: list[object] = []
    client = celery.backend.store.client
    thread = threading.Thread(target=lambda: found.append(celery.AsyncResult(job_id).get(timeout=30)))
    thread.start()
    eventually(lambda: client.pubsub_numsub(celery.backend.reply_channel)[0][1])
    for connection in client.client_list(_type="pubsub"):
        if connection["psub"] == "0":  # the reply channels, ours and the web process's
            client.client_kill_filter(_id=connection["id"])
    eventually(lambda: client.pubsub_numsub(celery.backend.reply_channel)[0][1])
    end.touch()
    thread.join(10)
    assert found == [{"held": True}]


def test_a_plain_celery_task_has_its_life_recorded(service: Service, celery: JobsCelery) -> None:
    sent = celery.send_task("sample.plain", kwargs={"a": 1, "b": 2})
    assert sent.get(timeout=5) == 3
    job = service.get(f"/jobs/{sent.id}").json()
    assert (job["type"], job["status"], job["result"], job["parameters"]) == (
        "sample.plain",
        "Completed",
        3,
        {"a": 1, "b": 2},
    )
    assert service.get("/jobs", params={"type": "sample.plain"}).json()


def test_a_plain_task_runs_with_arguments_that_are_no_json(service: Service, celery: JobsCelery) -> None:
    sent = celery.send_task("sample.plain", kwargs={"a": math.nan, "b": 2})
    with pytest.raises(JobFailed, match="cannot be written as JSON"):
        sent.get(timeout=5)
    job = service.get(f"/jobs/{sent.id}").json()
    assert (job["status"], job["error"]["type"], job["parameters"]) == ("Failed", "result-not-json", {})
    again = service.post(f"/jobs/{sent.id}/retry")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/conflict"), "with which arguments?"


@pytest.mark.parametrize("task_id", ['x"y', "x\\y", "x\ny", "x y"])
def test_a_plain_task_whose_id_no_event_could_hold_runs_without_a_record(
    service: Service, celery: JobsCelery, task_id: str
) -> None:
    celery.send_task("sample.plain", (1, 2), task_id=task_id)
    log = service.workers[0]
    eventually(lambda: f"Task sample.plain[{task_id}] succeeded" in log.text)
    assert log.text.count(f"task {task_id!a} ('sample.plain') has no record") == 1
    store = celery.backend.store
    assert not store.client.exists(KEYS.record(task_id))
    assert not any(task_id in fields["event"] for _, fields in store.client.xrange(KEYS.stream))


def test_nor_has_one_with_such_a_name(service: Service, celery: JobsCelery) -> None:
    sent = celery.send_task('sample."quoted"')
    log = service.workers[0]
    eventually(lambda: f'Task sample."quoted"[{sent.id}] succeeded' in log.text)
    assert f"task '{sent.id}' ('sample.\"quoted\"') has no record" in log.text
    assert service.get(f"/jobs/{sent.id}").status_code == 404


def test_any_other_name_has(celery: JobsCelery) -> None:
    task_id = f"größe:{uuid4()}/1"
    client = celery.backend.store.client
    before = next((entry for entry, _ in client.xrevrange(KEYS.stream, count=1)), "-")
    assert celery.send_task("sample.plain", (1, 2), task_id=task_id).get(timeout=5) == 3
    told = [Event.from_json(fields["event"]) for _, fields in client.xrange(KEYS.stream, before)]
    assert [event.name for event in told if event.job_id == task_id][-1] == "completed"


def test_a_result_that_cannot_be_kept_is_nothing_to_a_job_that_has_ended(celery: JobsCelery) -> None:
    store = celery.backend.store
    job_id = created(store, "microservice-x")
    store.claim(job_id)
    store.cancel(job_id)
    celery.backend.store_result(job_id, math.nan, states.SUCCESS)
    assert store.get(job_id).status is Status.CANCELLED
