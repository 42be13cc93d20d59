"""Which connections of a process listen to a pattern, as Redis sees it; others come and go meanwhile."""

import psutil
from redis import Redis


def listening(redis: Redis, pid: int) -> list[str]:
    """The ids of the connections."""
    ports = {str(each.laddr.port) for each in psutil.Process(pid).net_connections() if each.laddr}
    clients = redis.client_list(_type="pubsub")
    return [each["id"] for each in clients if each["psub"] != "0" and each["addr"].rpartition(":")[2] in ports]
