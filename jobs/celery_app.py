"""The Celery application that front door and workers share: broker, store and rules, no job code."""

from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from kombu.connection import Connection
from redis.connection import parse_url

from jobs.connections.client import ANSWER_WITHIN, CONNECTION_WITHIN
from jobs.connections.line import Line, SharedLine
from jobs.settings import Settings

VISIBILITY_TIMEOUT = 12 * 3600
"""Seconds after which Redis hands a message out again that nobody acknowledged: a last resort, not a lease."""
REDIS_TRANSPORT = "jobs.messages.transport:Transport"
UNCONFIRMED = {"confirm_publish": False}
"""For what nobody waits for: RabbitMQ without memory confirms nothing, and a worker that waits takes up no jobs."""
LISTENING_CHECKED_EVERY = 2
"""Seconds between two looks of a worker whether the connections on which it listens are still answered."""


class PlainlyNamedConnection(Connection):
    """Tells its URL with the scheme that people and Flower know, and not with the name of our transport's class."""

    def as_uri(self, *args: Any, **options: Any) -> str:
        told: str = super().as_uri(*args, **options)
        return told.replace(REDIS_TRANSPORT, "rediss" if self.ssl else "redis", 1)


class Messaging(AMQP):  # type: ignore[misc]
    Connection = PlainlyNamedConnection


class JobsCelery(Celery):  # type: ignore[misc]
    """A Celery app that carries our settings; the backend reads them from it."""

    amqp_cls = f"{Messaging.__module__}:{Messaging.__name__}"
    settings: Settings
    line: type[Line] | type[SharedLine]

    def close(self) -> None:
        """Celery's, and the thread that reads the reply channel, since the first wait, ends within some seconds."""
        self.backend.result_consumer.stop()
        super().close()


def create_celery(settings: Settings, line: type[Line] | type[SharedLine] = Line) -> JobsCelery:
    """An app on ``settings.redis_url``, whose store asks over such a line. It connects to nothing until it is used."""
    app = JobsCelery("joborchestrator", set_as_current=False)
    app.settings, app.line = settings, line
    app.conf.update(
        **(_redis_broker(settings) if settings.broker_url is None else _rabbitmq(settings)),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # else whatever Redis refuses to a worker ends it
        result_backend=f"jobs.results.backend:JobBackend+{_without_query(settings.redis_url)}",
        redis_backend_use_ssl=_tls(settings.redis_url),
        result_backend_thread_safe=True,
        result_backend_always_retry=True,
        result_backend_base_sleep_between_retries_ms=100,
        result_backend_max_sleep_between_retries_ms=2000,
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_default_queue="default",
        task_acks_late=True,
        task_track_started=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        # a job goes on through a lost connection: the copy that Redis hands out again is refused at its claim
        worker_cancel_long_running_tasks_on_connection_loss=False,
        event_queue_prefix="celeryev",
        timezone="UTC",
        enable_utc=True,
    )
    return app


def _redis_broker(settings: Settings) -> dict[str, Any]:
    return {
        "broker_url": _without_query(settings.redis_url),
        "broker_use_ssl": _tls(settings.redis_url),
        "broker_transport": REDIS_TRANSPORT,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT,
            "socket_timeout": ANSWER_WITHIN,
            "socket_connect_timeout": ANSWER_WITHIN,
            "health_check_interval": LISTENING_CHECKED_EVERY,
        },
    }


def _tls(redis_url: str) -> dict[str, Any] | None:
    """What redis-py reads of TLS in the URL, for kombu, Celery and Flower; without it kombu speaks plainly."""
    if not redis_url.startswith("rediss:"):
        return None
    told = {name: value for name, value in parse_url(redis_url).items() if name.startswith("ssl_")}
    return {"ssl_cert_reqs": "required", **told}


def _without_query(redis_url: str) -> str:
    return redis_url.partition("?")[0]


def _rabbitmq(settings: Settings) -> dict[str, Any]:
    """Quorum queues, and a publish counts once the broker has confirmed it."""
    return {
        "broker_url": settings.broker_url,
        "broker_transport_options": {"confirm_publish": True},
        "broker_connection_timeout": 2,
        "broker_pool_acquire_timeout": CONNECTION_WITHIN,
        "task_default_queue_type": "quorum",
        "task_create_missing_queue_type": "quorum",
    }
