"""The gateway's own OpenAPI description, made from the body types it validates with."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from serve_apps.gateway.dry import HEADER as DRY_ROUTE
from serve_apps.gateway.openai.chat import CHAT
from serve_apps.gateway.openai.completions import COMPLETIONS
from serve_apps.gateway.openai.form import Form
from serve_apps.gateway.openai.images import IMAGES
from serve_apps.gateway.openai.responses import RESPONSES
from serve_apps.gateway.shadows import HEADER as SHADOW

FORMS: tuple[Form[Any], ...] = (CHAT, COMPLETIONS, IMAGES, RESPONSES)
"""Every form of asking a model."""
EARLY = ("400", "403", "408", "421", "431")
"""What the server answers before it knows what is asked for."""
_REFS = "#/components/schemas/{model}"


@cache
def describe() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    _, definitions = models_json_schema([(form.body, "validation") for form in FORMS], ref_template=_REFS)
    schemas = {**definitions["$defs"], "Error": _error_schema()}
    paths: dict[str, Any] = {form.path: {"post": _post(form)} for form in FORMS}
    paths["/v1/models"] = {"get": _get("Models that can be asked for")}
    paths["/v1/models/{model}"] = {
        "get": {
            **_get("One model", "404"),
            "parameters": [{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}],
        }
    }
    paths["/health"] = {"get": _get("Whether a run is in progress")}
    for path, of in (("", "all of it"), ("/gateway", "this gateway"), ("/testbed", "all but the gateways")):
        paths[f"/metrics{path}"] = {"get": _get(f"Prometheus metrics: {of}", kind="text/plain")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "edgebed gateway", "version": "1"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _post(form: Form[Any]) -> dict[str, Any]:
    content = _json({"type": "object"})
    if form.events is not None:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "summary": form.summary,
        "parameters": [
            _header(name) for name in ("X-Request-ID", "X-Edge-Origin", "X-Edge-Tenant", DRY_ROUTE, SHADOW)
        ],
        "requestBody": {"required": True, "content": _json(_ref(form.body.__name__))},
        "responses": {
            "200": {"description": "The answer", "content": content},
            **{
                status: _error()
                for status in (*EARLY, "401", "404", "409", "413", "415", "422", "429", "503")
            },
        },
    }


def _get(summary: str, *errors: str, kind: str = "application/json") -> dict[str, Any]:
    answer = {"description": summary, "content": {kind: {"schema": {}}}}
    return {
        "summary": summary,
        "responses": {"200": answer, **{s: _error() for s in (*EARLY, "401", "503", *errors)}},
    }


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}


def _error() -> dict[str, Any]:
    return {"description": "Refused, and why", "content": _json(_ref("Error"))}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ref(model: str) -> dict[str, Any]:
    return {"$ref": _REFS.format(model=model)}


def _error_schema() -> dict[str, Any]:
    text, perhaps = {"type": "string"}, {"type": ["string", "null"]}
    fields = {"message": text, "type": text, "param": perhaps, "code": perhaps}
    inner = {"type": "object", "required": list(fields), "properties": fields}
    return {"type": "object", "required": ["error"], "properties": {"error": inner}}
