"""A Celery app with Redis as broker and result backend, all else at its defaults."""

import os

from celery import Celery

app = Celery("stock", broker=os.environ["STOCK_REDIS_URL"], backend=os.environ["STOCK_REDIS_URL"])


@app.task
def noop(parameters):
    return parameters
