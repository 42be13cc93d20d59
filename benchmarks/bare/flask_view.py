"""In plain Flask."""

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)


@app.post("/jobs")
def submit() -> ResponseReturnValue:
    body = request.get_json()
    return jsonify(id=body["type"], status="New"), 200 if body.get("wait") else 202
