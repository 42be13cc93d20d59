"""The URL of Redis: what not all processes understand alike is refused before one of them starts."""

from pathlib import Path

import pytest

from jobs.celery_app import create_celery
from jobs.connections.client import connect
from jobs.errors import SettingsError
from jobs.settings import Settings


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost:6379", "is not a Redis URL"),
        ("REDIS://h/0", "is not a Redis URL"),
        ("unix:///run/redis.sock", "is not a Redis URL"),
        ("redis://h/0#1", "is not a Redis URL"),
        ("redis://h:99999999/0", "has a port that is no port number"),
        ("redis://a..b/0", "names a host that no host can be called"),
        (f"redis://{'a' * 64}.b/0", "names a host that no host can be called"),
        ("redis://h:0/0", "has a port that is no port number"),
        ("redis://h/zero", "names no database number"),
        ("redis://:a;b@h/0", "has a blank or a semicolon"),
        ("redis://h/0\n", "has a blank or a semicolon"),
        ("redis://h/0?foo=bar", "is for rediss:// alone"),
        ("redis://h/0?protocol=3", "is for rediss:// alone"),
        ("redis://h/0?ssl_cert_reqs=required", "is for rediss:// alone"),
        ("rediss://h/0?db=3", "'db'"),
        ("rediss://h/0?encoding=utf-16", "'encoding'"),
        ("rediss://h/0?ssl_cert_reqs=required&socket_timeout=abc", "'socket_timeout'"),
        ("rediss://h/0?ssl_cert_reqs=CERT_REQUIRED", "has a ssl_cert_reqs that is none of required, optional, none"),
        ("rediss://h/0?ssl_cert_reqs=", "has a ssl_cert_reqs that is none of"),
        ("rediss://h/0?ssl_check_hostname=no", "has a ssl_check_hostname that is none of true, false"),
        ("rediss://h/0?ssl_ca_certs=/nowhere/ca.pem", "has a ssl_ca_certs that is no file"),
        ("rediss://h/0?ssl_cert_reqs=none&ssl_cert_reqs=required", "has a parameter twice"),
        ("rediss://h/0?&", "ends with a query that is none"),
        (f"rediss://h/0?ssl_keyfile={__file__}", "has an ssl_keyfile without its ssl_certfile"),
    ],
)
def test_what_not_every_process_can_use_is_refused(url: str, why: str) -> None:
    with pytest.raises(SettingsError, match=r"^JOBS_REDIS_URL=.* " + why.replace("(", r"\(")):
        Settings.from_environ({"JOBS_REDIS_URL": url})


@pytest.mark.parametrize("url", ["redis://h", "redis://h/", "redis://[::1]:6380/15", "redis://me:p%3B%20@h/0"])
def test_a_plain_url_is_spoken_plainly_by_all(url: str) -> None:
    settings = Settings.from_environ({"JOBS_REDIS_URL": url})
    celery = create_celery(settings)
    assert not celery.connection().ssl
    assert "connection_class" not in celery.backend.connparams
    assert not _asked_of_tls(settings)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", {}),
        ("?", {}),
        ("?ssl_cert_reqs=required", {}),
        ("?ssl_check_hostname=false", {"ssl_check_hostname": False}),
        ("?ssl_cert_reqs=none&ssl_check_hostname=true", {"ssl_cert_reqs": "none", "ssl_check_hostname": True}),
        ("?ssl_ca_certs={}&ssl_certfile={}&ssl_keyfile={}", ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")),
    ],
)
def test_what_a_url_says_of_tls_is_told_to_all_and_certificates_are_required(
    tmp_path: Path, query: str, told: dict[str, object] | tuple[str, ...]
) -> None:
    file = tmp_path / "a%20b c.pem"
    file.touch()
    written = str(file).replace("%", "%25").replace(" ", "%20")
    settings = Settings.from_environ({"JOBS_REDIS_URL": f"rediss://h/0{query.format(*[written] * 3)}"})
    expected = {"ssl_cert_reqs": "required", **(told if isinstance(told, dict) else dict.fromkeys(told, str(file)))}
    celery = create_celery(settings)
    assert {"ssl_cert_reqs": "required", **_asked_of_tls(settings)} == expected  # which is redis-py's own default
    assert celery.connection().ssl == expected
    assert celery.connection().as_uri().startswith("rediss://")
    assert celery.conf.broker_use_ssl == expected, "Flower reads it there"
    backend = {name: value for name, value in celery.backend.connparams.items() if name.startswith("ssl_")}
    assert {**backend, "ssl_cert_reqs": backend["ssl_cert_reqs"].name} == {
        **expected,
        "ssl_cert_reqs": f"CERT_{expected['ssl_cert_reqs']}".upper(),
    }


def _asked_of_tls(settings: Settings) -> dict[str, object]:
    with connect(settings.redis_url) as client:
        asked = client.connection_pool.connection_kwargs
        return {name: value for name, value in asked.items() if name.startswith("ssl_")}
