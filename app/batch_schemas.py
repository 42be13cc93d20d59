"""The shapes of batches."""

from marshmallow import Schema, fields, validate

from app.fields import NumberText
from app.schemas import AskedSchema, ProgressSchema, WorkSchema
from jobs.model.status import Status
from jobs.store.batch import MOST_JOBS


class BatchSubmitSchema(AskedSchema):
    """A submit of many jobs at once: all of them are accepted, or none."""

    jobs = fields.List(fields.Nested(WorkSchema), required=True, validate=validate.Length(1, MOST_JOBS))


class BatchJobsQuerySchema(Schema):
    limit = NumberText(load_default=50, validate=validate.Range(1, 200))
    after = NumberText(
        load_default=0, validate=validate.Range(0, MOST_JOBS), metadata={"description": "How many to pass over."}
    )


class CountsSchema(Schema):
    """How many of its jobs are in which status."""

    New = fields.Integer(required=True)
    InProgress = fields.Integer(required=True)
    Completed = fields.Integer(required=True)
    Failed = fields.Integer(required=True)
    Cancelled = fields.Integer(required=True)


class BatchLinksSchema(Schema):
    self = fields.URL(required=True)
    jobs = fields.URL(required=True)
    events = fields.URL(required=True)


class BatchSchema(Schema):
    """A batch: Completed once all of its jobs have ended, whatever became of them; the counts say what did."""

    id = fields.UUID(required=True)
    owner = fields.String(required=True)
    status = fields.String(
        required=True, validate=validate.OneOf([str(s) for s in (Status.NEW, Status.IN_PROGRESS, Status.COMPLETED)])
    )
    total = fields.Integer(required=True)
    counts = fields.Nested(CountsSchema, required=True)
    progress = fields.Nested(ProgressSchema, required=True, metadata={"description": "How many have ended."})
    created_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    expires_at = fields.AwareDateTime(required=True, allow_none=True)
    links = fields.Nested(BatchLinksSchema, required=True)
    jobs = fields.List(
        fields.UUID(), metadata={"description": "Their ids, in the order of the submit, which this answers."}
    )
