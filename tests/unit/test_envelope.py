"""Which messages Celery may see, and that it survives those."""

import json
from decimal import Decimal
from typing import Any

import pytest
from kombu.utils.json import loads
from support.messages import BROKEN, NOT_TO_BE_RUN, as_bytes, message, of_job

from jobs.celery_app import create_celery
from jobs.errors import UnusableMessage
from jobs.messages.envelope import LARGEST, read
from jobs.messages.queue import Queue
from jobs.model.submission import Submission
from jobs.settings import Settings

HOUR = 3600.0


@pytest.mark.parametrize("kind", BROKEN)
def test_what_celery_would_not_survive_is_refused_with_its_reason(kind: str) -> None:
    broken, reason = BROKEN[kind]
    with pytest.raises(UnusableMessage) as refused:
        read(as_bytes(broken), HOUR)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("sound", [message(), of_job(), *(m for m, _ in NOT_TO_BE_RUN.values())])
def test_what_celery_understands_is_read_as_it_is(sound: Any) -> None:
    assert read(as_bytes(sound), HOUR) == sound


def test_our_own_message_passes() -> None:
    given = {"type": "t", "owner": "me", "max_attempts": 1, "queue": "q", "parameters_json": '{"ü": "😀"}'}
    text = Queue(create_celery(Settings())).message(Submission(id="1", **given))  # type: ignore[arg-type]
    assert read(text.encode(), HOUR) == json.loads(text)


@pytest.mark.parametrize("name", ["__type__", "\\u005f_type__"])
def test_what_kombu_sees_in_a_message_beyond_json_is_seen(name: str) -> None:
    told = f'{{"{name}": "decimal", "__value__": "1.5"}}'
    raw = as_bytes(message(stamps={"s": "PLACE"})).replace(b'"PLACE"', told.encode())
    seen = read(raw, HOUR)
    assert seen == loads(raw)
    assert seen["headers"]["stamps"] == {"s": Decimal("1.5")}


def test_the_size_is_bounded() -> None:
    room = LARGEST - len(as_bytes(message(argsrepr="")))
    assert read(as_bytes(message(argsrepr="x" * (room - 1))), HOUR)
    with pytest.raises(UnusableMessage):
        read(as_bytes(message(argsrepr="x" * room)), HOUR)


def test_a_plain_message_may_wait_as_long_as_redis_keeps_it() -> None:
    assert read(as_bytes(message(eta="2020-01-01T00:00:00+00:00", expires="2020-01-01T00:00:00")), HOUR)
    assert read(as_bytes(message(eta="2100-01-01T00:00:00Z")), 100 * 365 * 24 * HOUR)
