"""Entries of a stream that are no events of ours, and why not."""

from typing import Any

NO_EVENTS: dict[str, tuple[dict[str, Any], str]] = {
    "no field": ({"other": "x"}, "no field"),
    "not JSON": ({"event": "not JSON"}, "not JSON"),
    "not UTF-8": ({"event": b"\xff\xfe"}, "not JSON"),
    "nested deep": ({"event": "[" * 100_000}, "not JSON"),
    "a number": ({"event": "42"}, "not an event of ours"),
    "another specversion": ({"event": '{"specversion":"0.3","type":"job.created"}'}, "0.3"),
    "an unknown type": ({"event": '{"specversion":"1.0","type":"job.eaten"}'}, "job.eaten"),
    "no data": ({"event": '{"specversion":"1.0","type":"job.created","id":"1"}'}, "not an event of ours"),
    "2 MB": ({"event": b"x" * 2_000_000}, "2000000 bytes"),
}
"""By kind: the fields, and a part of the reason that is given."""
