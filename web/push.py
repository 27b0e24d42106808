"""Mounts the HTTP endpoints of push formats behind the hub's own gate.

The integration sees a :class:`hub.plugins.api.PushRequest` whose caller is allowed and whose body is read and
unpacked within limits. The intake is looked up at each request: after a reload it may be another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import orjson
from aiohttp import web
from multidict import CIMultiDict

from hub.errors import NotFound, Refused
from hub.plugins.api import Endpoint, Intake, PushAnswer, PushRequest
from web.body import open_body
from web.credentials import RUN_KEY_HEADER
from web.hub import PRINCIPAL, REQUEST_ID, hub_of
from web.middleware.gate import FORM_BODY
from web.problems import PROBLEM
from web.routes import Access, Answer, Handler, Route, mark
from web.schemas import path_id

_PATH_NAME = re.compile(r"\{(\w+)")
_TOKEN = re.compile(rb"wl_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_SPENT_HEADERS = ("Authorization", "Cookie", RUN_KEY_HEADER, "Content-Encoding")
INGEST_BODY_BYTES = 16 << 20
INGEST_UNPACKED_BYTES = 64 << 20
_ANSWERS = {
    200: Answer("as the format's clients expect it"),
    204: Answer("everything is committed"),
    207: Answer("some readings were refused or put into quarantine; the others are committed"),
    400: Answer("nothing could be read"),
    422: Answer("everything was refused"),
    429: Answer("the queue is full; send it again after `Retry-After`"),
    507: Answer("the disk is full"),
    503: Answer("the database is away; send it again after `Retry-After`"),
}


def push_routes(endpoints: Iterable[tuple[Endpoint, Intake]]) -> list[Route]:
    """A route per endpoint, each with the permission of its scope."""
    return [_route(endpoint) for endpoint, _ in endpoints]


def _route(endpoint: Endpoint) -> Route:
    access = Access(
        endpoint.scope,  # the scopes of endpoints are permissions of the same name
        credentials=endpoint.credentials,
        audited=False,
        denied=_denied(endpoint.denied),
    )
    handler = _handler(endpoint)
    mark(handler, access)
    return Route(
        endpoint.method,
        endpoint.path,
        handler,
        access,
        endpoint.summary or "Push readings",
        "ingest",
        params=tuple(
            path_id(name, "as the format's clients write it") for name in _PATH_NAME.findall(endpoint.path)
        ),
        answers=_ANSWERS,
    )


def _handler(endpoint: Endpoint) -> Handler:
    async def push(request: web.Request) -> web.StreamResponse:
        current, intake = _current(request, endpoint)
        if FORM_BODY in request:
            sent = _push_request(request, endpoint, request[FORM_BODY])
            return response_of(_with_id(await current.handler(sent, intake), request))
        async with open_body(request, INGEST_BODY_BYTES, INGEST_UNPACKED_BYTES) as body:
            sent = _push_request(request, endpoint, body)
            return response_of(_with_id(await current.handler(sent, intake), request))

    return push


def _current(request: web.Request, endpoint: Endpoint) -> tuple[Endpoint, Intake]:
    wanted = (endpoint.method, endpoint.path)
    for current, intake in hub_of(request).endpoints():
        if (current.method, current.path) == wanted:
            return current, intake
    raise NotFound("WL-API-404", "the integration behind this address does not run")


def _push_request(request: web.Request, endpoint: Endpoint, body: bytes) -> PushRequest:
    """What the integration sees: no credential, for what it cannot read goes into the quarantine list as it is."""
    principal = request.get(PRINCIPAL)
    hidden = {place.removeprefix("query:") for place in endpoint.credentials}
    if any(place.startswith("form:") for place in endpoint.credentials):
        body = _TOKEN.sub(b"hidden", body)
    return PushRequest(
        request.method,
        request.path,
        {name: value for name, value in request.query.items() if name not in hidden},
        _plain_headers(request),
        body,
        principal.name if principal is not None else "",
    )


def _plain_headers(request: web.Request) -> CIMultiDict[str]:
    headers = CIMultiDict(request.headers)
    for name in _SPENT_HEADERS:
        headers.popall(name, None)
    return headers


def _with_id(answer: PushAnswer, request: web.Request) -> PushAnswer:
    """A problem of an integration gets the id of the request, which no integration knows."""
    if answer.content_type != PROBLEM:
        return answer
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return answer
    if not isinstance(document, dict):
        return answer
    return replace(answer, body=orjson.dumps(document | {"request_id": request[REQUEST_ID]}))


def response_of(answer: PushAnswer) -> web.Response:
    """The HTTP form of an integration's answer."""
    response = web.Response(status=answer.status, body=answer.body or None)
    if answer.body:
        response.headers["Content-Type"] = answer.content_type
    for name, value in answer.headers.items():
        if "\n" in value or "\r" in value:
            raise Refused("WL-API-422", "an answer header holds a line break", where=name)
        response.headers[name] = value
    return response


def _denied(words: Callable[[int, str], PushAnswer] | None) -> Callable[[int, str], web.Response] | None:
    if words is None:
        return None
    return lambda status, text: response_of(words(status, text))
