"""What is in a message is what kombu decodes, each time anew."""

from typing import Any

import pytest
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.transport import virtual
from support.messages import message, of_job

from jobs.messages.message import REMEMBERED, Message


class Plain(virtual.Channel):
    def __init__(self) -> None:
        self.body_encoding = "base64"


def made(kind: Any, of: dict[str, Any], **options: Any) -> Any:
    return kind(of, channel=Plain(), **options)


@pytest.mark.parametrize("sound", [message(), of_job(), message(body=[["x" * REMEMBERED], {}, {}])])
def test_it_is_decoded_as_kombu_does_it(sound: Any) -> None:
    for _ in range(2):
        assert made(Message, sound).payload == made(virtual.Message, sound).payload


def test_what_is_done_to_one_is_not_seen_in_the_next() -> None:
    sound = of_job()
    first, second = made(Message, sound), made(Message, sound)
    first.payload[1]["changed"] = True
    assert first.payload[1] == {"changed": True}
    assert second.payload[1] == made(Message, sound).payload[1] == {}


def test_what_is_not_accepted_or_not_json_is_refused_as_by_kombu() -> None:
    assert made(Message, of_job(), accept={"application/json"}).payload
    with pytest.raises(ContentDisallowed):
        _ = made(Message, of_job(), accept={"application/x-yaml"}).payload
    broken = of_job()
    broken["body"] = "eyI="  # an object's beginning
    with pytest.raises(DecodeError):
        _ = made(Message, broken).payload
