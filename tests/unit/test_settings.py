"""Settings: read once, every mistake told."""

import ipaddress
from dataclasses import fields
from pathlib import Path

import pytest

from jobs.errors import SettingsError
from jobs.settings import Settings

ROOT = Path(__file__).parents[2]


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environ({"PATH": "/bin"}) == Settings()


def test_values_are_read_in_their_types() -> None:
    settings = Settings.from_environ(
        {
            "JOBS_MAX_WAIT": "0.5",
            "JOBS_MAX_WAITERS": "7",
            "JOBS_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "JOBS_MODULES": "a.b, c",
            "JOBS_PUBLIC_URL": "https://jobs.example.org/",
            "JOBS_DATA_DIR": "",
        }
    )
    assert settings.max_wait == 0.5
    assert settings.max_waiters == 7
    assert settings.trusted_proxies == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1"))
    assert settings.modules == ("a.b", "c")
    assert settings.public_url == "https://jobs.example.org"
    assert settings.data_dir == Path(".data")


def test_all_mistakes_are_told_together_and_unknown_ones_refused() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"JOBS_MAX_WAIT": "soon", "JOBS_WIAT": "1", "JOBS_MAX_BODY": "0"})
    assert caught.value.problems == (
        "JOBS_MAX_BODY='0' is not a whole number of at least 1",
        "JOBS_MAX_WAIT='soon' is not a number of seconds",
        "JOBS_WIAT is no setting (did you mean JOBS_MAX_WAIT?)",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JOBS_MAX_WAIT", "nan"),
        ("JOBS_MAX_WAIT", "-1"),
        ("JOBS_MAX_WAIT", "1e3"),
        ("JOBS_MAX_WAIT", "1_0"),
        ("JOBS_REDIS_URL", "localhost:6379"),
        ("JOBS_REDIS_URL", "redis://h:99999999/0"),
        ("JOBS_REDIS_URL", "redis://h/zero"),
        ("JOBS_PUBLIC_URL", "ftp://x"),
        ("JOBS_PUBLIC_URL", "https://x?y"),
        ("JOBS_TRUSTED_PROXIES", "everybody"),
        ("JOBS_MODULES", "a/b"),
        ("JOBS_DEFAULT_TYPE", "a b"),
        ("JOBS_DEFAULT_WAIT", "61"),
    ],
)
def test_a_wrong_value_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environ({name: value})


def test_a_password_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"JOBS_REDIS_URL": "redis://me:secret@h:99999999/0"})
    assert "secret" not in str(caught.value)


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    for field in fields(Settings):
        assert f"`JOBS_{field.name.upper()}`" in page, field.name
