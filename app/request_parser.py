"""Reading requests: strict JSON in, every mistake told with where it is."""

from collections.abc import Iterator
from typing import Any, NoReturn

from flask import Request, request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import ClientDisconnected, NotAcceptable, RequestEntityTooLarge, UnsupportedMediaType

from app.errors import InvalidRequest
from app.parameters import MOST_ERRORS
from app.strict_json import loads, pointer_to, without_its_tail

LONGEST_ACCEPT = 1_000
"""Characters: werkzeug's time grows with their square, and headers may have 16 kB."""


class RequestParser(FlaskParser):
    """webargs' parser with our JSON reader and our errors; what a schema does not know is an error everywhere."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": RAISE, "query": RAISE}  # noqa: RUF012  webargs declares it so

    def load_json(self, req: Request, schema: Schema) -> Any:
        """The body, read strictly.

        Raises:
            RequestEntityTooLarge, UnsupportedMediaType, MalformedJson, UnstorableText.
        """
        if req.headers.get("Content-Encoding", "").lower() not in {"", "identity"}:
            raise UnsupportedMediaType("A body with a Content-Encoding is not read: send it as it is.")
        body = _body(req)
        if not body and getattr(schema, "body_is_optional", False):
            return {}
        if not (req.is_json or (not body and req.mimetype == "")):
            raise UnsupportedMediaType("The body must be JSON, with Content-Type: application/json.")
        return loads(body)

    def load_querystring(self, req: Request, schema: Schema) -> Any:
        """The query.

        Raises:
            InvalidRequest: a parameter that takes one value came several times.
        """
        several = [name for name, values in req.args.lists() if len(values) > 1 and name != "tag"]
        if several:
            raise InvalidRequest([(name, "came several times") for name in several[:MOST_ERRORS]])
        return super().load_querystring(req, schema)

    def handle_error(
        self, error: ValidationError, req: Request, schema: Schema, *, error_status_code: Any, error_headers: Any
    ) -> NoReturn:
        messages = error.messages if isinstance(error.messages, dict) else {"json": error.messages}
        found: list[tuple[str, str]] = []
        for location, fields in messages.items():
            for path, what in _walk(fields, ()):
                where = pointer_to(path) if location == "json" else str(path[0])
                found.append((without_its_tail(where), what))
                if len(found) == MOST_ERRORS:
                    raise InvalidRequest(found) from error
        raise InvalidRequest(found) from error


def _body(req: Request) -> bytes:
    """The bytes sent. werkzeug cuts a chunked body off at the limit and says nothing; any other it reads twice."""
    length, most = req.content_length, req.max_content_length
    if most is not None and (length or 0) > most:
        raise RequestEntityTooLarge
    asked = length if length is not None else -1 if most is None else most + 1
    body: bytes = req.environ["wsgi.input"].read(asked)
    if length is not None and len(body) < length:
        raise ClientDisconnected
    if most is not None and len(body) > most:
        raise RequestEntityTooLarge
    return body


def _walk(messages: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from _walk(inner, path if name == "_schema" else (*path, name))
    elif isinstance(messages, list):
        for message in messages:
            yield from _walk(message, path)
    else:
        yield path, str(messages)


def require_json_accepted() -> None:
    """Refuse a client that takes neither JSON nor problem documents.

    Raises:
        NotAcceptable.
    """
    accept = request.headers.get("Accept", "").strip()
    if len(accept) > LONGEST_ACCEPT:
        raise NotAcceptable(f"An Accept of more than {LONGEST_ACCEPT:,} characters is not read.")
    if accept and not _is_accepted(request.accept_mimetypes):
        raise NotAcceptable("This is answered as application/json only.")


def _is_accepted(accepted: MIMEAccept) -> bool:
    """Of the ranges that take in JSON the most exact decides; a charset or another parameter changes nothing.

    Who names problem documents takes an answer of ours too; ``*/*`` beside ``application/json;q=0`` does not.
    """
    qualities: dict[str, float] = {}
    for given, quality in accepted:
        bare = given.split(";")[0].strip().lower()
        qualities[bare] = max(quality, qualities.get(bare, 0))
    json = next((qualities[form] for form in ("application/json", "application/*", "*/*", "*") if form in qualities), 0)
    return json > 0 or qualities.get("application/problem+json", 0) > 0
