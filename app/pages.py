"""Swagger UI at ``/docs`` and ``/swagger``, every asset served by us."""

from importlib.resources import files

from flask import Blueprint, Response, render_template, send_from_directory

blp = Blueprint("pages", __name__, template_folder="templates")

ASSETS = str(files("flask_swagger_ui").joinpath("dist"))
POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
START = """window.onload = () => {
  window.ui = SwaggerUIBundle({url: "openapi.json", dom_id: "#ui", deepLinking: true, validatorUrl: null});
};
"""


@blp.get("/docs")
@blp.get("/swagger")
def docs() -> Response:
    """Try the API from a browser."""
    page = render_template("swagger.html")
    return Response(page, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})


@blp.get("/docs-assets/start.js")
def start() -> Response:
    return Response(START, content_type="text/javascript")


@blp.get("/docs-assets/<path:name>")
def asset(name: str) -> Response:
    return send_from_directory(ASSETS, name, max_age=3600)
