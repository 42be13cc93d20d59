"""Thousands of odd messages: Celery survives whatever :mod:`jobs.messages.envelope` lets through."""

import json
import pickle
from typing import Any

import pytest
from celery import Celery
from celery.backends.base import DisabledBackend
from celery.exceptions import InvalidTaskError
from celery.worker.request import Request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kombu.transport.virtual import Base64, Channel, Message
from support.messages import message

from jobs.celery_app import create_celery
from jobs.errors import UnusableMessage
from jobs.messages.envelope import read
from jobs.settings import Settings

HOUR = 3600.0

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
