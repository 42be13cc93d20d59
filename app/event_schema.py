"""The shape of an event, wherever it is told (CloudEvents 1.0, structured JSON)."""

from marshmallow import INCLUDE, Schema, fields, validate

from app.schemas import JobErrorSchema, ProgressSchema
from jobs.model.event import NAMES, type_of
from jobs.model.status import Status

_STATUSES = [str(status) for status in Status]


class EventDataSchema(Schema):
    """What has changed."""

    class Meta:
        unknown = INCLUDE

    job_id = fields.String(required=True)
    job_type = fields.String(required=True)
    owner = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(_STATUSES))
    old_status = fields.String(required=True, allow_none=True, validate=validate.OneOf(_STATUSES))
    attempt = fields.Integer(required=True)
    progress = fields.Nested(ProgressSchema)
    duration = fields.Float(metadata={"description": "Seconds."})
    payload_uri = fields.String(metadata={"description": "Where the result is."})
    error = fields.Nested(JobErrorSchema)
    batch_id = fields.String(metadata={"description": "The batch of the job, or the one that has ended."})
    total = fields.Integer(metadata={"description": "How many jobs the batch has."})
    counts = fields.Dict(
        keys=fields.String(validate=validate.OneOf(_STATUSES)),
        values=fields.Integer(),
        metadata={"description": "How many of them ended in which way."},
    )


class EventSchema(Schema):
    """One change of one job. Later versions may say more: ignore what you do not know."""

    class Meta:
        unknown = INCLUDE

    specversion = fields.String(required=True, validate=validate.Equal("1.0"))
    id = fields.String(required=True, metadata={"description": "`<job id>:<sequence>`"})
    source = fields.String(required=True, metadata={"example": "/jobs"})
    type = fields.String(required=True, validate=validate.OneOf([type_of(name) for name in NAMES]))
    subject = fields.String(required=True, metadata={"description": "The job's id."})
    time = fields.AwareDateTime(required=True)
    datacontenttype = fields.String(required=True)
    owner = fields.String(required=True)
    sequence = fields.Integer(required=True, metadata={"description": "Counts the events of a job."})
    traceparent = fields.String(required=True)
    data = fields.Nested(EventDataSchema, required=True)
