"""The shapes of requests and answers: they check what comes in and describe what goes out."""

from marshmallow import Schema, ValidationError, fields, validate

from app.fields import Flag, NumberText, Seconds, Tags, Timestamp, WaitText
from jobs.model.callback import LONGEST_URL, USUAL_EVENTS, CallbackUrl
from jobs.model.event import NAMES, OF_JOBS
from jobs.model.status import Status
from jobs.names import OWNER

END = r"$(?!\n)"
"""The end of the text, for Python (whose ``$`` overlooks a last line break) and for readers of JSON Schema alike."""
OWNER_PATTERN = f"^{OWNER.regex}{END}"
UUID = rf"^[0-9A-Fa-f]{{8}}(-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}{END}"
MOST_TAGS = 16
LONGEST_DELAY = 366 * 86_400
"""Seconds."""
GAP = "gap"
"""What a stream of events calls a gap, in place of an event's name."""
TAG_NAME = rf"^[A-Za-z0-9_.-]{{1,64}}{END}"


def pattern(regex: str, what: str) -> validate.Regexp:
    return validate.Regexp(regex, error=f"Must be {what}.")


def _are_few(tags: dict[str, str]) -> None:
    """In place of ``Length``, which the document would show as that of a text."""
    if len(tags) > MOST_TAGS:
        raise ValidationError(f"Must be at most {MOST_TAGS}.")


OWNER_RULE = pattern(OWNER_PATTERN, OWNER.words)


class CallbackAddress(fields.String):
    """A URL that events are sent to."""

    def __init__(self) -> None:
        about = "http or https, without user, password and fragment; public, unless JOBS_WEBHOOK_ALLOW names it."
        super().__init__(
            required=True,
            validate=self._check,
            metadata={
                "format": "uri",
                "pattern": "^https?://",
                "maxLength": LONGEST_URL,
                "description": about,
                "example": "https://example.org/",
            },
        )

    @staticmethod
    def _check(text: str) -> None:
        try:
            CallbackUrl.from_text(text)
        except ValueError as error:
            raise ValidationError(str(error)) from error


class CallbackSchema(Schema):
    """Who is told of the job's events, by a signed POST of each (Standard Webhooks)."""

    url = CallbackAddress()
    events = fields.List(
        fields.String(validate=validate.OneOf(OF_JOBS)),
        load_default=list(USUAL_EVENTS),
        validate=validate.Length(1, len(OF_JOBS)),
        metadata={"description": "Which events; how the job ended, unless it says."},
    )


class WorkSchema(Schema):
    """A job: which type of it, with what."""

    type = fields.String(required=True, validate=validate.Length(1, 100), metadata={"example": "demo.random_delay"})
    parameters = fields.Dict(load_default=dict, metadata={"description": "Fit the type's schema: GET /job-types."})
    delay = Seconds(
        load_default=0.0,
        validate=validate.Range(max=LONGEST_DELAY),
        metadata={"description": "Seconds before which it must not run.", "minimum": 0},
    )
    priority = fields.Integer(
        strict=True, load_default=5, validate=validate.Range(0, 9), metadata={"description": "9 is the highest."}
    )
    tags = Tags(
        keys=fields.String(validate=pattern(TAG_NAME, "1 to 64 of A-Z a-z 0-9 _ . -")),
        values=fields.String(validate=validate.Length(0, 256)),
        load_default=dict,
        validate=_are_few,
        metadata={"maxProperties": MOST_TAGS},
    )
    callback = fields.Nested(CallbackSchema)


class AskedSchema(Schema):
    """What is said of a job, or of a batch, as a whole: for whom, how long to wait, under which id."""

    owner = fields.String(load_default="anonymous", validate=OWNER_RULE)
    wait = Seconds(metadata={"description": "Seconds to wait for the end, fractions too; clamped.", "minimum": 0})
    id = fields.String(
        validate=pattern(UUID, "a UUID"),
        metadata={"format": "uuid", "description": "An id of your own makes the submit repeatable."},
    )


class SubmitSchema(WorkSchema, AskedSchema):
    """A submit: which type of job, for whom, with what."""


class CancelSchema(Schema):
    """How to cancel; no body is as good as an empty object."""

    body_is_optional = True

    force = Flag(
        load_default=False,
        metadata={"description": "End the process that runs it; else the job is told at its next progress."},
    )


class WaitQuerySchema(Schema):
    wait = WaitText(metadata={"description": "Seconds to wait for the end, fractions too; clamped.", "type": "number"})


class EventsQuerySchema(Schema):
    owner = fields.String(validate=OWNER_RULE)
    type = fields.String(validate=validate.Length(1, 100), metadata={"description": "Of the jobs."})


class ServerSentEventSchema(Schema):
    """One event of a stream."""

    id = fields.String(required=True, metadata={"description": "Resume after it with Last-Event-ID."})
    event = fields.String(
        required=True,
        validate=validate.OneOf([*NAMES, GAP]),
        metadata={"description": "The last part of the CloudEvent's type; or `gap`: events are gone untold."},
    )
    data = fields.String(required=True, metadata={"description": "A CloudEvent as JSON; see Gap for a gap."})


class GapSchema(Schema):
    """Events between these entries of the stream may have been trimmed away before they were told."""

    after = fields.String(required=True, metadata={"description": "The last id that was told."})
    before = fields.String(
        required=True, allow_none=True, metadata={"description": "The first id that is left; null if none is."}
    )


class ListQuerySchema(Schema):
    owner = fields.String(validate=OWNER_RULE)
    status = fields.String(validate=validate.OneOf([str(s) for s in Status]))
    type = fields.String(validate=validate.Length(1, 100))
    created_after = Timestamp(format="iso", metadata={"description": "RFC 3339, with its offset or Z."})
    created_before = Timestamp(format="iso", metadata={"description": "RFC 3339, with its offset or Z."})
    tag = fields.List(
        fields.String(validate=pattern(rf"^[A-Za-z0-9_.-]{{1,64}}=[\s\S]{{0,256}}{END}", "name=value")),
        load_default=list,
        metadata={"description": "name=value; several must all be there."},
    )
    limit = NumberText(load_default=50, validate=validate.Range(1, 200))
    cursor = fields.String(metadata={"description": "From the Link of the page before."})


class ProgressSchema(Schema):
    percent = fields.Float(required=True, allow_none=True)
    current = fields.Float(required=True)
    total = fields.Float(required=True, allow_none=True)
    message = fields.String(required=True, allow_none=True)


class JobErrorSchema(Schema):
    type = fields.String(required=True)
    message = fields.String(required=True)
    retryable = fields.Boolean(required=True)


class LinksSchema(Schema):
    self = fields.URL(required=True)
    result = fields.URL(required=True)
    events = fields.URL(required=True)


class JobSchema(Schema):
    """The job document."""

    id = fields.UUID(required=True)
    type = fields.String(required=True)
    owner = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf([str(s) for s in Status]))
    parameters = fields.Dict(required=True)
    result = fields.Raw(required=True, allow_none=True)
    error = fields.Nested(JobErrorSchema, required=True, allow_none=True)
    progress = fields.Nested(ProgressSchema, required=True, allow_none=True)
    attempt = fields.Integer(required=True)
    max_attempts = fields.Integer(required=True)
    queue = fields.String(required=True)
    priority = fields.Integer(required=True)
    tags = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    created_at = fields.AwareDateTime(required=True)
    run_at = fields.AwareDateTime(required=True, allow_none=True)
    started_at = fields.AwareDateTime(required=True, allow_none=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    expires_at = fields.AwareDateTime(required=True, allow_none=True)
    duration = fields.Float(required=True, allow_none=True, metadata={"description": "Seconds."})
    links = fields.Nested(LinksSchema, required=True)


class JobTypeSchema(Schema):
    """A job type that a living worker announced."""

    name = fields.String(required=True)
    description = fields.String(required=True)
    parameters = fields.Dict(required=True, metadata={"description": "JSON Schema of the parameters."})
    queue = fields.String(required=True)
    time_limit = fields.Float(required=True, allow_none=True, metadata={"description": "Seconds."})
    soft_time_limit = fields.Float(required=True, allow_none=True, metadata={"description": "Seconds."})
    max_attempts = fields.Integer(required=True)
    expected_duration = fields.Float(
        required=True, allow_none=True, metadata={"description": "Seconds in which half of them ended."}
    )


class SubscriptionSchema(Schema):
    """A service that is told durably."""

    service = fields.String(required=True)
    owner = fields.String(required=True, allow_none=True, metadata={"description": "Whose events; null: everybody's."})
    stream = fields.String(required=True, metadata={"description": "The Redis key."})
    pending = fields.Integer(required=True, metadata={"description": "Events that a process has in hand."})
    lag = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Events not read yet; null where nobody can count."}
    )
    consumers = fields.Integer(required=True, metadata={"description": "Living processes."})
    dead_letters = fields.Integer(required=True)
    last_seen_at = fields.AwareDateTime(required=True)
    last_delivered_id = fields.String(required=True)


class HealthSchema(Schema):
    status = fields.String(required=True)


class FieldErrorSchema(Schema):
    pointer = fields.String(required=True, metadata={"description": "JSON pointer, or the name of a header or query."})
    detail = fields.String(required=True)


class ProblemSchema(Schema):
    """RFC 9457."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String()
    errors = fields.List(fields.Nested(FieldErrorSchema))
    error = fields.Nested(
        JobErrorSchema, allow_none=True, metadata={"description": "The job's error, where there is no result of it."}
    )
