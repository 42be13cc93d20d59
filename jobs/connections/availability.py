"""What it means when Redis does not do what it is asked to."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    InvalidResponse,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from jobs.errors import StoreRefused, StoreUnavailable

log = logging.getLogger(__name__)

_WHERE_IN_SCRIPT = re.compile(r" script: [0-9a-f]{40}.*", re.DOTALL)
_MAY_PASS = {
    "MISCONF": "Redis cannot write to its disk",
    "NOREPLICAS": "Redis has too few replicas",
    "BUSY": "Redis is busy with a script",
}
"""What Redis answers, by its first word, that says nothing of what is asked."""


@contextmanager
def available() -> Iterator[None]:
    """Turn every way in which Redis, or what it holds, cannot be used into StoreUnavailable."""
    try:
        yield
    except OutOfMemoryError as error:
        raise StoreUnavailable("Redis is full (maxmemory)", retry_after=5) from error
    except BusyLoadingError as error:
        raise StoreUnavailable("Redis is loading its data") from error
    except ReadOnlyError as error:
        raise StoreUnavailable("Redis is a read-only replica") from error
    except MasterDownError as error:
        raise StoreUnavailable("Redis is a replica without its master") from error
    except TimeoutError as error:
        raise StoreUnavailable("Redis does not answer") from error
    except ConnectionError as error:
        raise StoreUnavailable("no connection to Redis") from error
    except InvalidResponse as error:
        raise StoreUnavailable("what answers is no Redis") from error
    except ResponseError as error:
        text = str(error)
        if (reason := _MAY_PASS.get(text.partition(" ")[0])) is not None:
            raise StoreUnavailable(reason, retry_after=5) from error
        log.error("Redis refuses: %s", text)
        raise StoreRefused(_WHERE_IN_SCRIPT.sub("", text)) from error
    except UnicodeDecodeError as error:
        log.error("Redis holds what is no text: %s", error)
        raise StoreRefused("it is no UTF-8") from error
    except RedisError as error:  # redis-py's own, before it asks: it would come again
        log.error("Redis is not asked: %r", error)
        raise StoreRefused(f"{type(error).__name__}: {error}") from error


def is_away(error: BaseException) -> bool:
    """Whether Redis may do later what it did not do now."""
    return isinstance(error, StoreUnavailable) and not isinstance(error, StoreRefused)
