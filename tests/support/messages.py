"""Messages as they lie in a queue, sound ones and broken ones."""

import base64
import json
from typing import Any
from uuid import uuid4

NOTHING_AFTER = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def message(task: str = "sample.plain", job_id: str | None = None, body: Any = ..., **headers: Any) -> dict[str, Any]:
    """What Celery sends for ``task``; ``body`` is [args, kwargs, embed], and further headers replace its own."""
    job_id = job_id or str(uuid4())
    text = json.dumps([[], {"a": 1, "b": 2}, NOTHING_AFTER] if body is ... else body)
    return {
        "body": base64.b64encode(text.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": job_id,
            "root_id": job_id,
            "parent_id": None,
            "group": None,
            "shadow": None,
            "eta": None,
            "expires": None,
            "retries": 0,
            "timelimit": [None, None],
            "argsrepr": "()",
            "kwargsrepr": "{}",
            "origin": "a test",
            "ignore_result": False,
            **headers,
        },
        "properties": {
            "correlation_id": job_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "default"},
            "priority": 4,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }


def of_job(job_id: str | None = None, **changes: Any) -> dict[str, Any]:
    """The same for a job of ours."""
    return message("demo.noop", job_id, **{"body": [[], {}, NOTHING_AFTER], "owner": "anonymous", **changes})


def without(sound: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in sound.items() if name not in names}


def without_header(name: str) -> dict[str, Any]:
    sound = message()
    return {**sound, "headers": without(sound["headers"], name)}


def _with_properties(**changes: Any) -> dict[str, Any]:
    sound = message()
    return {**sound, "properties": {**sound["properties"], **changes}}


def _with_body(text: Any) -> dict[str, Any]:
    return {**message(), "body": text}


_CALL = {"task": "sample.plain", "args": [1, 2], "kwargs": {}, "options": {}}

BROKEN: dict[str, tuple[Any, str]] = {
    "not JSON": (b"not JSON", "not JSON"),
    "empty": (b"", "empty"),
    "null": (None, "no object but None"),
    "a number": (42, "no object but 42"),
    "a list": ([1, 2], "no object but [1, 2]"),
    "an empty object": ({}, "no headers"),
    "nested deep": (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
    "nested deeper than a pool can send": (message(deep=json.loads("[" * 300 + "]" * 300)), "nested too deep"),
    "not UTF-8": (b'{"body": "\xff\xfe"}', "not UTF-8"),
    "a lone surrogate": (message("\ud800"), "lone surrogate"),
    "a number of 5,000 digits": (b"9" * 5000, "not JSON"),
    "2 MB": (message(argsrepr="x" * 2_000_000), "bytes"),
    "a value of an unknown type": (message(more={"__type__": "uuid", "__value__": 1}), "not JSON"),
    "no headers": (without(message(), "headers"), "no headers"),
    "headers in a list": ({**message(), "headers": [1]}, "not an object"),
    "no properties": (without(message(), "properties"), "no properties"),
    "no delivery tag": (_with_properties(delivery_tag=None), "delivery_tag"),
    "a delivery tag that is an object": (_with_properties(delivery_tag={}), "delivery_tag"),
    "no delivery info": (_with_properties(delivery_info={}), "exchange"),
    "a priority that is text": (_with_properties(priority="high"), "priority"),
    "an unknown body encoding": (_with_properties(body_encoding="rot13"), "body_encoding"),
    "pickle": ({**message(), "content-type": "application/x-python-serialize"}, "content type"),
    "no content type": (without(message(), "content-type"), "content type"),
    "an unknown content encoding": ({**message(), "content-encoding": "klingon"}, "content encoding"),
    "compressed": (message(compression="application/x-gzip"), "compression"),
    "no body": (without(message(), "body"), "no body"),
    "a body that is an object": (_with_body({"args": []}), "not text"),
    "a body that is not base64": (_with_body("%%%"), "not base64"),
    "a body that is not JSON": (_with_body("AAAA"), "not JSON"),
    "a body that holds an object": (message(body={"args": []}), "[args, kwargs, embed]"),
    "a body of two parts": (message(body=[[], {}]), "[args, kwargs, embed]"),
    "a body nested deep": (message(body=[json.loads("[" * 300 + "]" * 300), {}, None]), "nested too deep"),
    "an id that is an object": (message(id={}), "the header id"),
    "an empty id": (message(id=""), "the header id"),
    "no task": (without_header("task"), "the header task"),
    "a time limit that is text": (message(timelimit=["soon", None]), "timelimit"),
    "a time limit of three": (message(timelimit=[1, 2, 3]), "timelimit"),
    "an eta that is no time": (message(eta="tomorrow"), "eta"),
    "an eta in the year 9999": (message(eta="9999-12-31T23:59:59+00:00"), "eta"),
    "an eta in the year 1": (message(eta="0001-01-01T00:00:00"), "eta"),
    "an expiry that is no time": (message(expires="never"), "expires"),
    "retries that are text": (message(retries="many"), "retries"),
    "stamps that are a list": (message(stamps=[1], stamped_headers=[{}]), "stamp"),
    "callbacks that are no objects": (message(body=[[], {}, {"callbacks": ["x"]}]), "callbacks"),
    "a chord that is text": (message(body=[[], {}, {"chord": "x"}]), "chord"),
    "another id in the body": (message(body=[[], {}, {"id": "x"}]), "third part"),
}
"""Messages that Celery must not see: a text, or what becomes JSON; and a part of the reason."""

NOT_TO_BE_RUN: dict[str, tuple[Any, str]] = {
    "an unknown task": (message("nobody.knows"), "nobody.knows"),
    "a job with arguments": (of_job(body=[[1], {}, NOTHING_AFTER]), "takes no arguments"),
    "a job with keyword arguments": (of_job(body=[[], {"seconds": 1}, NOTHING_AFTER]), "takes no arguments"),
    "a job with a callback to another task": (of_job(body=[[], {}, {"callbacks": [_CALL]}]), "callbacks"),
    "a job with a chain": (of_job(body=[[], {}, {"chain": [_CALL]}]), "chain"),
    "a job with an errback among its headers": (of_job(errbacks=[_CALL]), "errbacks"),
    "a job with an eta": (of_job(eta="2020-01-01T00:00:00+00:00"), "eta"),
    "a job that has expired": (of_job(expires="2020-01-01T00:00:00+00:00"), "expires"),
    "a job without a record": (of_job(), "no job with this id"),
}
"""What is JSON that Celery understands, and no job of ours."""


def as_bytes(broken: Any) -> bytes:
    return broken if isinstance(broken, bytes) else json.dumps(broken).encode()
