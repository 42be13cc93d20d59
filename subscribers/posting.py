"""One attempt at a delivery: a signed POST (Standard Webhooks), and what was answered."""

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256

import httpcore
from standardwebhooks import Webhook

from jobs.addresses import Allowed
from jobs.model.callback import CallbackUrl
from jobs.webhooks.deliveries import Delivery
from subscribers.checked_network import AddressRefused, CheckedNetwork, Resolve, resolve

WITHIN = 15.0
"""Seconds for all of it: looking the host up, connecting, sending, and the head of the answer."""
TAKES_RETRY_AFTER = frozenset({429, 503})


class NotAnswered(Exception):
    """There was no answer; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of it; no body is read."""

    status: int
    retry_after: float | None = None
    """Seconds."""

    @property
    def has_arrived(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether nothing more is wanted there."""
        return self.status == 410


class Poster:
    """Signs and sends. No redirect is followed, and no proxy of the environment is used.

    Args:
        keys: what signs; with several, each signs, so that a receiver may have any of them.
        allowed: what may be reached although it is not public.
        tls: whom to trust; the usual authorities without it.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        allowed: Allowed,
        *,
        within: float = WITHIN,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._signers = [Webhook(key) for key in keys]
        self._allowed, self._within, self._resolve = allowed, within, resolve
        self._tls = tls or httpcore.default_ssl_context()

    def post(self, delivery: Delivery) -> Answer:
        """Send it once.

        Raises:
            NotAnswered.
        """
        url = CallbackUrl.from_text(delivery.url)
        where = httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target)
        network = CheckedNetwork(self._allowed, self._within, self._resolve)
        connection = httpcore.HTTPConnection(where.origin, ssl_context=self._tls, network_backend=network)
        now = datetime.now(UTC)
        try:
            with (
                connection,
                connection.stream(
                    "POST", where, headers=self._headers(delivery, url, now), content=delivery.text.encode()
                ) as response,
            ):
                return Answer(response.status, _retry_after(response, now))
        except AddressRefused as error:
            raise NotAnswered(f"refused: {error}") from error
        except httpcore.TimeoutException as error:
            raise NotAnswered(f"no answer within {self._within:g} s") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise NotAnswered(f"{type(error).__name__}: {str(error)[:200]}") from error

    def _headers(self, delivery: Delivery, url: CallbackUrl, now: datetime) -> dict[bytes | str, bytes | str]:
        message_id = webhook_id(delivery.event_id)
        return {
            "Host": url.place,
            "Content-Type": "application/cloudevents+json",
            "User-Agent": "joborchestrator",
            "Connection": "close",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signer.sign(message_id, now, delivery.text) for signer in self._signers),
        }


def webhook_id(event_id: str) -> str:
    """The event's id; of one that holds what a signature or header must not (a stop, above all), its hash."""
    return event_id if re.fullmatch(r"[A-Za-z0-9_:-]{1,255}", event_id) else sha256(event_id.encode()).hexdigest()


def seconds_of(retry_after: str, now: datetime) -> float | None:
    """What a ``Retry-After`` asks for: seconds, or a time (RFC 9110, 10.2.3); None when it can be read as neither."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text).astimezone(UTC) - now).total_seconds())
    except (ValueError, OverflowError):
        return None


def _retry_after(response: httpcore.Response, now: datetime) -> float | None:
    if response.status not in TAKES_RETRY_AFTER:
        return None
    values = [value for name, value in response.headers if name.lower() == b"retry-after"]
    return seconds_of(values[0].decode("latin-1"), now) if values else None
