"""The shapes of the seed's own endpoints."""

from marshmallow import Schema, fields

from app.fields import Milliseconds
from app.schemas import OWNER_RULE


class SeedStartSchema(Schema):
    """A submit in the seed's words."""

    owner = fields.String(load_default="anonymous", validate=OWNER_RULE)
    parameters = fields.Dict(load_default=dict)


class SeedStartWithTimeoutSchema(SeedStartSchema):
    initial_timeout = Milliseconds(
        data_key="initialTimeout",
        load_default=0.0,
        metadata={"description": "Milliseconds to wait for the end.", "minimum": 0},
    )


class SeedGetQuerySchema(Schema):
    job_id = fields.String(required=True, data_key="jobId")


class SeedJobSchema(Schema):
    job_id = fields.UUID(required=True, data_key="jobId")
    owner = fields.String(required=True)
    status = fields.String(required=True)
    parameters = fields.Dict(required=True)
