"""The worker half of FastAPI + taskiq: Redis as broker and result backend, one task that does nothing."""

import os

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

URL = os.environ["PEER_REDIS_URL"]

broker = RedisStreamBroker(URL).with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=3600))


@broker.task
async def noop() -> dict[str, object]:
    return {}
