"""The Celery half of the stock system: Redis as broker and result backend, one task that does nothing."""

import os

from celery import Celery

app = Celery("stock", broker=os.environ["STOCK_REDIS_URL"], backend=os.environ["STOCK_REDIS_URL"])


@app.task  # type: ignore[untyped-decorator]
def noop() -> dict[str, object]:
    return {}
