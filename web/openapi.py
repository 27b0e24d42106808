"""The OpenAPI 3.1 document, made of the declarations of the mounted routes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from web.routes import Answer, Route
from web.schemas import COMPONENTS, Param, Shape, body_schema, ref

_PROBLEM = {"application/problem+json": {"schema": ref("Problem")}}


def openapi_document(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """All routes that are meant for others, with who may call them."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.in_openapi:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wattline",
            "version": version,
            "summary": "A self-hosted energy hub: readings in, numbers you can trust out",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": dict(COMPONENTS),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "an access token of POST /api/v1/auth/login, or an API token (wl_…)",
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "responses": _responses(route),
    }
    if route.access.public:
        operation["security"] = []
    else:
        operation["description"] = f"Needs the permission `{route.access.permission}`."
    if route.params:
        operation["parameters"] = [_parameter(one) for one in route.params]
    if route.body is not None:
        schema = body_schema(route.body)
        operation["requestBody"] = {
            "required": bool(schema.get("required")) or isinstance(route.body, Shape),
            "content": {"application/json": {"schema": schema}},
        }
    elif route.tag == "ingest" and route.method == "POST":
        operation["requestBody"] = {"required": True, "content": {"*/*": {"schema": {}}}}
    return operation


def _responses(route: Route) -> dict[str, Any]:
    responses = {str(status): _response(answer) for status, answer in route.answers.items()}
    likely = {400} if route.params else set()
    likely |= set() if route.access.public else {401, 403}
    likely |= {400, 413, 415, 422} if route.body is not None else set()
    likely |= {404} if any(one.place == "path" for one in route.params) else set()
    for status in sorted(likely | {503}):
        responses.setdefault(str(status), {"description": HTTPStatus(status).phrase, "content": _PROBLEM})
    return responses


def _response(answer: Answer) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": answer.meaning}
    if answer.schema is not None:
        types = answer.content_types
        if answer.schema == ref("Problem"):
            types = ("application/problem+json",)
        shown["content"] = {
            kind: {"schema": answer.schema if "json" in kind else {"type": "string"}} for kind in types
        }
    return shown


def _parameter(param: Param) -> dict[str, Any]:
    return {
        "name": param.name,
        "in": param.place,
        "required": param.required,
        "description": param.meaning,
        "schema": dict(param.schema),
    }


def _operation_id(route: Route) -> str:
    short = route.path.removeprefix("/api/v1/")
    words = re.sub(r"[^a-z0-9]+", "_", short.lower()).strip("_")
    return "_".join(filter(None, [route.method.lower(), "outside" if short == route.path else "", words]))
