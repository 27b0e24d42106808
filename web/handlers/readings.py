"""Newest values, raw readings, and what was kept aside."""

from __future__ import annotations

from aiohttp import web

from hub.actors.device_requests import GetLatest
from hub.actors.processing import GetLive, GetReadings
from hub.model.series import SeriesNo
from hub.runtime.actor import request as ask
from hub.storage.quarantine import read_quarantine
from web.hub import hub_of
from web.params import flag_of, limit_of, names_of, number_cursor, range_ms
from web.routes import Answer, Routes
from web.schemas import END, PAGE, START, Param, page_of, path_id, ref
from web.serialize import json_response, latest_json, page_response, quarantined_json
from web.zone import site_zone

routes = Routes("readings")

READINGS_LIMIT, READINGS_MOST = 10_000, 100_000


@routes.get(
    "/api/v1/latest",
    permission="read",
    params=[Param("series", "only these, with commas between; not paged")],
    answers={200: Answer("newest value of each series that has one", ref("Latest"))},
)
async def get_latest(request: web.Request) -> web.Response:
    """The newest value of each series; `quality` is measured, late or stale."""
    rows = await ask(hub_of(request).device, GetLatest(names_of(request, "series")))
    return json_response({"items": [latest_json(row) for row in rows]})


@routes.get(
    "/api/v1/series/{series}/readings",
    permission="read",
    params=[
        path_id("series", "id of the series, such as main-meter.power"),
        START,
        END,
        Param("limit", "10000 if absent, at most 100000", {"type": "integer", "minimum": 1}),
        PAGE[1],
        Param("corrected", "true gives them as corrections leave them; false if absent", {"type": "boolean"}),
    ],
    answers={
        200: Answer("readings in stored units", ref("Readings")),
        404: Answer("no series", ref("Problem")),
    },
)
async def get_readings(request: web.Request) -> web.Response:
    """Readings of a series, oldest first: raw, or corrected."""
    hub = hub_of(request)
    start_ms, end_ms = range_ms(request, site_zone(hub), hub.clock.now_ms())
    limit = limit_of(request, READINGS_LIMIT, READINGS_MOST)
    found = await ask(
        hub.processing,
        GetReadings(
            request.match_info["series"],
            start_ms,
            end_ms,
            limit,
            number_cursor(request),
            flag_of(request, "corrected"),
        ),
    )
    following = None if found.next is None else str(found.next)
    return json_response({"ts": found.ts_ms, "value": found.values, "next": following})


@routes.get("/api/v1/energy/live", permission="read", answers={200: Answer("the balance now", ref("Object"))})
async def get_live(request: web.Request) -> web.Response:
    """The balance of the house now: sources, uses and how fresh each figure is; power in W."""
    live = await ask(hub_of(request).processing, GetLive())
    return json_response(live.as_json())


@routes.get(
    "/api/v1/quarantine",
    permission="read",
    params=PAGE,
    answers={200: Answer("what was kept aside and why", page_of("Quarantined"))},
)
async def list_quarantine(request: web.Request) -> web.Response:
    """Readings that were not stored but kept with their reason, the newest first."""
    hub = hub_of(request)
    limit, before_id = limit_of(request), number_cursor(request)
    rows = await hub.database.read(
        lambda connection: read_quarantine(connection, limit=limit, before_id=before_id)
    )
    cursor = str(rows[-1].id) if len(rows) == limit else None
    return page_response(
        rows, lambda row: quarantined_json(row, lambda no: hub.registry.by_no(SeriesNo(no))), cursor
    )
