"""kombu's Redis transport with changes of ours; the decisions are records in docs/decisions.

- *Priorities* are ours, 9 the highest, and the usual one, 5, has the list named like the queue, where kombu counts
  from 0, the highest, and gives that one the bare name: :mod:`jobs.model.priority`, ``_q_for_pri`` (0001).
- *A lost connection is an error of the connection*: ``_connparams``. kombu 5.7 gives messages back when it closes a
  channel that has lost its connection, and the AttributeError that follows ends the worker (0001).
- *One client for each channel*, not one for each operation: ``_create_client``, ``client`` (0001, 0008).
- *No note in Redis of a job's message that was fetched*: ``QoS``, see ``qos``. The job has a record and a lease, and
  a reconciler finds those that have neither message nor lease (0003).
- *Connections are wary of silence*: ``connection_class``, ``_connparams``, ``_brpop_start``. A worker's event loop
  waits for no answer on a connection when another one has got none; see :mod:`jobs.connections.connection`
  (docs/reliability.md).
- *What Celery would not survive is set aside*, with its reason, or passed over if it is a broadcast: ``_hand_on``,
  ``_free_queues``, ``_receive_one``, ``_deliver_fanout_message``, see ``envelope`` (docs/dead-letters.md).
- *A fetch takes as many messages as there is room for* (BLMPOP, not BRPOP), its command packed once: ``_blmpop``,
  ``_brpop_read`` (0012, 0008).
- *A fetch ends, and messages go back*, when a worker has fetched ahead or is to stop: ``stop_fetching``, ``give_back``,
  ``give_back_noted`` (0012).
- *A full worker of greenlets fetches again as soon as a job ends*: ``fetch_again``, see ``poller`` (0012).
- *A body that all jobs have is decoded once*: ``Message``, see ``message`` (0008).
- *The event loop is told once of each descriptor*: ``register_with_event_loop``, see ``told_once`` (0004).
- *Who heard an event is counted*: ``_put_fanout``. Task events are sent only while somebody listens (0004).
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property, lru_cache
from queue import Empty
from time import monotonic
from typing import Any

from kombu.exceptions import KombuError
from kombu.transport import redis, virtual
from kombu.utils.json import dumps, loads
from redis import Redis
from redis.exceptions import ConnectionError, ResponseError

from jobs.connections.connection import (
    AttentiveConnection,
    AttentiveSSLConnection,
    WaryConnection,
    WarySSLConnection,
)
from jobs.errors import UnusableMessage
from jobs.letters.dead_letters import DeadLetters
from jobs.messages.envelope import read
from jobs.messages.message import Message
from jobs.messages.poller import Poller
from jobs.messages.qos import QoS
from jobs.messages.told_once import ToldOnce
from jobs.model.priority import HIGHEST, USUAL, kombu_priority, our_priority, queue_key

log = logging.getLogger(__name__)

REPLIES = ".reply.celery.pidbox"
"""What the queue of answers to a remote control command ends in: those are no tasks."""


class Channel(redis.Channel):
    """Fetches by priority, 9 first, and hands on only what Celery survives."""

    Message = Message
    QoS = QoS
    connection_class = AttentiveConnection
    connection_class_ssl = AttentiveSSLConnection

    priority_steps = list(range(HIGHEST + 1))  # noqa: RUF012  kombu declares it so

    _in_poll: Any = None
    _one_client: Redis | None = None
    default_priority = kombu_priority(USUAL)
    """Of a plain Celery message that says none."""

    def _q_for_pri(self, queue: str, pri: int) -> str:
        return queue_key(queue, our_priority(pri))

    receivers = 0
    """How many got the last event that this channel published."""

    def _put_fanout(self, exchange: str, message: Any, routing_key: str, **options: Any) -> None:
        if options.get("_publish_batch") is not None:
            super()._put_fanout(exchange, message, routing_key, **options)  # type: ignore[no-untyped-call]
            return
        payload = dumps(message)
        topics = self._get_publish_topics(exchange, routing_key)  # type: ignore[no-untyped-call]
        with self.conn_or_acquire() as client:
            self.receivers = sum(client.publish(topic, payload) for topic in topics)

    @cached_property
    def client(self) -> Any:
        """kombu's; but what kombu keeps under that name takes a lock, each of the ten times a message asks for it."""
        return self._create_client(asynchronous=True)

    def _brpop_start(self, timeout: float | None = None) -> None:
        """What kombu's own does, with a look at the connection first, and the command as it was written before."""
        connection = self.client.connection
        if connection.is_suspect:
            connection.disconnect()  # the event loop makes it anew at its next turn
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        if queues:
            self._in_poll = connection
            self._brpop_sent_at: Any = monotonic()
            room = self.qos.can_consume_max_estimate() or 1
            connection.send_packed_command(self._blmpop(tuple(queues), timeout or self.brpop_timeout, room))

    @lru_cache(maxsize=256)  # noqa: B019  there are two channels in a worker
    def _blmpop(self, queues: tuple[str, ...], timeout: float, most: int) -> Any:
        keys = [self._q_for_pri(queue, step) for step in self.priority_steps for queue in queues]
        return self.client.connection.pack_command("BLMPOP", timeout, len(keys), *keys, "RIGHT", "COUNT", most)

    def _brpop_read(self, **options: Any) -> bool:
        """What kombu's own does, with a check of each message in between."""
        try:
            reply = self._popped(options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]
        if not reply:
            raise Empty
        key, messages = reply[0].decode(), reply[1]
        self._queue_cycle.rotate(key.rsplit(self.sep, 1)[0])
        while messages:
            raw = messages.pop(0)
            try:
                self._hand_on(key, raw)
            except BaseException:
                if messages:
                    self._create_client().rpush(key, *reversed(messages))
                raise
        return True

    def _hand_on(self, key: str, raw: bytes) -> None:
        queue = key.rsplit(self.sep, 1)[0]
        if queue.endswith(REPLIES):
            self.connection._deliver(loads(raw), queue)
            return
        try:
            message = read(raw, self.visibility_timeout)
        except UnusableMessage as unusable:
            self.set_aside(str(unusable), key, raw)
        else:
            self.connection._deliver(message, queue)

    def _popped(self, options: dict[str, Any]) -> tuple[bytes, list[bytes]] | None:
        connection = self.client.connection
        try:
            reply: tuple[bytes, list[bytes]] | None = self.client.parse_response(connection, "BLMPOP", **options)
            return reply
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            self._free_queues()
            return None
        except self.connection_errors:
            connection.disconnect()
            raise

    def _free_queues(self) -> None:
        keys = [self._q_for_pri(queue, step) for queue in self.active_queues for step in self.priority_steps]
        for name in DeadLetters(self._create_client()).free(keys):
            log.error("what stood in place of a queue is now %r, for a week", name)

    def set_aside(self, reason: str, key: str, raw: bytes) -> None:
        """Keep a message that no worker can run; the worker goes on even when that is not possible."""
        DeadLetters(self._create_client()).set_aside_or_tell(reason, key, raw)

    def fetch_again(self) -> None:
        """There is room for a message: whoever waits for messages is to ask for it."""
        if self.connection is not None and not self._in_poll:  # no connection: the channel is closed
            self.connection.cycle.wake()

    def stop_fetching(self) -> None:
        """End the fetch that is under way; what it has taken goes back."""
        connection, self._in_poll = self._in_poll, None
        if not connection:
            return
        reply = connection.can_read() and self.client.parse_response(connection, "BLMPOP")
        if reply:
            self._create_client().rpush(reply[0], *reversed(reply[1]))
        connection.disconnect()

    def give_back_noted(self, message: Any) -> None:
        """Put a message that is no job's back where it came from, as the next to be fetched."""
        self.qos.restore_by_tag(message.delivery_tag)
        virtual.QoS.ack(self.qos, message.delivery_tag)

    def give_back(self, messages: Sequence[Any]) -> None:
        """Put messages of jobs back where they came from, the first one as the next to be fetched."""
        if not messages:
            return
        by_key = defaultdict[str, list[str]](list)
        for message in reversed(messages):
            by_key[self.came_from(message)].append(dumps(message._raw))
        with self._create_client().pipeline() as pipe:
            for key, texts in by_key.items():
                pipe.rpush(key, *texts)  # in one: a fetch that is under way finds them in their order
            pipe.execute()
        for message in messages:
            virtual.QoS.ack(self.qos, message.delivery_tag)

    def came_from(self, message: Any) -> str:
        """The list in which the message was."""
        step = self._get_message_priority(message._raw, reverse=False)  # type: ignore[no-untyped-call]
        return self._q_for_pri(message.delivery_info["routing_key"], step)

    def _receive_one(self, client: Any) -> Any:
        try:
            return super()._receive_one(client)  # type: ignore[no-untyped-call]
        except RecursionError:
            log.warning("a broadcast is passed over: it is nested too deep")
            return None

    def _deliver_fanout_message(self, message: Any, exchange: str) -> bool:
        """A broadcast that kombu or Celery cannot read is passed over: it was for those who listened just then."""
        try:
            told = message["properties"]
            if not told["delivery_tag"] or not isinstance(told["delivery_info"]["routing_key"], str):
                raise ValueError("it has no delivery tag or routing key")
            super()._deliver_fanout_message(message, exchange)  # type: ignore[no-untyped-call]
        except (TypeError, AttributeError, ValueError, LookupError, KombuError) as error:
            log.warning("a broadcast on %r is passed over: %r", exchange, error)
        return True

    def _create_client(self, asynchronous: bool = False) -> Redis:
        """kombu makes a client for every operation, which is a third of what a fetch or an acknowledgement costs."""
        if asynchronous:
            client: Redis = super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
            return client
        if self._one_client is None or self._one_client.connection_pool is not self.pool:
            self._one_client = super()._create_client()  # type: ignore[no-untyped-call]
        return self._one_client

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("the channel has lost its connection")
        params: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[no-untyped-call]
        if not asynchronous:
            params["health_check_interval"] = 0  # it is for connections that listen; these ask and wait for an answer
            tls = issubclass(params["connection_class"], AttentiveSSLConnection)
            params["connection_class"] = WarySSLConnection if tls else WaryConnection
        return params


class Transport(redis.Transport):
    Channel = Channel

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        self.cycle: Any = Poller()  # type: ignore[no-untyped-call]

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        super().register_with_event_loop(connection, ToldOnce(loop))  # type: ignore[no-untyped-call]
