"""Which messages Celery may see, and that it survives those."""

import json
import pickle
from decimal import Decimal
from typing import Any

import pytest
from celery import Celery
from celery.backends.base import DisabledBackend
from celery.exceptions import InvalidTaskError
from celery.worker.request import Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kombu.transport.virtual import Base64, Channel, Message
from kombu.utils.json import loads
from support.messages import BROKEN, NOT_TO_BE_RUN, as_bytes, message, of_job

from jobs.celery_app import create_celery
from jobs.envelope import LARGEST, read
from jobs.errors import UnusableMessage
from jobs.queue import Queue
from jobs.settings import Settings
from jobs.submission import Submission

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


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2020-01-01T00:00:00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
PLACES = [
    *((name,) for name in message()),
    *(("headers", name) for name in [*message()["headers"], "stamps", "stamped_headers", "group_index", "owner"]),
    *(("properties", name) for name in message()["properties"]),
    *(("properties", "delivery_info", name) for name in ("exchange", "routing_key")),
]


def plain(a: int, b: int) -> int:
    return a + b


class _Channel:
    """As much of a channel as a message needs."""

    codecs = {"base64": Base64()}  # noqa: RUF012
    decode_body = Channel.decode_body


@pytest.fixture(scope="module")
def app() -> Celery:
    made = create_celery(Settings())
    made.task(name="sample.plain", backend=DisabledBackend(made))(plain)  # an expired one is told to no server
    return made


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(place=st.sampled_from(PLACES), value=VALUES, body=st.none() | VALUES)
def test_celery_survives_whatever_passes(app: Celery, place: tuple[str, ...], value: Any, body: Any) -> None:
    changed = message() if body is None else message(body=[[], {}, body])
    *way, last = place
    inner = changed
    for name in way:
        inner = inner[name]
    inner[last] = value
    try:
        passed = read(json.dumps(changed).encode(), HOUR)
    except UnusableMessage:
        return
    received = Message(passed, channel=_Channel())
    assert not received.errors
    hash(received.delivery_tag)
    received.accept = {"application/json"}
    try:
        request = Request(received, app=app, hostname="h", task=app.tasks["sample.plain"])
    except InvalidTaskError:
        return
    limit, soft = request.time_limits
    assert (limit or 0) + (soft or 0) >= 0
    assert request.revoked() in {True, False} or request.expires
    _ = request.eta and request.eta.isoformat()
    hash(request.id)
    pickle.dumps(request.request_dict)
