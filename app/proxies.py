"""Whom we believe about the request: forwarded headers of trusted proxies only, and a Host that is one."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from werkzeug.middleware.proxy_fix import ProxyFix

from app.problems import CONTENT_TYPE, problem_bytes
from jobs.settings import Network

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

FORWARDED = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PREFIX",
)
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?", re.ASCII)


class TrustedProxies:
    """WSGI middleware: applies one hop of X-Forwarded-… from ``networks``, drops it from anybody else.

    A Host that is no host name is answered 400, for the URLs we hand out are made from it.
    """

    def __init__(self, app: "WSGIApplication", networks: Sequence[Network]) -> None:
        self._direct = app
        self._behind_proxy = ProxyFix(app, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)
        self._networks = tuple(networks)

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        if self._networks and self._is_trusted(environ.get("REMOTE_ADDR", "")):
            app: WSGIApplication = self._behind_proxy
            host = environ.get("HTTP_X_FORWARDED_HOST", environ.get("HTTP_HOST", "")).split(",")[-1].strip()
        else:
            app, host = self._direct, environ.get("HTTP_HOST", "")
            for name in FORWARDED:
                environ.pop(name, None)
        if host and not is_host(host):
            return _refuse(start_response)
        return app(environ, start_response)

    def _is_trusted(self, address: str) -> bool:
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(peer in network for network in self._networks)


def is_host(text: str) -> bool:
    """Whether it is a host name or address, with a port or without."""
    match = _HOST.fullmatch(text)
    return match is not None and (match[1] is None or 0 < int(match[1]) < 65536)


def _refuse(start_response: "StartResponse") -> Iterable[bytes]:
    body = problem_bytes(400, "bad-host", "Bad host", "The Host header is not a host name with an optional port.")
    start_response("400 Bad Request", [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body)))])
    return [body]
