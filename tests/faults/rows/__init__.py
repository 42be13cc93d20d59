"""The rows of the matrix, one file each: what runs, what is broken, what must hold, and the twin that must not."""

from faults.outcome import Row
from faults.rows import (
    backlog,
    crash_points,
    crowds,
    full,
    network,
    poison,
    redis_kills,
    rolling_restarts,
    stale_writes,
    stock_kills,
    subscribers,
    waiters,
    web_kills,
    worker_kills,
)

_ROWS = (
    stock_kills.ROW,
    worker_kills.ROW,
    rolling_restarts.ROW,
    crash_points.ROW,
    web_kills.ROW,
    stale_writes.ROW,
    redis_kills.ROW,
    network.ROW,
    subscribers.ROW,
    waiters.ROW,
    full.ROW,
    poison.ROW,
    backlog.ROW,
    crowds.ROW,
)
ROWS: dict[str, Row] = {row.number: row for row in _ROWS}
SHORT = ["1", "6", "9", "10"]
"""What `make check` runs."""
