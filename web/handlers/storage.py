"""The store of this hub: its size, whether it is whole, and whether its figures are what its readings give."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from hub.actors.device_requests import FindSeries
from hub.actors.processing import GetDerivationState, WorkNow
from hub.actors.recheck import check_derived
from hub.runtime.actor import request as ask
from hub.storage.migrations import stored_revision
from hub.storage.stats import check_blocks, quick_check, stats
from web.hub import hub_of
from web.routes import Answer, Routes
from web.schemas import path_id, ref
from web.serialize import json_response

routes = Routes("storage")

_OBJECT = ref("Object")
_SERIES = path_id("series", "public id of the series")


@routes.get("/api/v1/storage", permission="config.manage", answers={200: Answer("sizes and growth", _OBJECT)})
async def get_storage(request: web.Request) -> web.Response:
    """How big the store is, how fast it grows, and the revision of its tables."""
    database = hub_of(request).database
    sizes = await database.read(stats)
    revision = await database.read(stored_revision)
    return json_response({"engine": database.dialect, "revision": revision, **sizes._asdict()})


@routes.post(
    "/api/v1/storage/check",
    permission="config.manage",
    answers={200: Answer("`problems` is empty for a sound store", _OBJECT)},
)
async def check_storage(request: web.Request) -> web.Response:
    """Check the structure of the store and decode every sealed block; reads only, in slices."""
    database = hub_of(request).database
    problems = list(await database.read(quick_check))
    after: tuple[int, int] | None = None
    while True:
        found, after = await database.read(lambda conn, after=after: check_blocks(conn, after))  # type: ignore[misc]  # bound per turn
        problems += found
        if after is None:
            return json_response({"problems": problems})


@routes.get(
    "/api/v1/derived", permission="config.manage", answers={200: Answer("how far derivation is", _OBJECT)}
)
async def get_derivation(request: web.Request) -> web.Response:
    """How many series wait to be derived again."""
    state = await ask(hub_of(request).processing, GetDerivationState())
    return json_response(asdict(state))


@routes.post(
    "/api/v1/derived/check/{series}",
    permission="config.manage",
    params=[_SERIES],
    answers={
        200: Answer("`different` is 0 where every figure is right", _OBJECT),
        404: Answer("no such series", ref("Problem")),
    },
)
async def check_series(request: web.Request) -> web.Response:
    """Compare every stored figure of a series with what its readings give; nothing is written."""
    hub = hub_of(request)
    series = await ask(hub.device, FindSeries(request.match_info["series"]))
    for _ in range(2):  # the first turn derives, the second takes away the marks of what was derived
        await ask(hub.processing, WorkNow(), timeout_s=600.0)
    return json_response(asdict(await check_derived(hub.database, series, hub.config.site.time_zone)))
