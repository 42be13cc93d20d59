"""Kinds of fields that marshmallow reads more loosely than we do, or whose mistakes it tells elsewhere."""

import re
from typing import Any

from marshmallow import ValidationError, fields

from app.prefer import parse_wait_text


class Seconds(fields.Float):
    """A span in a JSON body: a number of at least 0, not text and not a truth value."""

    unit = "seconds"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError(f"Not a number of {self.unit}.")
        if value < 0:
            raise ValidationError("Must be at least 0.")
        return float(value)


class Milliseconds(Seconds):
    unit = "milliseconds"


class Flag(fields.Boolean):
    """A truth value of JSON: not a number and not text."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Not true or false.")
        return value


class WaitText(fields.Field[float]):
    """A wait in a query: plain decimal digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        try:
            return parse_wait_text(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class NumberText(fields.Integer):
    """A whole number in a query: plain decimal digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not re.fullmatch("[0-9]{1,9}", value):
            raise ValidationError("Not a whole number, such as 50.")
        return int(value)


class Tags(fields.Dict):
    """A field whose mistakes are told where they are: marshmallow has them one level deeper, at "key" and "value"."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        except ValidationError as error:
            if not isinstance(error.messages, dict):
                raise
            flat = {
                name: [text for texts in parts.values() for text in texts] for name, parts in error.messages.items()
            }
            raise ValidationError(flat) from error


class Timestamp(fields.AwareDateTime):
    """An RFC 3339 time in a query; microseconds since 1970 after loading."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        at = super()._deserialize(value, attr, data, **kwargs)
        try:
            return int(at.timestamp() * 1_000_000)
        except (OverflowError, ValueError) as error:
            raise ValidationError("Not a time that can be looked for.") from error
