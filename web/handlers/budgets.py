"""Budgets, invoices and the peak coach."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from hub.actors.money_requests import (
    BudgetView,
    ChangeBudget,
    CompareInvoice,
    CreateBudget,
    GetBudgetIds,
    GetBudgets,
    GetInvoices,
    GetPeak,
    PutInvoice,
    RemoveBudget,
    RemoveInvoice,
)
from hub.config.money_shapes import BUDGET, BUDGET_CHANGES
from hub.errors import NotFound
from hub.runtime.actor import request as ask
from web.body import json_document
from web.handlers.money import BILL_LIMIT_S, MISSING, POINT, TAKEN, WRONG
from web.hub import hub_of
from web.money_json import budget_json, compared_json, in_ms, invoice_json, peak_json
from web.money_shapes import COMPARE, INVOICE
from web.params import page
from web.problems import InvalidBody
from web.routes import Answer, Routes
from web.schemas import PAGE, Shape, page_of, path_id, ref
from web.serialize import json_response, no_content, page_response
from web.zone import site_zone

routes = Routes("money")

_BUDGET = path_id("budget", "id of the budget")
_INVOICE = path_id("invoice", "id of the invoice")
_ONE_BUDGET = {200: Answer("the budget and its state", ref("Budget")), 404: MISSING}
_ONE_INVOICE = {200: Answer("the invoice", ref("Invoice")), 404: MISSING}
_COMPUTED = ("kept_by", "unit", "start", "end", "used", "used_share", "even", "projected", "projected_low",
             "projected_high", "will_exceed", "pending_kwh", "why")  # fmt: skip


# --- budgets


@routes.get(
    "/api/v1/budgets", permission="read", params=PAGE, answers={200: Answer("budgets", page_of("Budget"))}
)
async def list_budgets(request: web.Request) -> web.Response:
    """All budgets with what is used of them and what the end of the period is heading for."""
    processing = hub_of(request).processing
    every = await ask(processing, GetBudgetIds())
    ids, cursor = page(request, every, str)
    shown = await ask(processing, GetBudgets(tuple(ids)), timeout_s=BILL_LIMIT_S)
    return page_response(shown, lambda view: budget_json(view, site_zone(hub_of(request))), cursor)


@routes.post(
    "/api/v1/budgets",
    permission="tariffs.write",
    body=Shape(BUDGET),
    answers={201: Answer("the budget", ref("Budget")), 409: TAKEN, 422: WRONG},
)
async def create_budget(request: web.Request) -> web.Response:
    """Add a budget."""
    change = CreateBudget(_settable(await json_document(request)))
    return _budget_response(
        request, await ask(hub_of(request).processing, change, timeout_s=BILL_LIMIT_S), 201
    )


@routes.get("/api/v1/budgets/{budget}", permission="read", params=[_BUDGET], answers=_ONE_BUDGET)
async def get_budget(request: web.Request) -> web.Response:
    """One budget."""
    question = GetBudgets((request.match_info["budget"],))
    (view,) = await ask(hub_of(request).processing, question, timeout_s=BILL_LIMIT_S)
    return _budget_response(request, view)


@routes.patch(
    "/api/v1/budgets/{budget}",
    permission="tariffs.write",
    params=[_BUDGET],
    body=Shape(BUDGET_CHANGES),
    answers=_ONE_BUDGET | {409: TAKEN, 422: WRONG},
)
async def patch_budget(request: web.Request) -> web.Response:
    """Change fields of a budget."""
    change = ChangeBudget(request.match_info["budget"], _object(_settable(await json_document(request))))
    return _budget_response(request, await ask(hub_of(request).processing, change, timeout_s=BILL_LIMIT_S))


@routes.delete(
    "/api/v1/budgets/{budget}",
    permission="tariffs.write",
    params=[_BUDGET],
    answers={204: Answer("gone"), 404: MISSING, 409: TAKEN},
)
async def remove_budget(request: web.Request) -> web.Response:
    """Remove a budget."""
    await ask(hub_of(request).processing, RemoveBudget(request.match_info["budget"]))
    return no_content()


def _budget_response(request: web.Request, view: BudgetView, status: int = 200) -> web.Response:
    return json_response(budget_json(view, site_zone(hub_of(request))), status=status)


def _settable(sent: Any) -> Any:
    """A budget as a client may have got it from here, without the figures."""
    if not isinstance(sent, dict):
        return sent
    return {key: value for key, value in sent.items() if key not in _COMPUTED}


def _object(sent: Any) -> dict[str, Any]:
    if not isinstance(sent, dict):
        raise InvalidBody([{"field": "", "detail": "the body must be a JSON object"}])
    return sent


# --- invoices


@routes.get(
    "/api/v1/invoices", permission="read", params=PAGE, answers={200: Answer("invoices", page_of("Invoice"))}
)
async def list_invoices(request: web.Request) -> web.Response:
    """All invoices that were copied here."""
    found = await ask(hub_of(request).processing, GetInvoices())
    shown, cursor = page(request, found, lambda one: one.id)
    return page_response(shown, lambda one: invoice_json(one, site_zone(hub_of(request))), cursor)


@routes.post(
    "/api/v1/invoices",
    permission="tariffs.write",
    body=Shape(INVOICE),
    answers={201: Answer("the invoice", ref("Invoice")), 409: TAKEN, 422: WRONG},
)
async def create_invoice(request: web.Request) -> web.Response:
    """Copy an invoice of the supplier; without an id its number, or its first day, becomes one."""
    made = await ask(hub_of(request).processing, PutInvoice(await _sent_invoice(request)))
    return json_response(invoice_json(made, site_zone(hub_of(request))), status=201)


@routes.get("/api/v1/invoices/{invoice}", permission="read", params=[_INVOICE], answers=_ONE_INVOICE)
async def get_invoice(request: web.Request) -> web.Response:
    """One invoice."""
    wanted = request.match_info["invoice"]
    for one in await ask(hub_of(request).processing, GetInvoices()):
        if one.id == wanted:
            return json_response(invoice_json(one, site_zone(hub_of(request))))
    raise NotFound("WL-API-404", f"there is no invoice {wanted[:80]!r}", where="invoice")


@routes.put(
    "/api/v1/invoices/{invoice}",
    permission="tariffs.write",
    params=[_INVOICE],
    body=Shape(INVOICE),
    answers=_ONE_INVOICE | {422: WRONG},
)
async def put_invoice(request: web.Request) -> web.Response:
    """Replace an invoice as a whole."""
    wanted = request.match_info["invoice"]
    sent = await _sent_invoice(request, wanted)
    kept = await ask(hub_of(request).processing, PutInvoice(sent, wanted))
    return json_response(invoice_json(kept, site_zone(hub_of(request))))


@routes.delete(
    "/api/v1/invoices/{invoice}",
    permission="tariffs.write",
    params=[_INVOICE],
    answers={204: Answer("gone"), 404: MISSING},
)
async def remove_invoice(request: web.Request) -> web.Response:
    """Remove an invoice."""
    await ask(hub_of(request).processing, RemoveInvoice(request.match_info["invoice"]))
    return no_content()


async def _sent_invoice(request: web.Request, invoice_id: str = "") -> dict[str, Any]:
    zone = site_zone(hub_of(request))
    sent = _object(in_ms(await json_document(request), ("start", "end"), zone))
    return {"id": invoice_id or _id_of(sent), **sent}


def _id_of(invoice: dict[str, Any]) -> str:
    """An id from the number of an invoice, else from the moment it begins."""
    number = str(invoice.get("number") or "").lower()
    slug = re.sub(r"[^a-z0-9]+", "-", number).strip("-")[:64]
    return slug or f"invoice-{invoice.get('start', 0)}"


@routes.post(
    "/api/v1/bills/compare",
    permission="read",
    audited=False,
    body=Shape(COMPARE),
    answers={
        200: Answer("both, and every line that differs", ref("ComparedInvoice")),
        404: MISSING,
        422: WRONG,
    },
)
async def compare_invoice(request: web.Request) -> web.Response:
    """An invoice beside the hub's own bill of its period, line by line."""
    hub = hub_of(request)
    sent = _object(await json_document(request))
    faults = [
        {"field": str(key)[:100], "detail": "is not known here"}
        for key in sent.keys() - {"invoice", "tariff"}
    ]
    invoice, tariff = sent.get("invoice"), sent.get("tariff")
    if not isinstance(invoice, str | dict):
        faults.append({"field": "invoice", "detail": "must be the id of an invoice, or a whole one"})
    if tariff is not None and not isinstance(tariff, str):
        faults.append({"field": "tariff", "detail": "must be the id of a tariff"})
    if faults:
        raise InvalidBody(faults)
    if isinstance(invoice, dict):
        invoice = in_ms(invoice, ("start", "end"), site_zone(hub))
        invoice = {"id": _id_of(invoice), **invoice}
    question = CompareInvoice(invoice or "", tariff)
    answer = await ask(hub.processing, question, timeout_s=BILL_LIMIT_S)
    return json_response(compared_json(answer, site_zone(hub)))


# --- the running quarter hour


@routes.get(
    "/api/v1/peak",
    permission="read",
    params=[POINT],
    answers={200: Answer("powers in W, what is at stake as decimal text", ref("Peak")), 404: MISSING},
)
async def get_peak(request: web.Request) -> web.Response:
    """Where the running quarter hour is heading, the headroom, and the money at stake."""
    question = GetPeak(request.query.get("metering_point", "grid"))
    hub = hub_of(request)
    return json_response(
        peak_json(await ask(hub.processing, question, timeout_s=BILL_LIMIT_S), site_zone(hub))
    )
