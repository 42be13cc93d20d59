"""What is stored, seen from Redis."""

from redis import Redis

from jobs.model.keys import KEYS
from jobs.model.status import Status


def job_ids(redis: Redis) -> list[str]:
    """The ids of all jobs, as the list of all jobs finds them."""
    with redis.pipeline(transaction=True) as pipe:
        for status in Status:
            pipe.zrange(KEYS.index_of_status(status), 0, -1)
        return [job_id for ids in pipe.execute() for job_id in ids]
