"""What we depend on inside Celery and kombu, pinned: a change of theirs fails here and not in production."""

import base64
import json
import re
import socket
import time
from typing import Any
from uuid import uuid4

from kombu.transport.redis import Channel as KombuChannel
from redis import Redis
from support.eventually import eventually

from jobs.celery_app import JobsCelery
from jobs.connections.client import connect
from jobs.messages.queue import Queue
from jobs.model.priority import queue_key
from jobs.model.submission import Submission
from launch.redis_server import RedisServer


def taken(redis: Redis, key: str) -> dict[str, object]:
    text = redis.rpop(key)
    assert text is not None
    message: dict[str, object] = json.loads(text)
    message["body"] = json.loads(base64.b64decode(str(message["body"])))
    return message


def submission(queue: str, **more: Any) -> Submission:
    given = {"type": "t", "owner": "me", "parameters_json": "{}", "max_attempts": 1, "queue": queue, **more}
    return Submission(**given)


def test_our_message_is_what_celery_itself_would_send(celery: JobsCelery, redis: Redis) -> None:
    queue, job_id = f"contract-{uuid4().hex[:8]}", str(uuid4())
    celery.send_task("t", task_id=job_id, queue=queue, headers={"owner": "me"}, ignore_result=False)
    theirs = taken(redis, queue)
    assert queue_key(queue, 5) == queue
    redis.lpush(queue, Queue(celery).message(submission(queue, id=job_id)))
    ours = taken(redis, queue)
    tags = [m["properties"].pop("delivery_tag") for m in (ours, theirs)]  # type: ignore[attr-defined]
    assert all(re.fullmatch(r"[0-9a-f-]{36}", tag) for tag in tags)
    for message_ in (ours, theirs):
        assert message_["headers"].pop("origin")  # type: ignore[attr-defined]
    theirs["properties"]["delivery_info"]["exchange"] = ""  # type: ignore[index]  # ours goes to the queue itself
    theirs["properties"]["reply_to"] = ""  # type: ignore[index]  # of the rpc backend, which we do not use
    assert ours == theirs


def test_a_priority_has_the_list_that_kombu_looks_into(celery: JobsCelery, redis: Redis) -> None:
    queue = f"contract-{uuid4().hex[:8]}"
    with celery.connection_for_write() as connection, connection.channel() as channel:
        expected = [queue_key(queue, priority) for priority in range(9, -1, -1)]
        assert [channel._q_for_pri(queue, step) for step in channel.priority_steps] == expected
        for key in expected:
            assert key.rsplit(channel.sep, 1)[0] == queue
    celery.send_task("t", queue=queue)
    celery.send_task("t", queue=queue, priority=2)
    assert taken(redis, queue)
    assert taken(redis, queue_key(queue, 7))


def test_a_job_of_priority_9_overtakes_those_that_wait(service: object, celery: JobsCelery, redis: Redis) -> None:
    queue = f"contract-{uuid4().hex[:8]}"
    builder = Queue(celery)
    for priority in (5, 5, 1, 9, 7):
        job = submission(queue, type=f"p{priority}", priority=priority)
        redis.lpush(queue_key(queue, priority), builder.message(job))
    order = []
    with celery.connection_for_read() as connection, connection.SimpleQueue(queue) as simple:
        for _ in range(5):
            received = simple.get(timeout=3)
            order.append(received.headers["task"])
            received.ack()
    assert order == ["p9", "p7", "p5", "p5", "p1"]


def test_the_backend_is_one_for_the_whole_process(celery: JobsCelery) -> None:
    import threading

    backends: list[object] = []
    thread = threading.Thread(target=lambda: backends.append(celery.backend))
    thread.start()
    thread.join()
    assert backends == [celery.backend]


def test_only_json_is_accepted(celery: JobsCelery) -> None:
    assert celery.conf.accept_content == ["json"]
    assert celery.conf.result_accept_content is None


def test_a_connection_that_is_handed_out_knows_whether_something_came_unasked(redis_server: RedisServer) -> None:
    client = connect(redis_server.url)
    connection = client.connection_pool.get_connection()
    connection.send_command("PING")
    connection.read_response()
    assert not connection.can_read()
    client.client_kill_filter(_id=_own_id(connection))
    eventually(connection.can_read)
    connection.disconnect()
    client.connection_pool.release(connection)
    client.close()


def test_a_default_timeout_of_sockets_holds_up_nobody(redis_server: RedisServer) -> None:
    """Celery sets one while a worker ends."""
    client = connect(redis_server.url)
    client.ping()
    socket.setdefaulttimeout(5)
    try:
        began = time.monotonic()
        client.ping()
        assert time.monotonic() - began < 4
    finally:
        socket.setdefaulttimeout(None)
        client.close()


def test_a_job_s_message_is_not_noted_and_comes_back_when_its_channel_closes(celery: JobsCelery, redis: Redis) -> None:
    queue = f"contract-{uuid4().hex[:8]}"
    redis.lpush(queue, Queue(celery).message(submission(queue)))
    with celery.connection_for_read() as connection:
        simple = connection.SimpleQueue(queue)
        assert simple.get(timeout=3)
        assert (redis.llen(queue), redis.hlen("unacked")) == (0, 0)
    assert redis.llen(queue) == 1


def _own_id(connection: Any) -> int:
    connection.send_command("CLIENT", "ID")
    return int(connection.read_response())


def test_a_job_s_message_may_be_acknowledged_when_its_channel_is_closed(celery: JobsCelery, redis: Redis) -> None:
    """A worker that has lost its connection does so with the jobs that ran meanwhile."""
    queue = f"contract-{uuid4().hex[:8]}"
    redis.lpush(queue, Queue(celery).message(submission(queue)))
    with celery.connection_for_read() as connection:
        received = connection.SimpleQueue(queue).get(timeout=3)
    assert received.channel.connection is None
    received.ack()


def test_a_fetch_is_the_command_that_kombu_itself_would_send(celery: JobsCelery) -> None:
    class Recording:
        is_suspect = False

        def __init__(self, connection: Any) -> None:
            self._connection, self.sent = connection, list[Any]()
            self.pack_command = connection.pack_command

        def send_packed_command(self, packed: Any) -> None:
            self.sent.append(packed)

        def send_command(self, *command: Any) -> None:
            self.sent.append(self.pack_command(*command))

    with celery.connection_for_write() as connection, connection.channel() as channel:
        channel._active_queues = ["one", "two"]
        channel._update_queue_cycle()
        channel.client.connection = channel.client.connection_pool.get_connection()
        recording = channel.client.connection = Recording(channel.client.connection)
        for room in (1, 3):
            channel.qos.prefetch_count = room
            channel._brpop_start()
            before, channel._in_poll, channel._brpop_sent_at = channel._in_poll, None, None
            KombuChannel._brpop_start(channel)
            assert channel._in_poll is before is recording
            assert channel._brpop_sent_at
            ours, theirs = (list(sent[0].split(b"\r\n")[2::2]) for sent in recording.sent[-2:])
            command, timeout, count, *keys, end, word, most = ours
            assert (b"BRPOP", *keys, timeout) == tuple(theirs)
            assert (command, int(count), end, word, int(most)) == (b"BLMPOP", len(keys), b"RIGHT", b"COUNT", room)
            channel._queue_cycle.rotate("one")
        assert recording.sent[0] != recording.sent[-1]
        channel.client.connection, channel._in_poll = recording._connection, None
