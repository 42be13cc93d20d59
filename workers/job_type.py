"""``@job``: how a plain function becomes a job type."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import EXCLUDE, INCLUDE, RAISE, Schema

from jobs.job_types import JobTypeInfo


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

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def load(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters as the function gets them.

        Raises:
            marshmallow.ValidationError: they do not fit the schema.
        """
        loaded: dict[str, Any] = _instance(self.schema).load(parameters)
        return loaded

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
    max_attempts: int = 3,
) -> Callable[[Callable[..., Any]], JobType]:
    """Make the decorated function a job type.

    The function is called with the running job (``workers.job.Job``) and the parameters, loaded by ``schema``, as
    keyword arguments; what it returns is the result. Without a schema the type takes no parameters. Limits are in
    seconds: past the soft one ``SoftTimeLimitExceeded`` is raised in the function, past the hard one its process ends.

    Raises:
        ValueError: the name or a limit is wrong.
    """
    if not name or len(name) > 100 or not all(c.isascii() and (c.isalnum() or c in "_.-") for c in name):
        raise ValueError(f"job type {name!r}: a name is 1 to 100 of A-Z a-z 0-9 _ . -")
    if max_attempts < 1:
        raise ValueError(f"job type {name!r}: max_attempts is {max_attempts}, at least 1 is needed")

    def decorate(function: Callable[..., Any]) -> JobType:
        return JobType(
            name=name,
            function=function,
            schema=schema or Schema,
            queue=queue,
            time_limit=time_limit,
            soft_time_limit=soft_time_limit,
            max_attempts=max_attempts,
        )

    return decorate


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
