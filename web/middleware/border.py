"""The outermost layer: gives each request an id, turns every error into one shape, logs and counts.

This is one of the three places that may catch everything. Log lines name the *route*, never the query, a body
or a header, so no secret and no control character of a stranger gets into the log.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, Counter, Histogram

from hub.errors import WattlineError
from web.hub import PRINCIPAL, REQUEST_ID
from web.peer import peer_address
from web.problems import problem_of, problem_of_http, status_of, unexpected

LOGGER = logging.getLogger(__name__)
ACCESS_LOG = logging.getLogger("wattline.access")

BEGUN = web.RequestKey("begun", bool)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "wattline",
}
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class HttpMetrics:
    """What Prometheus sees of the web side."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "wattline_http_requests", "answered requests", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "wattline_http_request_seconds", "time to answer", ["route"], registry=registry, buckets=_BUCKETS
        )


def border(metrics: HttpMetrics) -> Middleware:
    """The middleware."""

    @web.middleware
    async def cross_border(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun_s = time.perf_counter()
        request_id = request[REQUEST_ID] = secrets.token_hex(8)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = problem_of_http(error, request_id)
        except WattlineError as error:
            if status_of(error) == 500:
                LOGGER.exception("request %s failed", request_id, extra={"request_id": request_id})
            response = problem_of(error, request_id)
        except Exception:
            LOGGER.exception("request %s failed", request_id, extra={"request_id": request_id})
            if request.get(BEGUN) and request.transport is not None:
                # half an answer is out: a broken connection is the only honest end of it
                request.transport.abort()
                raise
            response = unexpected(request_id)
        _note(request, response, request_id, time.perf_counter() - begun_s, metrics)
        return response

    return cross_border


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal: the headers that every response carries, whoever made it."""
    request[BEGUN] = True
    headers = response.headers
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers["Server"] = "wattline"
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("Content-Security-Policy", API_POLICY)
    if REQUEST_ID in request:
        headers["X-Request-Id"] = request[REQUEST_ID]


def _note(
    request: web.Request, response: web.StreamResponse, request_id: str, took_s: float, metrics: HttpMetrics
) -> None:
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "unmatched"
    metrics.requests.labels(_method(request), route, response.status).inc()
    metrics.seconds.labels(route).observe(took_s)
    level = logging.DEBUG
    if response.status >= 400:
        level = logging.WARNING if response.status >= 500 else logging.INFO
    if ACCESS_LOG.isEnabledFor(level):
        principal = request.get(PRINCIPAL)
        ACCESS_LOG.log(
            level,
            "%s %s %s %.1f ms",
            _method(request),
            route,
            response.status,
            took_s * 1000,
            extra={
                "request_id": request_id,
                "peer": peer_address(request),
                "user": principal.name if principal is not None else "",
            },
        )


def _method(request: web.Request) -> str:
    known = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return request.method if request.method in known else "OTHER"
