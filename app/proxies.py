"""Whom we believe about the request: forwarded headers of trusted proxies only, and a Host that is one."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from werkzeug.middleware.proxy_fix import ProxyFix

from app.problems import CONTENT_TYPE, problem_bytes, reference
from jobs.addresses import Network

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
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]{1,253}|\[([0-9A-Fa-f:.]{2,45})\])(?::([0-9]{1,5}))?", re.ASCII)
_USUAL_PORTS = {"http": ":80", "https": ":443"}
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?", re.ASCII)


class TrustedProxies:
    """WSGI middleware: applies one hop of X-Forwarded-… from ``networks``, drops it from anybody else.

    A host, port, scheme or prefix that is none, once those are applied, is answered 400: our URLs are made from them.
    """

    def __init__(self, app: "WSGIApplication", networks: Sequence[Network]) -> None:
        self._app = app
        self._behind_proxy = ProxyFix(self._checked, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)
        self._networks = tuple(networks)

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        if self._networks and self._is_trusted(environ.get("REMOTE_ADDR", "")):
            if (scheme := environ.get("HTTP_X_FORWARDED_PROTO")) is not None:
                environ["HTTP_X_FORWARDED_PROTO"] = scheme.lower()  # its case says nothing, RFC 3986 section 3.1
            return self._behind_proxy(environ, start_response)
        for name in FORWARDED:
            environ.pop(name, None)
        return self._checked(environ, start_response)

    def _checked(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        return self._app(environ, start_response) if _makes_urls(environ) else _refuse(environ, start_response)

    def _is_trusted(self, address: str) -> bool:
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return False
        peer = getattr(peer, "ipv4_mapped", None) or peer  # how a socket of both families names an IPv4 peer
        return any(peer in network for network in self._networks)


@lru_cache(maxsize=256)
def is_host(text: str) -> bool:
    """Whether it is a host name or address, with a port or without."""
    match = _HOST.fullmatch(text)
    if match is None:
        return False
    address, port = match.groups()
    return (address is None or _is_ipv6(address)) and (port is None or _is_port(port))


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)
def _is_port(text: str) -> bool:
    return re.fullmatch("[1-9][0-9]{0,4}", text, re.ASCII) is not None and int(text) < 65536


def _makes_urls(environ: dict[str, Any]) -> bool:
    """Without a Host (HTTP/1.0) they are made from SERVER_PORT, which X-Forwarded-Port may have set."""
    host, port = environ.get("HTTP_HOST"), environ.get("SERVER_PORT", "")
    scheme_is_ours = environ.get("wsgi.url_scheme") in {"http", "https"}
    prefix = environ.get("SCRIPT_NAME", "")
    prefix_is_path = not prefix or _PREFIX.fullmatch(prefix) is not None
    return scheme_is_ours and prefix_is_path and (host is None or is_host(host)) and (not port or _is_port(port))


def own_url(environ: dict[str, Any]) -> str:
    """What the URLs that we hand out start with, as the request has it, once :class:`TrustedProxies` has looked at it.

    werkzeug's ``host`` is empty for a name with an underscore, as Docker Compose makes them.
    """
    scheme, name = environ["wsgi.url_scheme"], environ["SERVER_NAME"]
    host = environ.get("HTTP_HOST") or f"{f'[{name}]' if ':' in name else name}:{environ['SERVER_PORT']}"
    return f"{scheme}://{host.removesuffix(_USUAL_PORTS[scheme])}{environ.get('SCRIPT_NAME', '').rstrip('/')}"


def _refuse(environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
    path = environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace")  # as WSGI and werkzeug have it
    detail = "The request names no valid host, port, scheme or prefix."
    body = problem_bytes(400, "bad-host", "Bad host", detail, instance=reference(path))
    start_response("400 Bad Request", [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body)))])
    return [body]
