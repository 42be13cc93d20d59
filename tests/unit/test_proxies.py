"""Whose forwarded headers count, and which hosts are none."""

import ipaddress
import json
from collections.abc import Iterable
from typing import Any

import pytest

from app.proxies import FORWARDED, TrustedProxies, is_host, own_url

NETWORKS = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]
FORGED = {
    "HTTP_FORWARDED": "for=1.2.3.4;host=evil.example",
    "HTTP_X_FORWARDED_FOR": "1.2.3.4",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "jobs.example.org",
    "HTTP_X_FORWARDED_PORT": "8443",
    "HTTP_X_FORWARDED_PREFIX": "/api",
}


class Seen:
    """A WSGI application that keeps what reached it."""

    environ: dict[str, Any] | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.environ = environ
        start_response("200 OK", [])
        return [b"seen"]


def call(
    peer: str, networks: Any = NETWORKS, **environ: str | None
) -> tuple[str, dict[str, str], bytes, dict[str, Any]]:
    """Status, headers and body of the answer, and the environ that the application saw ({} if none)."""
    seen, answers = Seen(), []
    request = {
        "REMOTE_ADDR": peer,
        "HTTP_HOST": "front:8000",
        "SERVER_NAME": "front",
        "SERVER_PORT": "8000",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/jobs",
        "wsgi.url_scheme": "http",
        **environ,
    }
    request = {name: value for name, value in request.items() if value is not None}
    body = b"".join(TrustedProxies(seen, networks)(request, lambda status, headers: answers.append((status, headers))))
    status, headers = answers[0]
    return status, dict(headers), body, seen.environ or {}


@pytest.mark.parametrize("peer", ["10.1.2.3", "fd00::1", "::ffff:10.1.2.3"])
def test_a_trusted_proxy_is_believed(peer: str) -> None:
    _, _, _, environ = call(peer, **FORGED)
    assert environ["REMOTE_ADDR"] == "1.2.3.4"
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTP_HOST"] == "jobs.example.org:8443"
    assert environ["SCRIPT_NAME"] == "/api"


def test_a_scheme_may_be_written_in_capitals() -> None:
    status, _, _, environ = call("10.1.2.3", HTTP_X_FORWARDED_PROTO="HTTPS")
    assert (status, environ["wsgi.url_scheme"]) == ("200 OK", "https")


@pytest.mark.parametrize("peer", ["11.1.2.3", "127.0.0.1", "::1", "", "unix:"])
def test_forwarded_headers_of_anybody_else_are_removed(peer: str) -> None:
    _, _, _, environ = call(peer, **FORGED)
    assert environ["HTTP_HOST"] == "front:8000"
    assert environ["REMOTE_ADDR"] == peer
    assert environ["wsgi.url_scheme"] == "http"
    assert not set(FORWARDED) & set(environ)


def test_without_networks_nobody_is_trusted() -> None:
    _, _, _, environ = call("127.0.0.1", networks=(), **FORGED)
    assert environ["HTTP_HOST"] == "front:8000"


def test_one_hop_is_believed_and_not_what_the_client_claimed_before_it() -> None:
    _, _, _, environ = call("10.1.2.3", HTTP_X_FORWARDED_FOR="6.6.6.6, 1.2.3.4")
    assert environ["REMOTE_ADDR"] == "1.2.3.4"


BAD_HOSTS = [
    "a b",
    '"a"',
    "<script>",
    "a/b",
    "a\\b",
    "user@a",
    "a\x00",
    "a\n",
    "a:",
    "a:0",
    "a:65536",
    "a:http",
    "a:80:80",
    "a,b",
    "[::1",
    "::1",
    "[....]",
    "[:::::]",
    "[127.0.0.1]",
    "bücher.example",
    "a" * 254,
    "a:080",
]


@pytest.mark.parametrize("host", ["localhost", "a:80", "jobs.example.org:65535", "127.0.0.1:8000", "[::1]:8000", "a_b"])
def test_hosts_are_recognised(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"HTTP_HOST": "my_service:8000"}, "http://my_service:8000"),
        ({"HTTP_HOST": "a:80"}, "http://a"),
        ({"HTTP_HOST": "a:443"}, "http://a:443"),
        ({"HTTP_HOST": "a:443", "wsgi.url_scheme": "https"}, "https://a"),
        ({"HTTP_HOST": "[::1]:8000", "SCRIPT_NAME": "/api/"}, "http://[::1]:8000/api"),
        ({"SERVER_NAME": "::1"}, "http://[::1]:8000"),
        ({"SERVER_PORT": "80"}, "http://front"),
    ],
)
def test_urls_are_those_that_the_request_came_by(environ: dict[str, str], url: str) -> None:
    request = {"wsgi.url_scheme": "http", "SERVER_NAME": "front", "SERVER_PORT": "8000", "SCRIPT_NAME": ""}
    assert own_url({**request, **environ}) == url


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_a_host_that_is_none_is_answered_400_as_a_problem(host: str) -> None:
    status, headers, body, environ = call("127.0.0.1", HTTP_HOST=host)
    assert status == "400 Bad Request"
    assert headers["Content-Type"] == "application/problem+json"
    assert int(headers["Content-Length"]) == len(body)
    assert json.loads(body)["status"] == 400
    assert environ == {}


@pytest.mark.parametrize(
    "forwarded",
    [
        {"HTTP_X_FORWARDED_HOST": "<evil>"},
        {"HTTP_X_FORWARDED_PORT": "80/evil"},
        {"HTTP_X_FORWARDED_PORT": "80/evil", "HTTP_HOST": ""},
        {"HTTP_X_FORWARDED_HOST": "", "HTTP_HOST": "<evil>"},
        {"HTTP_X_FORWARDED_PROTO": "javascript"},
        {"HTTP_X_FORWARDED_PREFIX": "@evil.example"},
        {"HTTP_X_FORWARDED_PREFIX": ".evil.example"},
        {"HTTP_X_FORWARDED_PREFIX": "//evil.example"},
        {"HTTP_X_FORWARDED_PREFIX": "/a?b"},
        {"HTTP_X_FORWARDED_PREFIX": "/<script>"},
    ],
)
def test_what_a_trusted_proxy_passes_on_is_checked_too(forwarded: dict[str, str]) -> None:
    status, _, _, environ = call("10.1.2.3", **forwarded)
    assert (status, environ) == ("400 Bad Request", {})


def test_a_request_of_http_1_0_needs_no_host_but_an_empty_one_is_none() -> None:
    assert call("127.0.0.1", HTTP_HOST=None)[0] == "200 OK"
    assert call("127.0.0.1", HTTP_HOST="")[0] == "400 Bad Request"
