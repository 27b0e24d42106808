"""How counters are counted: what was kept aside, and how amounts are spread over time."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from hub.actors.counting import GAPS, SHAPES, CountingView, GetCounting, SetCounting
from hub.actors.doubts import GetSuspects, SuspectEnergy
from hub.runtime.actor import request as ask
from web.body import json_body
from web.hub import hub_of
from web.params import names_of, range_ms
from web.routes import Answer, Routes
from web.schemas import END, START, Param, Text, path_id, ref
from web.serialize import json_response
from web.zone import site_zone

routes = Routes("counting")

COUNTING = {
    "gap": Text("how the rise over a gap is spread", choices=GAPS),
    "shape": Text("what tells when the energy flowed inside an interval", choices=SHAPES),
}
SUSPECTS_LIMIT_S = 60.0
_SERIES = path_id("series", "id of a counter, such as main-meter.energy_import")
_ANSWERS = {
    200: Answer("how the counter is spread", ref("Counting")),
    404: Answer("no series", ref("Problem")),
    422: Answer("no counter, too little history for a profile, or no power series", ref("Problem")),
}


@routes.get(
    "/api/v1/suspect",
    permission="read",
    params=[Param("series", "ids with commas between; all if absent"), START, END],
    answers={
        200: Answer("changes that were not booked, by series and time; at most 1000", ref("Suspects")),
        404: Answer("a series is missing, or not yours", ref("Problem")),
    },
)
async def get_suspects(request: web.Request) -> web.Response:
    """Suspicious changes that only a person, or readings to come, can decide; amounts in the unit of the series."""
    hub = hub_of(request)
    start_ms, end_ms = range_ms(request, site_zone(hub), hub.clock.now_ms())
    question = GetSuspects(names_of(request, "series"), start_ms, end_ms)
    found = await ask(hub.processing, question, timeout_s=SUSPECTS_LIMIT_S)
    return json_response({"items": [_suspect_json(one) for one in found]})


@routes.get("/api/v1/series/{series}/counting", permission="read", params=[_SERIES], answers=_ANSWERS)
async def get_counting(request: web.Request) -> web.Response:
    """How the amounts of a counter are spread over time."""
    view = await ask(hub_of(request).processing, GetCounting(request.match_info["series"]))
    return json_response(_counting_json(view))


@routes.patch(
    "/api/v1/series/{series}/counting",
    permission="devices.write",
    params=[_SERIES],
    body=COUNTING,
    answers=_ANSWERS,
)
async def patch_counting(request: web.Request) -> web.Response:
    """Choose how the amounts of a counter are spread; its figures are derived again."""
    sent = await json_body(request, COUNTING)
    wanted = SetCounting(request.match_info["series"], sent.get("gap"), sent.get("shape"))
    view = await ask(hub_of(request).processing, wanted, timeout_s=SUSPECTS_LIMIT_S)
    return json_response(_counting_json(view))


def _suspect_json(one: SuspectEnergy) -> dict[str, Any]:
    doubt = one.doubt
    return {
        "series": one.series,
        "start_ms": doubt.start_ms,
        "end_ms": doubt.end_ms,
        "before": doubt.before,
        "after": doubt.after,
        "amount": doubt.amount,
        "unit": one.unit,
        "why": doubt.why,
    }


def _counting_json(view: CountingView) -> dict[str, Any]:
    return {"series": view.series, "gap": view.gap, "shape": view.shape, "power": view.power}
