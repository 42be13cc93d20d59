"""The OpenAPI 3.1 document: what the blueprints say, with the job types that were announced written in."""

from copy import deepcopy
from typing import Any

from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Blueprint, Flask, Response, current_app
from flask_smorest import Api
from marshmallow.fields import Field

from app.answers import answer_document
from app.callbacks import WEBHOOKS
from app.described import ANSWER_HEADERS, REQUEST_HEADERS
from app.errors import answer_http_error
from app.event_schema import EventSchema
from app.fields import Tags
from app.front_door import front_door
from app.schemas import GapSchema, ProblemSchema
from jobs.errors import StoreUnavailable
from jobs.store.job_types import JobTypeInfo

blp = Blueprint("openapi", __name__)


class JobsApi(Api):  # type: ignore[misc]
    """flask-smorest's Api with our problem documents."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def handle_http_exception(self, error: Any) -> Response:
        return answer_http_error(error)


def create_api(app: Flask) -> Api:
    """Attach flask-smorest to ``app``; the document itself is served by :data:`blp`."""
    app.config.update(
        API_TITLE="joborchestrator",
        API_VERSION="1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=None,
        PROPAGATE_EXCEPTIONS=False,
    )
    about = (
        "Post a job, wait a while, poll or subscribe for the rest. "
        "The events, and where else they are told: [asyncapi.json](asyncapi.json). "
        "A method that a path does not have is a problem document too: 405, with `Allow`."
    )
    api = JobsApi(app, spec_kwargs={"info": {"description": about}, "webhooks": WEBHOOKS})
    api.ma_plugin.converter.add_attribute_function(names_of_tags)
    for name, schema in (("Event", EventSchema), ("Gap", GapSchema)):
        api.spec.components.schema(name, schema=schema)
    for name, header in REQUEST_HEADERS.items():
        api.spec.components.parameter(name, "header", header)
    for name, header in ANSWER_HEADERS.items():
        api.spec.components.header(name, header)
    app.extensions["openapi"] = api
    return api


def names_of_tags(converter: OpenAPIConverter, field: Field[Any], **_: Any) -> dict[str, Any]:
    """The rule for the names in an object; apispec tells that for the values only."""
    rule = field.key_field if isinstance(field, Tags) else None
    return {"propertyNames": converter.field2property(rule)} if rule else {}


@blp.get("/openapi.json")
def openapi() -> Response:
    """The document, with the parameters of each announced type."""
    try:
        types = front_door().types.living()
    except StoreUnavailable:
        types = []
    spec = current_app.extensions["openapi"].spec
    return answer_document(front_door().openapi.text(types, lambda: described(spec.to_dict(), types)))


def described(spec: dict[str, Any], types: list[JobTypeInfo]) -> dict[str, Any]:
    """``spec`` with the announced types as the values of a submit's ``type``, each with its own parameters."""
    spec = deepcopy(spec)
    told = [{"$ref": f"#/components/schemas/{name}"} for name in ("Event", "Gap")]
    data = spec["components"]["schemas"]["ServerSentEvent"]["properties"]["data"]
    data.update(contentMediaType="application/json", contentSchema={"anyOf": told})  # apispec leaves both out
    if types:
        for name in ("Submit", "Work"):
            job = spec["components"]["schemas"][name]
            job["properties"]["type"]["enum"] = [info.name for info in types]
            job["oneOf"] = [
                {"title": info.name, "properties": {"type": {"const": info.name}, "parameters": info.parameters}}
                for info in types
            ]
    return spec
