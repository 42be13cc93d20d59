"""A Flask endpoint that sends a task and waits for its result."""

from flask import Flask, jsonify, request

from benchmarks.stock.tasks import noop

web = Flask("stock")


@web.post("/jobs")
def start():
    body = request.get_json()
    result = noop.delay(body.get("parameters", {}))
    return jsonify({"id": result.id, "result": result.get(timeout=10)})
