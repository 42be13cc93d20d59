"""Whether stored jobs slow anything down: the same calls on a server with none, and with very many.

The store is filled by copying one job that really ran: its record and every index entry, under new ids.
"""

import json
import time
from collections.abc import Callable
from http.client import HTTPConnection
from statistics import median

from redis import Redis

from benchmarks.systems import HOST, QUICK_JOB, BenchmarkError, Ours
from jobs.keys import KEYS
from jobs.status import Status

AT_ONCE = 2_000
CALLS = 400
REWRITTEN_WITHIN = 60.0
FILL = """
local fields, owner, type, status, n = redis.call('HGETALL', KEYS[1]), ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local created = tonumber(redis.call('HGET', KEYS[1], 'created_at'))
for i = n, n + tonumber(ARGV[5]) - 1 do
  local id = string.format('00000000-0000-4000-8000-%012x', i)
  local score = string.format('%.0f', created - i)
  redis.call('HSET', KEYS[2] .. id, unpack(fields))
  redis.call('PEXPIRE', KEYS[2] .. id, 604800000)
  for k = 3, 6 do redis.call('ZADD', KEYS[k], score, id) end
  redis.call('ZADD', KEYS[7], score + 604800000000, cjson.encode({id, owner, type, status, '{}'}))
end
"""


def measure(system: Ours, stored: int, tell: Callable[[str], None]) -> str:
    """A table: milliseconds of each call with no other job stored and with ``stored``, and what a stored job costs."""
    before = _calls(system)
    with Redis.from_url(system.redis_url, decode_responses=True) as redis:
        used = redis.info("memory")["used_memory"]
        _fill(redis, stored, tell)
        each = (redis.info("memory")["used_memory"] - used) / stored
        _wait_for_rewrite(redis)
    after = _calls(system)
    lines = [f"| call, median ms | no job stored | {stored:,} stored | ratio |", "|---|---:|---:|---:|"]
    for name, few in before.items():
        lines.append(f"| {name} | {few:.2f} | {after[name]:.2f} | {after[name] / few:.2f} |")
    return "\n".join([*lines, "", f"A stored no-op job takes {each:,.0f} bytes of Redis, without its events."])


def _fill(redis: Redis, stored: int, tell: Callable[[str], None]) -> None:
    newest: list[str] = redis.zrevrange(KEYS.index, 0, 0)
    document = redis.hgetall(KEYS.record(newest[0]))
    owner, job_type = document["owner"], document["type"]
    if document["status"] != Status.COMPLETED:
        raise BenchmarkError("the job that is to be copied has not ended")
    indexes = [KEYS.index, KEYS.index_of_owner(owner), KEYS.index_of_type(job_type)]
    keys = [KEYS.record(newest[0]), KEYS.record(""), *indexes, KEYS.index_of_status(Status.COMPLETED), KEYS.expiry]
    script = redis.register_script(FILL)
    for start in range(0, stored, AT_ONCE):
        script(keys, [owner, job_type, str(Status.COMPLETED), start, min(AT_ONCE, stored - start)])
    tell(f"growth: {stored} jobs stored")


def _wait_for_rewrite(redis: Redis) -> None:
    """The append-only file is rewritten after so much writing, and what we measure is not that."""
    deadline = time.monotonic() + REWRITTEN_WITHIN
    while redis.info("persistence")["aof_rewrite_in_progress"] and time.monotonic() < deadline:
        time.sleep(0.5)


def _calls(system: Ours) -> dict[str, float]:
    connection = HTTPConnection(HOST, system.port, timeout=30)
    try:
        document = json.loads(_call(connection, "POST", "/jobs", QUICK_JOB)[1])
        one = f"/jobs/{document['id']}"
        calls: dict[str, tuple[str, str, bytes | None]] = {
            "submit, 202": ("POST", "/jobs", b'{"type":"demo.noop"}'),
            "submit and wait, 200": ("POST", "/jobs", QUICK_JOB),
            "get a job": ("GET", one, None),
            "list, newest 50": ("GET", "/jobs", None),
            "list of an owner and a status": ("GET", "/jobs?owner=anonymous&status=Completed&limit=50", None),
        }
        return {name: _median(connection, *call) for name, call in calls.items()}
    finally:
        connection.close()


def _median(connection: HTTPConnection, method: str, path: str, body: bytes | None) -> float:
    took = []
    for _ in range(CALLS):
        began = time.perf_counter()
        _call(connection, method, path, body)
        took.append(1000 * (time.perf_counter() - began))
    return median(took)


def _call(connection: HTTPConnection, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status not in {200, 202}:
        raise BenchmarkError(f"{method} {path}: {answer.status} {text[:200]!r}")
    return answer.status, text
