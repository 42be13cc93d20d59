"""The end of Redis's append-only file, and losing it: as when Redis is killed while it syncs, or the power fails."""

import os
from pathlib import Path

from launch.redis_server import RedisServer


def written(server: RedisServer) -> int:
    """How much there is of it so far, in bytes."""
    return _newest(server).stat().st_size


def cut(server: RedisServer, size: int) -> int:
    """Lose what came after ``size`` bytes of it, while the server is down; how many bytes these were."""
    file = _newest(server)
    lost = file.stat().st_size - size
    os.truncate(file, size)
    return lost


def _newest(server: RedisServer) -> Path:
    files = (server.data_dir / "appendonlydir").glob("*.incr.aof")
    return max(files, key=lambda file: file.stat().st_mtime_ns)
