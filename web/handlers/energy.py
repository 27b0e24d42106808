"""Energy of the site: summary, balance, flows, devices, heat maps, charging sessions, other media, setup check."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import date
from typing import Any, TypeVar

from aiohttp import web

from hub.actors.energy_months import HOUR_FLOWS
from hub.actors.energy_requests import (
    CheckSetup,
    EnergyRequest,
    EnergySums,
    GetEnergyHours,
    GetEnergySums,
    GetMedia,
    GetSessions,
)
from hub.app import Hub
from hub.energy.asked import COMPARISONS, PERIODS, RESOLUTION, Asked, asked, custom
from hub.energy.asked import compared as compared_period
from hub.energy.calendar import local_date
from hub.energy.flows import devices_json, flows_json
from hub.energy.setup_check import findings_json
from hub.runtime.actor import request as ask
from web import energy_json
from web.energy_table import Column, arrow_bytes, csv_bytes
from web.history_table import ARROW, CSV
from web.hub import hub_of
from web.params import moment_ms
from web.problems import BadRequest
from web.routes import Answer, Routes
from web.schemas import Param, ref
from web.serialize import json_response
from web.zone import site_zone

routes = Routes("energy")
T = TypeVar("T")

ENERGY_LIMIT_S = 60.0
DAY_MS = 86_400_000
CHECK_DAYS = 7
RESOLUTIONS = ("15m", "1h", "1d", "1mo", "1y")
_AUTO = ((2 * DAY_MS, "15m"), (10 * DAY_MS, "1h"), (100 * DAY_MS, "1d"))
_PERIOD = (
    Param("period", "day if absent; billing is the calendar month while none is agreed",
          {"type": "string", "enum": list(PERIODS)}),
    Param("at", "a date inside the period, such as 2026-11-22; today if absent"),
    Param("start", "instead of a period: ISO 8601 (without offset: the site's time) or epoch milliseconds"),
    Param("end", "as `start`; exclusive; now if absent"),
)  # fmt: skip
_COMPARE = Param("compare", "a second period beside it", {"type": "string", "enum": list(COMPARISONS)})
_RESOLUTION = Param(
    "resolution", "if absent: 15m for a day, 1h for a week, 1d for a month, 1mo for a year",
    {"type": "string", "enum": list(RESOLUTIONS)},
)  # fmt: skip
_DECIMAL = Param("decimal", "of CSV", {"type": "string", "enum": ["point", "comma"]})
_TABLES = ("application/json", CSV, ARROW)
_REFUSED = {
    400: Answer("a parameter cannot be read", ref("Problem")),
    422: Answer("the range does not fit the resolution", ref("Problem")),
}


@routes.get(
    "/api/v1/energy/summary",
    permission="read",
    params=[*_PERIOD, _COMPARE],
    answers={200: Answer("figures of the period, each with its quality", ref("Object")), **_REFUSED},
)
async def get_summary(request: web.Request) -> web.Response:
    """Use, import, export, production, battery, cost, CO2 and peak of a period; energy in Wh."""
    hub = hub_of(request)
    one = _asked(request, hub)
    found = await _sums(hub, one, _whole(one))
    answer = {**_head(hub, one), **energy_json.summary(found, _zone(hub))}
    other = _comparison(request, hub, one)
    if other is not None:
        beside = await _sums(hub, other, _whole(other))
        figures = {**_head(hub, other), **energy_json.summary(beside, _zone(hub))}
        answer["compare"] = energy_json.compared(found, beside, figures)
    return json_response(answer)


@routes.get(
    "/api/v1/energy/balance",
    permission="read",
    params=[*_PERIOD, _COMPARE, _RESOLUTION, _DECIMAL],
    answers={
        200: Answer("columns with an entry per bucket, null where nothing is known; energy in Wh",
                    ref("Object"), _TABLES),
        **_REFUSED,
    },
)  # fmt: skip
async def get_balance(request: web.Request) -> web.Response:
    """Flows, sources of the use, devices, cost and CO2 by buckets; CSV and Arrow by `Accept`."""
    hub = hub_of(request)
    one = _asked(request, hub)
    resolution = _resolution(request, one)
    found = await _sums(hub, one, resolution)
    if _wants_table(request):
        return await _table(request, await asyncio.to_thread(energy_json.balance_table, found))
    # thousands of buckets take a while, which the loop has not
    columns = await asyncio.to_thread(energy_json.balance, found, _zone(hub), resolution)
    answer = {**_head(hub, one), **columns}
    other = _comparison(request, hub, one)
    if other is not None:
        beside = await _sums(hub, other, resolution)
        columns = await asyncio.to_thread(energy_json.balance, beside, _zone(hub), resolution)
        figures = {**_head(hub, other), **columns}
        answer["compare"] = energy_json.compared(found, beside, figures)
    return json_response(answer)


@routes.get(
    "/api/v1/energy/flows",
    permission="read",
    params=_PERIOD,
    answers={
        200: Answer("nodes and links without loops; energy in Wh, CO2 in kg", ref("Object")),
        **_REFUSED,
    },
)
async def get_flows(request: web.Request) -> web.Response:
    """Where energy came from and went to, as a graph: what comes into a node goes out of it."""
    hub = hub_of(request)
    one = _asked(request, hub)
    found = await _sums(hub, one, _whole(one))
    graph = flows_json(found.whole, found.now_ms)
    for node in graph["nodes"]:
        device = hub.registry.devices.get(node["device"])
        node["name"] = device.name if device else ""
        node["area"] = device.area if device else None
    return json_response({**_head(hub, one), **graph})


@routes.get(
    "/api/v1/energy/devices",
    permission="read",
    params=[*_PERIOD, _COMPARE, _DECIMAL],
    answers={
        200: Answer("every device with its sources, cost and CO2, and the rest of the site", ref("Object"), _TABLES),
        **_REFUSED,
    },
)  # fmt: skip
async def get_devices(request: web.Request) -> web.Response:
    """Use of every device, where it came from and what it cost; with losses and stock they are the site."""
    hub = hub_of(request)
    one = _asked(request, hub)
    found = await _sums(hub, one, _whole(one))
    if _wants_table(request):
        names = {name: device.name for name, device in hub.registry.devices.items()}
        return await _table(request, energy_json.devices_table(found, names))
    answer = {**_head(hub, one), **_named(hub, devices_json(found.whole, found.now_ms))}
    other = _comparison(request, hub, one)
    if other is not None:
        beside = await _sums(hub, other, _whole(other))
        figures = {**_head(hub, other), **_named(hub, devices_json(beside.whole, beside.now_ms))}
        answer["compare"] = energy_json.compared(found, beside, figures)
    return json_response(answer)


@routes.get(
    "/api/v1/energy/heatmap",
    permission="read",
    params=[*_PERIOD, Param("flow", "use if absent", {"type": "string", "enum": list(HOUR_FLOWS)})],
    answers={
        200: Answer("energy by day in Wh, mean power by weekday and hour in W", ref("Object")),
        **_REFUSED,
    },
)
async def get_heatmap(request: web.Request) -> web.Response:
    """A flow by day of the calendar, and by hour of the week (Monday first)."""
    hub = hub_of(request)
    one = _asked(request, hub)
    flow = request.query.get("flow", "use")
    if flow not in HOUR_FLOWS:
        raise BadRequest("WL-API-400", f"flow is one of {', '.join(HOUR_FLOWS)}", where="flow")
    hours = await _answer(hub, GetEnergyHours(one.start_ms, one.end_ms))
    return json_response(
        {**_head(hub, one), **await asyncio.to_thread(energy_json.heatmap, hours, flow, one)}
    )


@routes.get(
    "/api/v1/energy/sessions",
    permission="read",
    params=[*_PERIOD, Param("device", "one charger; all if absent")],
    answers={200: Answer("charging sessions, oldest first", ref("Object")), **_REFUSED},
)
async def get_sessions(request: web.Request) -> web.Response:
    """Charging sessions of cars: when, how much, what from and what it cost."""
    hub = hub_of(request)
    one = _asked(request, hub, period="month")
    found = await _answer(hub, GetSessions(one.start_ms, one.end_ms, request.query.get("device")))
    items = [energy_json.session(session, _zone(hub)) for session in found]
    return json_response({**_head(hub, one), "items": items})


@routes.get(
    "/api/v1/energy/media",
    permission="read",
    params=[*_PERIOD, _RESOLUTION],
    answers={
        200: Answer("volumes in m3, energy in Wh, null where nothing is known", ref("Object")),
        **_REFUSED,
    },
)
async def get_media(request: web.Request) -> web.Response:
    """Gas, water and heat by buckets, and how well heat pumps did."""
    hub = hub_of(request)
    one = _asked(request, hub)
    resolution = _resolution(request, one)
    found = await _answer(hub, GetMedia(one.start_ms, one.end_ms, resolution))
    head = _head(hub, one)
    head["unit"] = {"energy": "Wh", "volume": "m3"}
    return json_response({**head, **energy_json.media(found, resolution)})


@routes.get(
    "/api/v1/energy/setup-check",
    permission="read",
    params=[Param("start", f"{CHECK_DAYS} days ago if absent"), Param("end", "now if absent")],
    answers={
        200: Answer("likely faults of roles, signs and trees, with evidence in Wh", ref("Object")),
        **_REFUSED,
    },
)
async def check_setup(request: web.Request) -> web.Response:
    """Does the house look wired as it is configured?"""
    hub = hub_of(request)
    now_ms = hub.clock.now_ms()
    end_ms = _moment(request, hub, "end", now_ms)
    start_ms = _moment(request, hub, "start", max(end_ms - CHECK_DAYS * DAY_MS, 0))
    if start_ms >= end_ms:
        raise BadRequest("WL-API-400", "start lies after end", where="start")
    found = await _answer(hub, CheckSetup(start_ms, end_ms))
    return json_response({"start": start_ms, "end": end_ms, "items": findings_json(found)})


# --- parameters


def _zone(hub: Hub) -> str:
    return hub.config.site.time_zone


def _head(hub: Hub, one: Asked) -> dict[str, Any]:
    return energy_json.head(_zone(hub), hub.config.site.currency, one)


def _moment(request: web.Request, hub: Hub, name: str, default: int) -> int:
    return moment_ms(request.query[name], name, site_zone(hub)) if name in request.query else default


def _asked(request: web.Request, hub: Hub, period: str = "day") -> Asked:
    """The period that is asked for, or the range ``start`` to ``end``."""
    zone, now_ms = _zone(hub), hub.clock.now_ms()
    if "start" in request.query or "end" in request.query:
        end_ms = _moment(request, hub, "end", now_ms)
        start_ms = _moment(request, hub, "start", max(end_ms - DAY_MS, 0))
        if start_ms >= end_ms:
            raise BadRequest("WL-API-400", "start lies after end", where="start")
        return custom(zone, start_ms, end_ms)
    text = request.query.get("at")
    at = local_date(zone, now_ms) if text is None else _date(text)
    return asked(zone, request.query.get("period", period), at)


def _date(text: str) -> date:
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) is None:
            raise ValueError(text)
        found = date.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(
            "WL-API-400", f"{text[:40]!r} is no date", where="at", hint="such as 2026-11-22"
        ) from error
    if not 1971 <= found.year <= 2098:
        raise BadRequest("WL-API-400", "the date lies outside 1971 to 2098", where="at")
    return found


def _comparison(request: web.Request, hub: Hub, one: Asked) -> Asked | None:
    how = request.query.get("compare")
    return None if how is None else compared_period(_zone(hub), one, how, hub.clock.now_ms())


def _resolution(request: web.Request, one: Asked) -> str:
    text = request.query.get("resolution")
    if text is not None:
        return text
    if one.period in RESOLUTION:
        return RESOLUTION[one.period]
    return next((name for limit_ms, name in _AUTO if one.end_ms - one.start_ms <= limit_ms), "1mo")


def _whole(one: Asked) -> str:
    """The coarsest buckets that a range can be read by: only its whole is looked at."""
    return "1d" if one.end_ms - one.start_ms <= 400 * DAY_MS else "1mo"


async def _sums(hub: Hub, one: Asked, resolution: str) -> EnergySums:
    return await _answer(hub, GetEnergySums(one.start_ms, one.end_ms, resolution))


async def _answer(hub: Hub, question: EnergyRequest[T]) -> T:
    return await ask(hub.processing, question, timeout_s=ENERGY_LIMIT_S)


def _named(hub: Hub, lines: dict[str, Any]) -> dict[str, Any]:
    for line in lines["devices"]:
        device = hub.registry.devices.get(line["device"])
        line["name"] = device.name if device else ""
        line["area"] = device.area if device else None
    return lines


def _wants_table(request: web.Request) -> bool:
    accepted = request.headers.get("Accept", "")
    return ARROW in accepted or CSV in accepted


async def _table(request: web.Request, columns: Sequence[Column]) -> web.Response:
    if ARROW in request.headers.get("Accept", ""):
        return web.Response(body=await arrow_bytes(columns), content_type=ARROW)
    decimal = request.query.get("decimal", "point")
    if decimal not in ("point", "comma"):
        raise BadRequest("WL-API-400", "decimal is point or comma", where="decimal")
    body = await asyncio.to_thread(csv_bytes, columns, comma=decimal == "comma")
    return web.Response(body=body, content_type=CSV, charset="utf-8")
