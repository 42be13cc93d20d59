"""The announcer goes on whatever happens to it."""

import logging
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from support.eventually import eventually

from jobs.errors import StoreUnavailable
from jobs.store.job_types import JobTypeInfo
from workers.announcer import Announcer


class Store:
    """Fails with these errors, one after the other, and then takes what is announced."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.announced: dict[str, str] = {}

    def announce(self, texts: dict[str, str]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.announced = texts


def test_an_error_is_logged_and_the_types_are_announced_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    store, info = Store(StoreUnavailable("away"), RuntimeError("odd")), JobTypeInfo("t")
    app: Any = SimpleNamespace(backend=SimpleNamespace(store=store))
    announcer = Announcer(app, [info], every=0.01)
    announcer.start()
    try:
        assert eventually(lambda: store.announced) == {"t": info.to_json()}
    finally:
        announcer.stop()
    told = [record.getMessage() for record in caplog.records]
    assert [text.split(":")[0] for text in told] == ["job types not announced"] * 2
    eventually(lambda: "announcer" not in {thread.name for thread in threading.enumerate()})
