"""What was announced, as a front door and a reconciler read it: newer workers, older ones, and what is none at all."""

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.errors import UnknownJobType
from jobs.store.announced import JobTypes
from jobs.store.job_types import JobTypeInfo
from workers.reconciler import Reconciler

GOOD = JobTypeInfo("t.good", queue="reports", max_attempts=2)
UNREADABLE = {
    "no JSON": "t",
    "nested deep": "[" * 100_000,
    "no object": '["t.bad"]',
    "no name": '{"queue":"default"}',
    "a name that is none": '{"name":"a b"}',
    "a description that is no text": '{"name":"t.bad","description":5}',
    "parameters that are no schema": '{"name":"t.bad","parameters":[]}',
    "a queue that is no text": '{"name":"t.bad","queue":null}',
    "a key of ours as its queue": '{"name":"t.bad","queue":"jobs:stream"}',
    "a limit that is text": '{"name":"t.bad","time_limit":"60"}',
    "no attempt": '{"name":"t.bad","max_attempts":0}',
    "half an attempt": '{"name":"t.bad","max_attempts":0.5}',
}


class Announced:
    """A store that says these texts, which a test may change."""

    def __init__(self, **texts: str) -> None:
        self.texts = {"t.good": GOOD.to_json(), **texts}

    def announced_types(self) -> dict[str, str]:
        return dict(self.texts)

    def types_seen_within(self, seconds: int) -> list[str]:
        return list(self.texts)


def types(store: Any) -> JobTypes:
    return JobTypes(store)


def test_a_type_is_read_as_it_was_announced() -> None:
    assert types(Announced()).get("t.good") == GOOD


def test_a_soft_limit_that_means_nothing_makes_no_type_unknown() -> None:
    text = '{"name":"t.older","time_limit":5,"soft_time_limit":5}'
    assert types(Announced(**{"t.older": text})).get("t.older").soft_time_limit == 5


def test_what_a_newer_worker_says_beyond_is_left_out_and_what_an_older_one_lacks_is_as_usual() -> None:
    newer = json.dumps({**json.loads(GOOD.to_json()), "colour": "red", "max_attempts": 5})
    known = types(Announced(**{"t.good": newer, "t.older": '{"name":"t.older"}'}))
    assert known.get("t.good") == JobTypeInfo("t.good", queue="reports", max_attempts=5)
    assert known.get("t.older") == JobTypeInfo("t.older")


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_unknown_and_the_others_go_on(text: str) -> None:
    known = types(Announced(**{"t.bad": text}))
    assert known.get("t.good") == GOOD
    assert known.living() == [GOOD]
    with pytest.raises(UnknownJobType):
        known.get("t.bad")


def test_it_is_logged_once_and_again_only_for_another_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    store = Announced(**{"t.bad": "[]"})
    known = types(store)
    for number in range(3):
        store.texts["t.other"] = JobTypeInfo("t.other", description=str(number)).to_json()
        known.living()
    assert [record.getMessage() for record in caplog.records] == ["job type 't.bad' cannot be read: no JSON object"]
    store.texts["t.bad"] = "{}"
    known.living()
    assert "no name" in caplog.records[1].getMessage()


def test_a_reconciler_looks_after_the_queues_of_all_that_can_be_read() -> None:
    store = Announced(**{"t.bad": '{"name":"t.bad","queue":"jobs:stream"}', "t.newer": '{"name":"t.newer","x":1}'})
    app: Any = SimpleNamespace(
        settings=SimpleNamespace(lease=6.0),
        conf=SimpleNamespace(task_default_queue="default"),
        backend=SimpleNamespace(store=store),
    )
    assert Reconciler(app)._known_queues() == {"default", "reports"}
