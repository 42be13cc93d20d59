"""What `make run` is told by the environment, and the processes it makes of that."""

import pytest

from launch.__main__ import parts
from launch.configuration import CannotStart, Configuration, without_password
from launch.readiness import api_url


def test_without_any_variable_everything_has_its_usual_place() -> None:
    usual = Configuration.from_environ({})
    assert (usual.host, usual.port, usual.flower_port, usual.workers) == ("127.0.0.1", 8000, 5555, 1)
    assert not usual.redis_given


def test_all_mistakes_are_told_at_once() -> None:
    mistakes = {"PORT": "http", "FLOWER_PORT": "70000", "WORKERS": "0", "JOBS_MAX_WAIT": "soon", "JOBS_WIAT": "1"}
    with pytest.raises(CannotStart) as told:
        Configuration.from_environ(mistakes)
    assert all(name in str(told.value) for name in mistakes)
    assert "\n" not in str(told.value)


def test_one_port_cannot_serve_both_the_api_and_flower() -> None:
    with pytest.raises(CannotStart, match="PORT and FLOWER_PORT are both 5555"):
        Configuration.from_environ({"PORT": "5555"})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("::", "http://[::1]:8000"),
    ],
)
def test_the_api_is_asked_for_where_this_machine_finds_it(host: str, url: str) -> None:
    assert api_url(Configuration.from_environ({"HOST": host})) == url


def test_a_redis_url_is_shown_without_its_password() -> None:
    assert without_password("redis://me:secret@example.org/3?password=secret") == "redis://example.org:6379/3"


def test_who_accepts_work_ends_before_who_does_it() -> None:
    names = [part.name for part in parts(Configuration.from_environ({"WORKERS": "2"}))]
    assert names == ["web", "console", "microservice-x", "flower", "worker1", "worker2"]


def test_callbacks_are_delivered_only_where_there_is_a_secret_to_sign_with() -> None:
    secret = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u"
    names = [part.name for part in parts(Configuration.from_environ({"JOBS_WEBHOOK_SECRET": secret}))]
    assert names == ["web", "console", "microservice-x", "webhooks", "flower", "worker1"]
