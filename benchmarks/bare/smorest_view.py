"""In flask-smorest, as its documentation has it: a schema for what comes and one for what goes."""

from typing import Any

from flask import Flask
from flask_smorest import Api, Blueprint
from marshmallow import Schema, fields

app = Flask(__name__)
app.config.update(API_TITLE="bare", API_VERSION="1", OPENAPI_VERSION="3.1.0")
api = Api(app)
blp = Blueprint("jobs", __name__)


class Submission(Schema):
    type = fields.String(required=True)
    wait = fields.Float()


class Job(Schema):
    id = fields.String()
    status = fields.String()


@blp.route("/jobs", methods=["POST"])
@blp.arguments(Submission)
@blp.response(202, Job)
def submit(submission: dict[str, Any]) -> tuple[dict[str, Any], int]:
    return {"id": submission["type"], "status": "New"}, 200 if submission.get("wait") else 202


api.register_blueprint(blp)
