"""The OpenAPI 3.1 document: what the blueprints say, with the job types that were announced written in."""

from copy import deepcopy
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, current_app
from flask_smorest import Api

from app.callbacks import WEBHOOKS
from app.errors import answer_http_error
from app.front_door import front_door
from app.schemas import ProblemSchema
from jobs.errors import StoreUnavailable
from jobs.job_types import JobTypeInfo

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
    about = "Post a job, wait a while, poll or subscribe for the rest."
    api = JobsApi(app, spec_kwargs={"info": {"description": about}, "webhooks": WEBHOOKS})
    app.extensions["openapi"] = api
    return api


@blp.get("/openapi.json")
def openapi() -> Response:
    """The document, with one example of a submit for each announced type."""
    try:
        types = front_door().types.living()
    except StoreUnavailable:
        types = []
    spec = current_app.extensions["openapi"].spec.to_dict()
    return Response(orjson.dumps(described(spec, types)), content_type="application/json")


def described(spec: dict[str, Any], types: list[JobTypeInfo]) -> dict[str, Any]:
    """``spec`` with the announced types as the values of a submit's ``type``, each with its own parameters."""
    spec = deepcopy(spec)
    if types:
        submit = spec["components"]["schemas"]["Submit"]
        submit["properties"]["type"]["enum"] = [info.name for info in types]
        submit["oneOf"] = [
            {"title": info.name, "properties": {"type": {"const": info.name}, "parameters": info.parameters}}
            for info in types
        ]
    return spec
