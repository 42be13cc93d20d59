"""Signatures and Retry-After, without a socket."""

import base64
import hmac
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from support.receiver import KEY, SECRET

from jobs.addresses import Allowed
from jobs.settings import Settings
from subscribers.posting import Poster, seconds_of, webhook_id

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def test_the_signature_is_the_hmac_that_standard_webhooks_describes() -> None:
    key = Settings.from_environ({"JOBS_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}).webhook_secret[0]
    content = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    mine = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    at = datetime.fromtimestamp(1614265330, UTC)
    assert Webhook(key).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, '{"test": 2432232314}') == f"v1,{mine}"


def test_an_id_that_a_signature_must_not_hold_is_hashed_and_stays_the_same() -> None:
    assert webhook_id("6f1c0a2b-0000-4000-8000-000000000000:3") == "6f1c0a2b-0000-4000-8000-000000000000:3"
    for odd in ("a.b:1", "a b:1", "a\r\nx: y:1", "ü:1", "", "x" * 256):
        assert len(webhook_id(odd)) == 64
        assert webhook_id(odd) == webhook_id(odd)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Tue, 24 Nov 2026 12:02:00 GMT", 120),
        ("Tuesday, 24-Nov-26 12:02:00 GMT", 120),
        ("Tue Nov 24 12:02:00 2026", 120),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("1.5", None),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("9" * 400, None),
        ("Tue, 99 Nov 2026 12:02:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_time(text: str, seconds: float | None) -> None:
    assert seconds_of(text, NOW) == seconds


def test_the_receiver_in_the_documentation_takes_what_is_ours_and_refuses_the_rest() -> None:
    page = (ROOT / "docs" / "webhooks.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    room: dict[str, Any] = {"is_new": lambda webhook_id: webhook_id == "i:3", "__name__": "receiver"}
    exec(code.replace("whsec_…", SECRET), room)  # noqa: S102  it is our own page
    body = '{"type": "job.completed", "data": {"job_id": "i", "status": "Completed"}}'
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "i:3",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(KEY).sign("i:3", now, body),
    }
    client = room["app"].test_client()
    assert client.post("/hook", data=body, headers=headers).status_code == 204
    assert client.post("/hook", data=body + " ", headers=headers).status_code == 500


def test_the_key_is_not_shown_by_what_holds_it() -> None:
    assert "secret-of-the-tests" not in repr(Poster([b"secret-of-the-tests-and-more"], Allowed()).__dict__)
