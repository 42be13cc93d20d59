"""The application: blueprints, errors and middleware, put together."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response
from werkzeug.routing import BaseConverter

from app import (
    asyncapi,
    batches_api,
    errors,
    events_api,
    health_api,
    job_types_api,
    jobs_api,
    openapi,
    pages,
    seed_api,
    subscriptions_api,
    webhooks_api,
)
from app.answers import answer_empty
from app.body_timeout import BodyTimeout
from app.front_door import FrontDoor
from app.proxies import TrustedProxies
from jobs.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class JobsFlask(Flask):
    """Flask without its question, for every function it calls, whether that is a coroutine: none of ours is."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func

    def make_default_options_response(self) -> Response:
        """What OPTIONS is answered: the methods, and no body, so no type of one either."""
        response = answer_empty(200)
        response.headers["Allow"] = super().make_default_options_response().headers["Allow"]
        return response


class JobIdConverter(BaseConverter):
    """Any text in place of a job's id but the one name beside them, ``/jobs/batch``, which has methods of its own."""

    regex = "(?!batch$)[^/]+"
    part_isolating = True


def create_app(settings: Settings) -> Flask:
    """The WSGI application of one web process. It connects to nothing until its first request."""
    app = JobsFlask("app", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=settings.max_body, TRAP_HTTP_EXCEPTIONS=False)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False  # else werkzeug answers with a page that leads elsewhere
    app.url_map.converters["job_id"] = JobIdConverter
    app.extensions["front_door"] = FrontDoor(settings)
    api = openapi.create_api(app)
    for module in (
        jobs_api,
        batches_api,
        events_api,
        subscriptions_api,
        webhooks_api,
        job_types_api,
        seed_api,
        health_api,
    ):
        api.register_blueprint(module.blp)
    for documents in (openapi, asyncapi):
        app.register_blueprint(documents.blp)
    app.register_blueprint(pages.blp)
    errors.register(app)
    app.wsgi_app = _wrapped(app.wsgi_app, settings)  # type: ignore[method-assign,assignment]
    return app


def _wrapped(wsgi_app: "WSGIApplication", settings: Settings) -> "WSGIApplication":
    return TrustedProxies(BodyTimeout(wsgi_app), settings.trusted_proxies)
