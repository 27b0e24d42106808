"""Why this number? The tree of a figure, a part at a time."""

from __future__ import annotations

import re

from aiohttp import web

from hub.actors.explain_requests import FIGURES, METRICS, Explain, View
from hub.energy.explain import DEEPEST, MOST_CHILDREN, MOST_NODES, USUAL_CHILDREN
from hub.runtime.actor import request as ask
from web.hub import hub_of
from web.params import limit_of, range_ms
from web.problems import BadRequest
from web.routes import Answer, Routes
from web.schemas import END, START, Param, ref
from web.serialize import json_response
from web.zone import site_zone

routes = Routes("explain")

EXPLAIN_LIMIT_S = 120.0
_NAME_OF = {"energy": "series", "figure": "figure", "device": "device", "bill": "metering_point"}
_INT = {"type": "integer", "minimum": 0}


@routes.get(
    "/api/v1/explain",
    permission="read",
    params=[
        Param("metric", "what is explained", {"type": "string", "enum": list(METRICS)}, required=True),
        Param("series", "id of the series, for `energy`"),
        Param("figure", "for `figure`", {"type": "string", "enum": list(FIGURES)}),
        Param("device", "id of the device, for `device`"),
        Param("metering_point", "for `bill`; `grid` if absent"),
        Param("tariff", "for `bill`: another tariff than that of the metering point"),
        START,
        END,
        Param("path", "a node of the tree, as an answer names it; the figure itself if absent"),
        Param("depth", f"levels below that node: 1 if absent, at most {DEEPEST}", _INT),
        Param("limit", f"children of one node: {USUAL_CHILDREN} if absent, at most {MOST_CHILDREN}", _INT),
        Param("offset", "children of the node to leave out before the first that is shown", _INT),
    ],
    answers={
        200: Answer(
            f"a node and what is below it, at most about {MOST_NODES} nodes; values are exact decimal text",
            ref("Explanation"),
        ),
        400: Answer("a parameter cannot be read", ref("Problem")),
        404: Answer("no such series, device, metering point, tariff or path", ref("Problem")),
        422: Answer("it has no amount, or the range is too long", ref("Problem")),
    },
)
async def explain(request: web.Request) -> web.Response:
    """What a figure is made of: lines, months, days, slots, intervals, readings, prices, rules and corrections."""
    hub = hub_of(request)
    start_ms, end_ms = range_ms(request, site_zone(hub), hub.clock.now_ms())
    metric = request.query.get("metric", "")
    if metric not in METRICS:
        raise BadRequest("WL-API-400", f"metric is one of {', '.join(METRICS)}", where="metric")
    view = View(
        request.query.get("path", ""),
        _whole(request, "depth", 1, DEEPEST),
        limit_of(request, USUAL_CHILDREN, MOST_CHILDREN),
        _whole(request, "offset", 0, 10**9),
    )
    tariff = request.query.get("tariff")
    question = Explain(metric, _name(request, metric), start_ms, end_ms, tariff, view)
    found = await ask(hub.processing, question, timeout_s=EXPLAIN_LIMIT_S)
    return json_response(found.as_json())


def _name(request: web.Request, metric: str) -> str:
    """The thing that the metric is about."""
    parameter = _NAME_OF[metric]
    name = request.query.get(parameter, "grid" if metric == "bill" else "")
    if not name:
        raise BadRequest("WL-API-400", f"metric={metric} needs {parameter}", where=parameter)
    return name


def _whole(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise BadRequest("WL-API-400", f"{name} is a whole number", where=name)
    return min(int(text), most)
