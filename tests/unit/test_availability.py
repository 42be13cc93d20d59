"""Whatever goes wrong with Redis is told as one of two errors."""

import pytest
from redis import exceptions

from jobs.connections.availability import available
from jobs.errors import StoreRefused, StoreUnavailable


@pytest.mark.parametrize(
    "error",
    [
        exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        exceptions.BusyLoadingError("Redis is loading the dataset in memory"),
        exceptions.ReadOnlyError("You can't write against a read only replica."),
        exceptions.TimeoutError("Timeout reading from socket"),
        exceptions.ConnectionError("Connection closed by server."),
        exceptions.AuthenticationError("invalid username-password pair"),
        exceptions.ResponseError("MISCONF Errors writing to the AOF file"),
        exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."),
        exceptions.MasterDownError("Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
        exceptions.ResponseError("BUSY Redis is busy running a script."),
        exceptions.InvalidResponse('Protocol error, got "H" as reply type byte'),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_to_be_tried_again(error: Exception) -> None:
    with pytest.raises(StoreUnavailable) as told, available():
        raise error
    assert not isinstance(told.value, StoreRefused)
    assert told.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        exceptions.NoPermissionError("this user has no permissions to run the 'evalsha' command"),
        exceptions.ResponseError("ERR ACL failure in script: User x has no permissions to run the 'xadd' command"),
        exceptions.ResponseError("BUSYGROUP Consumer Group name already exists"),
        exceptions.DataError("Invalid input of type: 'NoneType'."),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_would_come_again_is_refused(error: Exception) -> None:
    with pytest.raises(StoreRefused) as told, available():
        raise error
    assert str(error) in told.value.refusal
    assert told.value.__cause__ is error


def test_what_is_not_of_redis_passes() -> None:
    with pytest.raises(ValueError, match="a bug"), available():
        raise ValueError("a bug")
