"""Job types of known lengths, for measuring what Retry-After is worth."""

import time

from marshmallow import Schema, fields, validate

from workers import Job, job


class Length(Schema):
    seconds = fields.Float(required=True, validate=validate.Range(0, 600))


def _sleep(job: Job, seconds: float) -> None:
    """Take that long."""
    time.sleep(seconds)


steady = job("bench.steady", schema=Length)(_sleep)
mixed = job("bench.mixed", schema=Length)(_sleep)
