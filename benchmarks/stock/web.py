"""The Flask half of the stock system: send the task, block on its result, answer."""

from celery.exceptions import TimeoutError
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from benchmarks.stock.tasks import noop

app = Flask(__name__)


@app.post("/jobs")
def submit() -> ResponseReturnValue:
    wait = request.get_json()["wait"]
    result = noop.delay()
    try:
        value = result.get(timeout=wait)
    except TimeoutError:
        return jsonify(id=result.id, status="InProgress"), 202
    return jsonify(id=result.id, status="Completed", result=value)
