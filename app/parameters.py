"""Checking parameters at the door, against the JSON Schema that a worker announced."""

import json
import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any

import jsonschema_rs

from app.strict_json import pointer_to, without_its_tail
from jobs.errors import InvalidParameters
from jobs.store.job_types import JobTypeInfo

log = logging.getLogger(__name__)

MOST_ERRORS = 20


class ParameterRules:
    """Keeps one compiled validator for each announced schema."""

    def __init__(self) -> None:
        self._compiled: dict[str, tuple[dict[str, Any], Any]] = {}

    def check(self, info: JobTypeInfo, parameters: dict[str, Any]) -> None:
        """Do nothing if the parameters fit.

        Raises:
            InvalidParameters: with the JSON pointer of each broken rule, 20 at most.
        """
        validator = self._validator(info)
        if not validator.is_valid(parameters):
            found = (place for error in validator.iter_errors(parameters) for place in _places(error))
            told = islice(found, MOST_ERRORS)
            errors = [(without_its_tail(f"/parameters{pointer_to(path)}"), what) for path, what in told]
            raise InvalidParameters(info.name, errors)

    def _validator(self, info: JobTypeInfo) -> Any:
        schema, validator = self._compiled.get(info.name, (None, None))
        if schema is not info.parameters:
            validator = _compiled(info)
            self._compiled[info.name] = (info.parameters, validator)
        return validator


def _compiled(info: JobTypeInfo) -> Any:
    """A schema that this validator does not understand (it may hold an expression of Python's own) lets all pass: the
    worker checks the parameters again, with the schema itself.
    """
    try:
        return jsonschema_rs.Draft202012Validator(info.parameters, validate_formats=True)
    except ValueError as error:
        log.warning("the parameters of %s are not checked here: %s", info.name, shortened(str(error)))
        return jsonschema_rs.Draft202012Validator(True)


def _places(error: Any) -> Iterator[tuple[list[str | int], str]]:
    """Where it is, and what: a field that is missing or unknown is told at its own place, as those of a body are."""
    path, kind = list(error.instance_path), error.kind
    match kind.name:
        case "required":
            yield [*path, kind.property], say(error)
        case "additionalProperties":
            yield from (([*path, name], "Unknown field.") for name in kind.unexpected)
        case _:
            yield path, say(error)


def say(error: Any) -> str:
    """The validator's message, without repeating more than a little of what was sent."""
    return shortened(str(error.message))


def shortened(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:100]} … {message[-60:]}"


def as_json(parameters: dict[str, Any]) -> str:
    """The text that is stored: what was sent, compactly."""
    return json.dumps(parameters, ensure_ascii=False, separators=(",", ":"))
