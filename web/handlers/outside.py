"""What lies outside the prefix of the API: probes, metrics, the API's documentation, the pages."""

from __future__ import annotations

from importlib import resources

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from hub.errors import NotFound
from web.hub import hub_of
from web.middleware.border import PAGE_POLICY
from web.routes import Answer, Routes
from web.schemas import path_id, ref
from web.serialize import json_response

routes = Routes("outside")

OPENAPI: web.AppKey[bytes] = web.AppKey("openapi", bytes)
_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


def _page_files() -> dict[str, bytes]:
    """Every file of ``web/pages`` by name: what is not in this index is not served."""
    folder = resources.files("web").joinpath("pages")
    return {
        file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES
    }


PAGES = _page_files()


def _page(name: str) -> web.Response:
    headers = {
        "Content-Type": _TYPES[name.rpartition(".")[2]],
        "Content-Security-Policy": PAGE_POLICY,
        "Cache-Control": "no-cache",
    }
    return web.Response(body=PAGES[name], headers=headers)


@routes.get("/healthz", public=True, answers={200: Answer("alive", ref("Object"))})
async def healthz(request: web.Request) -> web.Response:
    """The process is alive and its loop turns."""
    return json_response({"status": "alive"})


@routes.get(
    "/readyz",
    public=True,
    answers={200: Answer("ready", ref("Ready")), 503: Answer("not ready, and why", ref("Ready"))},
)
async def readyz(request: web.Request) -> web.Response:
    """Readings are taken and stored in time."""
    ready, reasons = hub_of(request).ready()
    response = json_response({"ready": ready, "reasons": reasons}, status=200 if ready else 503)
    if not ready:
        response.headers["Retry-After"] = "5"
    return response


@routes.get(
    "/metrics",
    permission="read",
    local_ok=True,
    answers={200: Answer("Prometheus text format", {"type": "string"}, ("text/plain",))},
)
async def metrics(request: web.Request) -> web.Response:
    """Figures about the hub for Prometheus; without a token only from this machine itself."""
    text = generate_latest(hub_of(request).metrics_registry)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


@routes.get("/api/openapi.json", public=True, answers={200: Answer("OpenAPI 3.1", ref("Object"))})
async def openapi(request: web.Request) -> web.Response:
    """This document."""
    return web.Response(body=request.app[OPENAPI], content_type="application/json")


@routes.get("/api/docs", public=True, in_openapi=False)
async def docs(request: web.Request) -> web.Response:
    """The API's documentation, for reading."""
    return _page("docs.html")


@routes.get("/", public=True, in_openapi=False)
async def live(request: web.Request) -> web.Response:
    """The live page."""
    return _page("live.html")


@routes.get("/setup", public=True, in_openapi=False)
async def setup_page(request: web.Request) -> web.Response:
    """The page of the one-time setup link."""
    return _page("setup.html")


@routes.get("/favicon.ico", public=True, in_openapi=False)
async def favicon(request: web.Request) -> web.Response:
    """The mark of Wattline."""
    return _page("favicon.svg")


@routes.get("/assets/{name}", public=True, in_openapi=False, params=[path_id("name", "file name")])
async def asset(request: web.Request) -> web.Response:
    """Scripts and styles of the pages, out of an index made at the start."""
    name = request.match_info["name"]
    if name not in PAGES or name.endswith(".html"):
        raise NotFound("WL-API-404", "there is nothing at this address")
    return _page(name)
