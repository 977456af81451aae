"""The description of the HTTP API that programs read: errors as they really look, on every route."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from motionloom.studio.schemas import Event

DESCRIPTION = (
    "The HTTP API of the motionloom studio, the same its page uses. Every error is answered with an `ErrorAnswer`. "
    "Servers that more than their own machine reaches need a token: `Authorization: Bearer TOKEN`, or the cookie that "
    "`POST /api/v1/session` sets."
)
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
_ALWAYS = {
    "400": "the request is not usable: wrong fields, wrong values",
    "401": "the token is missing or wrong",
    "403": "from a page of another site",
    "413": "too large",
    "421": "the server is not known by this name",
    "500": "the server failed; its log tells more",
}


def describe(app: FastAPI) -> None:
    """Puts the description in place; it is made when it is asked for first."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _corrected(
                get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            )
        return app.openapi_schema

    app.openapi = build


def _corrected(document: dict[str, Any]) -> dict[str, Any]:
    """Errors of validation are 400 here, and look like all others."""
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            answers: dict[str, Any] = operation["responses"]
            described = answers.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if described.get("$ref", "").endswith("/HTTPValidationError"):
                del answers["422"]
            for status, meaning in _ALWAYS.items():
                answers.setdefault(status, {"description": meaning, "content": _ERROR})
    _describe_events(document)
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "the token of the server"},
    }
    document["security"] = [{"token": []}, {}]
    return document


def _describe_events(document: dict[str, Any]) -> None:
    """The data of each server-sent event."""
    schema = Event.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    for name, part in {**schema.pop("$defs"), "Event": schema}.items():
        document["components"]["schemas"].setdefault(name, part)
    stream = document["paths"]["/api/v1/events"]["get"]["responses"]["200"]
    stream["content"] = {"text/event-stream": {"schema": {"$ref": "#/components/schemas/Event"}}}
