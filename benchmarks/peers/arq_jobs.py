"""The worker half of FastAPI + arq: one job that does nothing."""

import os
from typing import Any, ClassVar

from arq.connections import RedisSettings

REDIS = RedisSettings.from_dsn(os.environ["PEER_REDIS_URL"])


async def noop(context: dict[str, Any]) -> dict[str, object]:
    return {}


class WorkerSettings:
    functions: ClassVar = [noop]
    redis_settings = REDIS
    poll_delay = 0.002  # with its default of 0.5 s, nothing but that would be measured
