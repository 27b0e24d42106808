"""Errors as ``application/problem+json``: which status a class of error has, and what a client may read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import orjson
from aiohttp import web

from hub.actors.throttle import TooManyTries
from hub.energy.problems import TariffProblems
from hub.errors import (
    AskUser,
    DiskFull,
    Forbidden,
    NotFound,
    QueueFull,
    Refused,
    RetryLater,
    StateConflict,
    Unauthenticated,
    WattlineError,
)

PROBLEM = "application/problem+json"
MAX_PROBLEMS = 100
"""So many of a body's faults are shown at once."""


class BadRequest(Refused):
    """The request cannot be read at all: broken JSON, a parameter of the wrong form (HTTP 400)."""


class TooLarge(Refused):
    """The body is larger than this route takes (HTTP 413)."""


class WrongType(Refused):
    """The body has another content type than this route reads (HTTP 415)."""


class TooSlow(Refused):
    """The body did not come in time (HTTP 408)."""


class RefusedInParts(Refused):
    """Several things are wrong; all of them are named in ``errors`` (HTTP 422)."""

    def __init__(
        self,
        code: str,
        message: str,
        errors: Sequence[Mapping[str, object]],
        *,
        where: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(code, message, where=where, hint=hint)
        self.errors = errors


class InvalidBody(RefusedInParts):
    """Fields of a body do not fit; the first one leads."""

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        super().__init__("WL-API-422", errors[0]["detail"], errors, where=errors[0]["field"])


_STATUS: tuple[tuple[type[WattlineError], int], ...] = (
    (BadRequest, 400),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (TooSlow, 408),
    (StateConflict, 409),
    (TooLarge, 413),
    (WrongType, 415),
    (Refused, 422),
    (AskUser, 422),
    (QueueFull, 429),
    (TooManyTries, 429),
    (DiskFull, 507),
    (RetryLater, 503),
)


def status_of(error: WattlineError) -> int:
    """The HTTP status of an expected error; anything unexpected is 500."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem_body(
    status: int, code: str, detail: str, *, field: str = "", request_id: str = "", **more: object
) -> bytes:
    """One problem document; ``type`` names the page of the manual that explains the code."""
    return orjson.dumps(
        {
            "type": f"urn:wattline:error:{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "code": code,
            "detail": detail,
            "field": field or None,
            "request_id": request_id,
            **more,
        }
    )


def problem(
    status: int, code: str, detail: str, *, field: str = "", request_id: str = "", **more: object
) -> web.Response:
    """A response that carries one problem."""
    body = problem_body(status, code, detail, field=field, request_id=request_id, **more)
    return web.Response(body=body, status=status, content_type=PROBLEM)


def problem_of(error: WattlineError, request_id: str) -> web.Response:
    """The response to an expected error."""
    status = status_of(error)
    if status == 500:
        return unexpected(request_id)
    more: dict[str, object] = {"hint": error.hint} if error.hint else {}
    if isinstance(error, RefusedInParts):
        more["errors"] = error.errors
    elif isinstance(error, TariffProblems):
        more["errors"] = [
            {"field": one.field, "code": one.code, "detail": one.text, "hint": one.hint}
            for one in error.problems[:MAX_PROBLEMS]
        ]
    response = problem(status, error.code, error.message, field=error.where, request_id=request_id, **more)
    if isinstance(error, RetryLater):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="wattline"'
    if status in (408, 413):
        response.force_close()
    return response


def problem_of_http(error: web.HTTPException, request_id: str) -> web.Response:
    """The response to what the HTTP library itself refuses: no such route, wrong method, too large."""
    texts = {404: "there is nothing at this address", 405: "this address does not take this method"}
    detail = texts.get(error.status, HTTPStatus(error.status).description or error.reason)
    response = problem(error.status, f"WL-API-{error.status}", detail, request_id=request_id)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def unexpected(request_id: str) -> web.Response:
    """The response to a bug: the id finds it in the log, nothing else leaves the hub."""
    detail = "something unexpected happened; the log holds it under the request id"
    return problem(500, "WL-API-500", detail, request_id=request_id)
