"""The worker's sign of life goes on whatever happens to one beat."""

import logging
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from jobs.celery_app import JobsCelery
from jobs.errors import StoreUnavailable
from workers.heartbeat import Heartbeat


class Recovery:
    """Of an app that has nothing else: what goes wrong with the first beats. One that goes right is the last."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.renewed = threading.Event()

    def renew(self, _: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bool]:
        if self._errors:
            raise self._errors.pop(0)
        self.renewed.set()
        threading.Event().wait()
        return {}


@pytest.mark.parametrize("error", [StoreUnavailable("no connection to Redis"), RuntimeError("a bug")])
def test_leases_are_renewed_after_a_beat_that_failed(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    recovery = Recovery(error, error)
    app = SimpleNamespace(settings=SimpleNamespace(lease=0.04), backend=SimpleNamespace(recovery=recovery))
    with caplog.at_level(logging.WARNING):
        Heartbeat(cast(JobsCelery, app)).start(sender=None)
        assert recovery.renewed.wait(5)
    assert caplog.text.count("leases not renewed") == 2
