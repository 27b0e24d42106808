"""Figures by buckets, as JSON, CSV or Arrow."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from hub.actors.history import COLUMNS, RESOLUTIONS, History
from hub.actors.processing import GetHistory
from hub.runtime.actor import request as ask
from web.history_table import ARROW, CSV, arrow_chunks, csv_lines, json_document
from web.hub import hub_of
from web.params import names_of, range_ms
from web.problems import BadRequest
from web.routes import Answer, Routes
from web.schemas import END, START, Param, ref
from web.zone import site_zone

routes = Routes("history")

HISTORY_LIMIT_S = 60.0


@routes.get(
    "/api/v1/history",
    permission="read",
    params=[
        Param("series", "ids with commas between, such as main-meter.power", required=True),
        START,
        END,
        Param(
            "resolution",
            "auto if absent; 1d, 1mo and 1y are the site's",
            {"type": "string", "enum": list(RESOLUTIONS)},
        ),
        Param(
            "columns",
            f"any of {', '.join(COLUMNS)} with commas between; if absent: energy for energy and heat, delta for gas, "
            "water and other counters, mean and energy for power, mean, min and max for other gauges",
            {"type": "string", "examples": ["mean,min,max", "energy,quality"]},
        ),
    ],
    answers={
        200: Answer(
            "columns; energy in Wh, power in W, volumes in m3, null where nothing is known. CSV and Arrow are "
            "long tables (start, series, columns)",
            ref("History"),
            ("application/json", CSV, ARROW),
        ),
        404: Answer("a series is missing, or not yours", ref("Problem")),
        422: Answer("the range does not fit the resolution", ref("Problem")),
    },
)
async def get_history(request: web.Request) -> web.StreamResponse:
    """Figures of series by buckets of time."""
    hub = hub_of(request)
    names = names_of(request, "series")
    if names is None:
        raise BadRequest("WL-API-400", "name the series to show", where="series")
    start_ms, end_ms = range_ms(request, site_zone(hub), hub.clock.now_ms())
    question = GetHistory(
        names,
        start_ms,
        end_ms,
        request.query.get("resolution", "auto"),
        names_of(request, "columns") or (),
    )
    history = await ask(hub.processing, question, timeout_s=HISTORY_LIMIT_S)
    return await _answer(request, history)


async def _answer(request: web.Request, history: History) -> web.StreamResponse:
    accepted = request.headers.get("Accept", "")
    if ARROW in accepted:
        return await _streamed(request, arrow_chunks(history), ARROW)
    if CSV in accepted:
        return await _streamed(request, csv_lines(history), CSV)
    return web.Response(body=await json_document(history), content_type="application/json")


async def _streamed(
    request: web.Request, chunks: AsyncIterator[bytes], content_type: str
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": content_type})
    await response.prepare(request)
    try:
        async for chunk in chunks:
            if chunk:
                await response.write(chunk)
        await response.write_eof()
    except ConnectionResetError:
        pass  # the client has seen enough
    return response
