"""Tariffs, prices and bills."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from hub.actors.money_requests import (
    AskWhatIf,
    ChangeTariff,
    CreatePriceSeries,
    CreateTariff,
    DropPriceRows,
    GetBill,
    GetPriceRows,
    GetPriceSeries,
    GetTariffs,
    PutPriceRows,
    RemovePriceSeries,
    RemoveTariff,
)
from hub.config.money_shapes import PRICE_SERIES, TARIFF, TARIFF_CHANGES
from hub.energy.bill import Bill
from hub.errors import NotFound
from hub.runtime.actor import request as ask
from web.body import json_document
from web.history_table import CSV
from web.hub import hub_of
from web.money_json import (
    bill_csv,
    bill_json,
    in_ms,
    price_page_json,
    price_series_json,
    sent_rows,
    stored_prices_json,
    tariff_json,
    what_if_json,
)
from web.money_scenario import scenario_of
from web.money_shapes import PRICE_ROWS, WHAT_IF
from web.params import DAY_MS, limit_of, moment_ms, number_cursor, page
from web.problems import BadRequest
from web.routes import Answer, Routes
from web.schemas import CURSOR, END, LIMIT, PAGE, START, Param, Shape, page_of, path_id, ref
from web.serialize import json_response, no_content, page_response
from web.zone import site_zone

routes = Routes("money")

BILL_LIMIT_S = 60.0
PRICE_BODY_BYTES = 8 << 20
_TARIFF = path_id("tariff", "id of the tariff")
_PRICES = path_id("prices", "id of the price series")
POINT = Param("metering_point", "`grid` if absent, or the id of a device")
FROM = Param("start", "ISO 8601 (without offset: the site's time) or epoch milliseconds", required=True)
UNTIL = Param("end", "as `start`; exclusive", required=True)
MISSING = Answer("missing, or not yours", ref("Problem"))
WRONG = Answer("wrong; `errors` names every field", ref("Problem"))
TAKEN = Answer("the id is taken, or the configuration keeps it (read-only here)", ref("Problem"))
_ONE_TARIFF = {200: Answer("the tariff", ref("Tariff")), 404: MISSING, 409: TAKEN, 422: WRONG}


# --- tariffs


@routes.get(
    "/api/v1/tariffs", permission="read", params=PAGE, answers={200: Answer("tariffs", page_of("Tariff"))}
)
async def list_tariffs(request: web.Request) -> web.Response:
    """All tariffs, of the configuration and of people."""
    tariffs = await ask(hub_of(request).processing, GetTariffs())
    shown, cursor = page(request, tariffs, lambda view: view.tariff.id)
    return page_response(shown, tariff_json, cursor)


@routes.post(
    "/api/v1/tariffs",
    permission="tariffs.write",
    body=Shape(TARIFF),
    answers={201: Answer("the tariff", ref("Tariff")), 409: TAKEN, 422: WRONG},
)
async def create_tariff(request: web.Request) -> web.Response:
    """Add a tariff."""
    made = await ask(hub_of(request).processing, CreateTariff(_own(await json_document(request))))
    return json_response(tariff_json(made), status=201)


@routes.get(
    "/api/v1/tariffs/{tariff}",
    permission="read",
    params=[_TARIFF],
    answers={200: Answer("the tariff", ref("Tariff")), 404: MISSING},
)
async def get_tariff(request: web.Request) -> web.Response:
    """One tariff with all its versions."""
    wanted = request.match_info["tariff"]
    for view in await ask(hub_of(request).processing, GetTariffs()):
        if view.tariff.id == wanted:
            return json_response(tariff_json(view))
    raise NotFound("WL-API-404", f"there is no tariff {wanted[:80]!r}", where="tariff")


@routes.put(
    "/api/v1/tariffs/{tariff}",
    permission="tariffs.write",
    params=[_TARIFF],
    body=Shape(TARIFF),
    answers=_ONE_TARIFF,
)
async def put_tariff(request: web.Request) -> web.Response:
    """Replace a tariff as a whole."""
    return await _change_tariff(request, whole=True)


@routes.patch(
    "/api/v1/tariffs/{tariff}",
    permission="tariffs.write",
    params=[_TARIFF],
    body=Shape(TARIFF_CHANGES),
    answers=_ONE_TARIFF,
)
async def patch_tariff(request: web.Request) -> web.Response:
    """Change fields of a tariff; `versions` replaces all of them."""
    return await _change_tariff(request, whole=False)


async def _change_tariff(request: web.Request, *, whole: bool) -> web.Response:
    sent = _own(await json_document(request))
    change = ChangeTariff(request.match_info["tariff"], sent, whole)
    return json_response(tariff_json(await ask(hub_of(request).processing, change)))


@routes.delete(
    "/api/v1/tariffs/{tariff}",
    permission="tariffs.write",
    params=[_TARIFF],
    answers={204: Answer("gone"), 404: MISSING, 409: TAKEN},
)
async def remove_tariff(request: web.Request) -> web.Response:
    """Remove a tariff."""
    await ask(hub_of(request).processing, RemoveTariff(request.match_info["tariff"]))
    return no_content()


def _own(sent: Any) -> Any:
    """What a client may have got from here and sends back, without what it cannot set."""
    if not isinstance(sent, dict):
        return sent
    return {key: value for key, value in sent.items() if key not in ("kept_by", "updated_ms")}


# --- prices


@routes.get(
    "/api/v1/prices",
    permission="read",
    params=PAGE,
    answers={200: Answer("price series", page_of("PriceSeries"))},
)
async def list_prices(request: web.Request) -> web.Response:
    """All price series and how far their rows reach."""
    zone = site_zone(hub_of(request))
    found = await ask(hub_of(request).processing, GetPriceSeries())
    shown, cursor = page(request, found, lambda view: view.series.id)
    return page_response(shown, lambda view: price_series_json(view, zone), cursor)


@routes.post(
    "/api/v1/prices",
    permission="tariffs.write",
    body=Shape(PRICE_SERIES),
    answers={201: Answer("the price series", ref("PriceSeries")), 409: TAKEN, 422: WRONG},
)
async def create_prices(request: web.Request) -> web.Response:
    """Add a price series."""
    made = await ask(hub_of(request).processing, CreatePriceSeries(await json_document(request)))
    return json_response(price_series_json(made, site_zone(hub_of(request))), status=201)


@routes.get(
    "/api/v1/prices/{prices}",
    permission="read",
    params=[_PRICES, START, END, LIMIT, CURSOR],
    answers={200: Answer("rows that reach into the range", ref("PriceRows")), 404: MISSING},
)
async def get_prices(request: web.Request) -> web.Response:
    """Prices of a time; from yesterday to the day after tomorrow where no time is given."""
    hub, zone = hub_of(request), site_zone(hub_of(request))
    now_ms, query = hub.clock.now_ms(), request.query
    start_ms = moment_ms(query["start"], "start", zone) if "start" in query else now_ms - DAY_MS
    end_ms = moment_ms(query["end"], "end", zone) if "end" in query else max(now_ms, start_ms) + 2 * DAY_MS
    if start_ms > end_ms:
        raise BadRequest("WL-API-400", "start lies after end", where="start")
    first_ms = max(start_ms, number_cursor(request) or 0)
    question = GetPriceRows(request.match_info["prices"], first_ms, end_ms, limit_of(request, 10_000, 40_000))
    found = await ask(hub.processing, question)
    return json_response(await asyncio.to_thread(price_page_json, found, zone))


@routes.post(
    "/api/v1/prices/{prices}",
    permission="tariffs.write",
    params=[_PRICES],
    body=Shape(PRICE_ROWS),
    answers={
        200: Answer(
            "how many rows were new or different; sending rows again changes nothing", ref("StoredPrices")
        ),
        409: TAKEN,
        422: WRONG,
    },
)
async def put_prices(request: web.Request) -> web.Response:
    """Store rows of prices, all or none; a new id becomes a price series in the site's currency per kWh."""
    hub = hub_of(request)
    body = await json_document(request, PRICE_BODY_BYTES)
    rows = await asyncio.to_thread(sent_rows, body, site_zone(hub))  # a year of prices takes half a second
    stored = await ask(
        hub.processing, PutPriceRows(request.match_info["prices"], rows), timeout_s=BILL_LIMIT_S
    )
    return json_response(stored_prices_json(stored))


@routes.delete(
    "/api/v1/prices/{prices}",
    permission="tariffs.write",
    params=[_PRICES, START, END],
    answers={204: Answer("gone"), 404: MISSING, 409: TAKEN},
)
async def remove_prices(request: web.Request) -> web.Response:
    """Remove the rows of a time (`start` and `end`), or the whole price series."""
    hub, query = hub_of(request), request.query
    name = request.match_info["prices"]
    if not query.keys() & {"start", "end"}:
        await ask(hub.processing, RemovePriceSeries(name))
        return no_content()
    start_ms, end_ms = required_range(request)
    await ask(hub.processing, DropPriceRows(name, start_ms, end_ms))
    return no_content()


# --- bills


@routes.get(
    "/api/v1/bills",
    permission="read",
    params=[POINT, FROM, UNTIL, Param("tariff", "id of another tariff than that of the metering point")],
    answers={
        200: Answer(
            "money and energy are decimal texts; CSV has one row per line",
            ref("Bill"),
            ("application/json", CSV),
        ),
        404: Answer("no such metering point, no such tariff, or none for it", ref("Problem")),
        422: Answer("a border is not on a quarter hour, or the range is too long", ref("Problem")),
    },
)
async def get_bill(request: web.Request) -> web.Response:
    """The itemised bill of a metering point."""
    point = request.query.get("metering_point", "grid")
    question = GetBill(point, *required_range(request), request.query.get("tariff"))
    return bill_response(request, await ask(hub_of(request).processing, question, timeout_s=BILL_LIMIT_S))


@routes.post(
    "/api/v1/bills/what-if",
    permission="read",
    audited=False,
    body=Shape(WHAT_IF),
    answers={200: Answer("both bills", ref("WhatIf")), 404: MISSING, 422: WRONG},
)
async def ask_what_if(request: web.Request) -> web.Response:
    """The bill of a time by another tariff, with a battery, or with more or fewer panels."""
    hub = hub_of(request)
    question: AskWhatIf = scenario_of(in_ms(await json_document(request), ("start", "end"), site_zone(hub)))
    answer = await ask(hub.processing, question, timeout_s=BILL_LIMIT_S)
    return json_response(what_if_json(answer, site_zone(hub)))


def required_range(request: web.Request) -> tuple[int, int]:
    """``start`` and ``end``, both given and the right way round.

    Raises:
        BadRequest: ``WL-API-400``.
    """
    zone = site_zone(hub_of(request))
    for name in ("start", "end"):
        if name not in request.query:
            raise BadRequest("WL-API-400", f"say the {name} of the time", where=name)
    start_ms, end_ms = (moment_ms(request.query[name], name, zone) for name in ("start", "end"))
    if start_ms >= end_ms:
        raise BadRequest("WL-API-400", "end does not lie after start", where="end")
    return start_ms, end_ms


def bill_response(request: web.Request, bill: Bill) -> web.Response:
    """A bill as JSON, or as CSV where that is asked for."""
    if CSV in request.headers.get("Accept", ""):
        return web.Response(text=bill_csv(bill), content_type=CSV, charset="utf-8")
    return json_response(bill_json(bill, site_zone(hub_of(request))))
