"""``@job``: how a plain function becomes a job type."""

import inspect
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import EXCLUDE, INCLUDE, RAISE, Schema

from jobs.store.job_types import AT_LEAST_0, USUAL_ATTEMPTS, JobTypeInfo, is_seconds, require


@dataclass(frozen=True, slots=True, kw_only=True)
class JobType:
    """A job function with what the outside must know of it. Calling it calls the function."""

    name: str
    function: Callable[..., Any]
    schema: type[Schema]
    queue: str
    time_limit: float | None
    soft_time_limit: float | None
    max_attempts: int
    autoretry_for: tuple[type[Exception], ...]
    dont_autoretry_for: tuple[type[Exception], ...]
    retry_backoff: float
    retry_backoff_max: float
    retry_jitter: bool

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def load(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters as the function gets them.

        Raises:
            marshmallow.ValidationError: they do not fit the schema.
        """
        loaded: dict[str, Any] = _instance(self.schema).load(parameters)
        return loaded

    def retries(self, error: BaseException) -> bool:
        """Whether ``error`` is worth another attempt, whatever it says itself."""
        return isinstance(error, self.autoretry_for) and not isinstance(error, (*self.dont_autoretry_for, MemoryError))

    def retry_delay(self, attempt: int) -> float:
        """Seconds between the end of that attempt and the next: doubled each time, and half of it by chance."""
        delay = min(self.retry_backoff * 2.0 ** min(attempt - 1, 60), self.retry_backoff_max)
        return random.uniform(delay / 2, delay) if self.retry_jitter else delay  # noqa: S311

    def info(self) -> JobTypeInfo:
        """What a worker announces."""
        return JobTypeInfo(
            name=self.name,
            description=inspect.getdoc(self.function) or "",
            parameters=json_schema(self.schema()),
            queue=self.queue,
            time_limit=self.time_limit,
            soft_time_limit=self.soft_time_limit,
            max_attempts=self.max_attempts,
        )


def job(
    name: str,
    *,
    schema: type[Schema] | None = None,
    queue: str = "default",
    time_limit: float | None = 3900,
    soft_time_limit: float | None = None,
    max_attempts: int = USUAL_ATTEMPTS,
    autoretry_for: tuple[type[Exception], ...] = (ConnectionError, TimeoutError),
    dont_autoretry_for: tuple[type[Exception], ...] = (),
    retry_backoff: float = 1.0,
    retry_backoff_max: float = 600.0,
    retry_jitter: bool = True,
) -> Callable[[Callable[..., Any]], JobType]:
    """Make the decorated function a job type.

    The function is called with the running job (``workers.job.Job``) and the parameters, loaded by ``schema``, as
    keyword arguments; what it returns is the result. Without a schema the type takes no parameters. Limits are in
    seconds: past the soft one ``SoftTimeLimitExceeded`` is raised in the function, past the hard one its process ends.

    A job runs up to ``max_attempts`` times: again at once when its process died, and after a pause when the function
    raised ``JobError(..., retryable=True)`` or one of ``autoretry_for`` that is none of ``dont_autoretry_for`` (the
    names are Celery's). The pause is ``retry_backoff`` seconds, doubled with each attempt up to ``retry_backoff_max``;
    with ``retry_jitter`` half of it is left to chance.

    Raises:
        ValueError: the name, the schema, the queue, a limit or a pause is wrong, or the function's first parameter has
            the name of a field; it says what would be right.
    """
    try:
        JobTypeInfo(
            name, queue=queue, time_limit=time_limit, soft_time_limit=soft_time_limit, max_attempts=max_attempts
        )
        if time_limit is not None and soft_time_limit is not None:  # the pool looks at the hard one first
            is_less = soft_time_limit < time_limit
            require("soft_time_limit", soft_time_limit, is_less, f"less than time_limit, which is {time_limit:g}")
        is_schema = schema is None or (isinstance(schema, type) and issubclass(schema, Schema))
        require("schema", schema, is_schema, "a class of marshmallow's Schema")
        require("retry_backoff", retry_backoff, is_seconds(retry_backoff), AT_LEAST_0)
        require("retry_backoff_max", retry_backoff_max, is_seconds(retry_backoff_max), AT_LEAST_0)
    except ValueError as error:
        raise ValueError(f"job type {name!r}: {error}") from None

    def decorate(function: Callable[..., Any]) -> JobType:
        _check_first_parameter(name, function, schema or Schema)
        return JobType(
            name=name,
            function=function,
            schema=schema or Schema,
            queue=queue,
            time_limit=time_limit,
            soft_time_limit=soft_time_limit,
            max_attempts=max_attempts,
            autoretry_for=autoretry_for,
            dont_autoretry_for=dont_autoretry_for,
            retry_backoff=retry_backoff,
            retry_backoff_max=retry_backoff_max,
            retry_jitter=retry_jitter,
        )

    return decorate


def _check_first_parameter(name: str, function: Callable[..., Any], schema: type[Schema]) -> None:
    """It is given the running job: a field of its name would be a second value for it, in each call."""
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.kind is not first.POSITIONAL_OR_KEYWORD:
        return
    if first.name in {field.attribute or field_name for field_name, field in schema().load_fields.items()}:
        raise ValueError(
            f"job type {name!r}: a field of its schema is named {first.name!r}, as is the function's first parameter, "
            "which is the running job: give that one another name, or put a / behind it"
        )


@cache
def _instance(schema: type[Schema]) -> Schema:
    """Making one costs more than loading with it."""
    return schema()


def _no_name(_: object) -> str:
    """apispec writes a nested schema in place when it has no name."""
    return ""


def json_schema(schema: Schema) -> dict[str, Any]:
    """A marshmallow schema as JSON Schema, everything nested written in place."""
    plugin = MarshmallowPlugin(schema_name_resolver=_no_name)
    APISpec("", "", "3.1.0", plugins=[plugin])
    assert plugin.converter is not None
    described: dict[str, Any] = plugin.converter.schema2jsonschema(schema)
    described.setdefault("type", "object")
    described["additionalProperties"] = {RAISE: False, EXCLUDE: True, INCLUDE: True}[schema.unknown]
    return described
