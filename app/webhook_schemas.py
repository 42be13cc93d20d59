"""The shapes of standing webhooks."""

from marshmallow import Schema, fields, validate

from app.schemas import OWNER_RULE, CallbackSchema
from jobs.model.callback import USUAL_EVENTS
from jobs.model.event import NAMES
from jobs.webhooks.registry import ACTIVE, DISABLED


class AddWebhookSchema(CallbackSchema):
    """Who is told of the events of many jobs."""

    owner = fields.String(validate=OWNER_RULE, metadata={"description": "Whose jobs; everybody's, unless it says."})
    events = fields.List(
        fields.String(validate=validate.OneOf(NAMES)),
        load_default=list(USUAL_EVENTS),
        validate=validate.Length(1, len(NAMES)),
        metadata={"description": "Which events; how each job ended, unless it says."},
    )


class WebhookSchema(Schema):
    """A standing webhook."""

    id = fields.UUID(required=True)
    url = fields.String(required=True)
    owner = fields.String(required=True, allow_none=True)
    events = fields.List(fields.String(validate=validate.OneOf(NAMES)), required=True)
    created_at = fields.AwareDateTime(required=True)
    status = fields.String(
        required=True,
        validate=validate.OneOf([ACTIVE, DISABLED]),
        metadata={"description": "Disabled: its receiver answered 410, and is told nothing more."},
    )
