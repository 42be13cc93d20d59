"""Settings: read once, every mistake told."""

import base64
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
        ("JOBS_MAX_WAIT", "99999999999999999999"),
        ("JOBS_RETENTION", "9" * 400),
        ("JOBS_RETENTION", "0"),
        ("JOBS_PUBLIC_URL", "http://a\n.b/"),
        ("JOBS_PUBLIC_URL", "http://a b/"),
        ("JOBS_PUBLIC_URL", "http://me:secret@a/"),
        ("JOBS_PUBLIC_URL", "https://x?"),
        ("JOBS_PUBLIC_URL", "https://x#"),
        ("JOBS_PUBLIC_URL", "https://x:0"),
        ("JOBS_PUBLIC_URL", "https://x:99999"),
        ("JOBS_PUBLIC_URL", "https://x\\y"),
        ("JOBS_PUBLIC_URL", 'https://x/"<>'),
        ("JOBS_PUBLIC_URL", "https://x/a|b"),
        ("JOBS_PUBLIC_URL", "https://x/%zz"),
        ("JOBS_PUBLIC_URL", "https://[x]/"),
        ("JOBS_PUBLIC_URL", "https:///jobs"),
        ("JOBS_IDEMPOTENCY_TTL", "3000000001"),
        ("JOBS_IDEMPOTENCY_TTL", "0"),
        ("JOBS_IDEMPOTENCY_TTL", "0.0001"),
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


@pytest.mark.parametrize(
    "url",
    ["https://x", "http://[::1]:8000", "HTTPS://Jobs.example.org:443/a/b~c/%C3%A4/d,e;f=(g)/", "http://127.0.0.1:8000"],
)
def test_a_public_url_may_have_a_port_and_a_path(url: str) -> None:
    assert Settings.from_environ({"JOBS_PUBLIC_URL": url}).public_url == url.rstrip("/")


@pytest.mark.parametrize("url", ["redis://me:secret@h:99999999/0", "redis://h/0?password=secret"])
def test_a_password_is_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"JOBS_REDIS_URL": url})
    assert "secret" not in str(caught.value)


KEY = base64.b64encode(b"0123456789abcdefghijklmn").decode()


@pytest.mark.parametrize(
    "value",
    [
        *(KEY, f"whsec_{KEY}?", "whsec_", "whsec_" + KEY[:-4], "whsec_" + KEY.replace("M", "-"), f"WHSEC_{KEY}"),
        *("whsec_" + base64.b64encode(bytes(23)).decode(), "whsec_" + base64.b64encode(bytes(65)).decode()),
        *(
            f"whsec_ {KEY}",
            f"whsec_{KEY} whsec_{KEY}",
            f"whsec_{KEY},",
            f"whsec_{KEY},{KEY}",
            "hunter2hunter2hunter2hunter2",
        ),
    ],
)
def test_a_secret_is_whsec_and_base64_of_24_to_64_bytes_and_never_told(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"JOBS_WEBHOOK_SECRET": value, "JOBS_WEBHOOK_ALLOW": "a/b", "JOBS_MAX_WAIT": "soon"})
    assert caught.value.problems[1:] == (
        "JOBS_WEBHOOK_ALLOW='a/b' is not a list of hosts, addresses or networks such as hooks.local,10.1.2.0/24",
        "JOBS_WEBHOOK_SECRET=… is not whsec_ and the base64 of 24 to 64 bytes, or several of these with commas between",
    )


def test_a_good_secret_is_the_key_and_not_shown() -> None:
    for length in (24, 25, 64):
        key = bytes(range(65, 65 + length))
        text = base64.b64encode(key).decode()
        for written in (text, text.rstrip("=")):
            settings = Settings.from_environ({"JOBS_WEBHOOK_SECRET": f"whsec_{written}"})
            assert settings.webhook_secret == (key,)
            assert "ABCDEF" not in repr(settings)
            assert "webhook_secret" not in repr(settings)


def test_several_secrets_are_several_keys() -> None:
    new, old = bytes(range(24)), bytes(range(24, 48))
    text = ", ".join(f"whsec_{base64.b64encode(key).decode()}" for key in (new, old))
    assert Settings.from_environ({"JOBS_WEBHOOK_SECRET": text}).webhook_secret == (new, old)


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    for field in fields(Settings):
        assert f"`JOBS_{field.name.upper()}`" in page, field.name
