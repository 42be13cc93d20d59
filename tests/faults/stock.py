"""Stock Celery with every reliability option that it has: what row "stock" kills. Run as ``celery -A faults.stock``."""

import os
import time

from celery import Celery
from redis import Redis

VISIBILITY_TIMEOUT = 10
"""Seconds; an hour is Celery's default, too long to wait for here."""

URL = os.environ.get("STOCK_REDIS_URL", "redis://127.0.0.1:1/0")

app = Celery("stock", broker=URL, backend=URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    result_expires=3600,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
)
redis = Redis.from_url(URL, decode_responses=True)


@app.task(bind=True, name="stock.work")
def work(self: object, seconds: float) -> None:
    """Take some time; note each start, who runs it, and each end."""
    job_id, pid = self.request.id, os.getpid()
    redis.pipeline().hset("faults:running", pid, job_id).rpush(f"faults:starts:{job_id}", time.time()).execute()
    time.sleep(seconds)
    redis.pipeline().hdel("faults:running", pid).hincrby("faults:ends", job_id).execute()
