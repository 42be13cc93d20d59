"""The end of Redis's append-only file, and losing it: as when Redis is killed while it syncs, or the power fails."""

import os
from pathlib import Path
from uuid import uuid4

from redis import Redis

from launch.redis_server import RedisServer


def written(server: RedisServer) -> int:
    """How much there is of it so far, in bytes."""
    return _newest(server).stat().st_size


def marked(redis: Redis) -> str:
    """A mark that Redis writes after all that it has accepted so far."""
    mark = uuid4().hex
    redis.set("marked", mark)
    return mark


def end_of(server: RedisServer, mark: str) -> int:
    """Where the mark ends in the file; 0 until it is there: Redis holds back what it accepts while a sync goes on."""
    content = _newest(server).read_bytes()
    return content.rfind(mark.encode()) + len(mark) + len("\r\n") if mark.encode() in content else 0


def cut(server: RedisServer, size: int) -> int:
    """Lose what came after ``size`` bytes of it, while the server is down; how many bytes these were."""
    file = _newest(server)
    lost = file.stat().st_size - size
    os.truncate(file, size)
    return lost


def _newest(server: RedisServer) -> Path:
    files = (server.data_dir / "appendonlydir").glob("*.incr.aof")
    return max(files, key=lambda file: file.stat().st_mtime_ns)
