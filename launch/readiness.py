"""Whether everything is really up: asked from outside, as a user would find it."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from jobs.celery_app import JobsCelery, create_celery
from launch.configuration import Configuration

Check = Callable[[], bool]


def checks(configuration: Configuration, redis_url: str, subscribers: int) -> Mapping[str, Check]:
    """One question for each part, by what it is called when the answer is still no."""
    celery, wanted = create_celery(replace(configuration.settings, redis_url=redis_url)), worker_names(configuration)
    api = api_url(configuration)
    return {
        "the API": lambda: _status(f"{api}/health/ready") == 200,
        "the workers": lambda: bool(_json(f"{api}/job-types")) and _answering(celery) >= wanted,
        "Flower": lambda: _status(f"http://127.0.0.1:{configuration.flower_port}/healthcheck") == 200,
        "the subscribers": lambda: _listening(redis_url) >= subscribers,
    }


def api_url(configuration: Configuration) -> str:
    """Where this machine finds the API."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
    host = anywhere.get(configuration.host, configuration.host)
    return f"http://[{host}]:{configuration.port}" if ":" in host else f"http://{host}:{configuration.port}"


def worker_names(configuration: Configuration) -> frozenset[str]:
    """What the workers are called, before the ``@`` and the machine."""
    return frozenset(f"worker{i}" for i in range(1, configuration.workers + 1))


def why_not_ready(configuration: Configuration) -> str:
    """What the API says of itself, where it answers at all."""
    try:
        urllib.request.urlopen(f"{api_url(configuration)}/health/ready", timeout=2)  # noqa: S310
    except urllib.error.HTTPError as error:
        with error, suppress(ValueError, AttributeError):  # no problem document: another's answer
            return str(json.load(error).get("detail", ""))
    except (OSError, http.client.HTTPException):
        pass
    return ""


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            return int(answer.status)
    except (OSError, http.client.HTTPException):
        return 0


def _json(url: str) -> object:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310
            return json.load(answer)
    except (OSError, ValueError, http.client.HTTPException):
        return None


def _answering(celery: JobsCelery) -> frozenset[str]:
    """The names of the workers that answer a ping: what was announced may be of workers that have gone."""
    try:
        replies = celery.control.ping(timeout=0.3)
    except (OperationalError, OSError):
        return frozenset()
    return frozenset(node.split("@")[0] for reply in replies for node in reply)


def _listening(redis_url: str) -> int:
    try:
        with Redis.from_url(redis_url, socket_timeout=2) as client:
            return int(client.pubsub_numpat())
    except (RedisError, OSError):
        return 0
