"""The Flask half of the stock system: send the task, block on its result if asked to, answer."""

from celery.exceptions import TimeoutError
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from benchmarks.stock.tasks import noop

app = Flask(__name__)


@app.post("/jobs")
def submit() -> ResponseReturnValue:
    wait = request.get_json().get("wait")
    result = noop.delay()
    if wait:
        try:
            value = result.get(timeout=wait)
        except TimeoutError:
            pass
        else:
            return jsonify(id=result.id, status="Completed", result=value)
    return jsonify(id=result.id, status="InProgress"), 202
