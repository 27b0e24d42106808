"""Money ↔ JSON: decimals are texts, times site-local ISO texts; what is sent is read with the path of each fault."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

from hub.actors.money_requests import (
    BudgetView,
    ComparedInvoice,
    PeakView,
    PricePage,
    PriceView,
    SentPrice,
    StoredPrices,
    TariffView,
)
from hub.energy.bill import Bill
from hub.energy.money import decimal_text
from hub.energy.money_entries import Invoice
from hub.energy.price_grid import E8, PriceUnit
from hub.energy.whatif import WhatIf
from hub.errors import Refused
from hub.storage.prices import PriceRow
from web.params import MAX_MS, moment_ms
from web.problems import RefusedInParts

MAX_ROWS: Final = 40_000
"""A year of quarters of an hour in one message."""
_ROW_KEYS: Final = frozenset({"start", "end", "price"})
_PLAIN_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?\Z", re.ASCII)
_RISKY: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # some take the wide ones, too
_COLUMNS: Final = (
    "component", "side", "kind", "quantity", "unit", "unit_price", "amount", "pending_kwh", "formula",
)  # fmt: skip


def money_text(amount_e8: int) -> str:
    """1e-8 currency as decimal text with at least two places."""
    return decimal_text(Fraction(amount_e8, E8), least=2, most=8)


def local_text(ts_ms: int, zone: ZoneInfo) -> str:
    """``2026-03-01T00:00:00+01:00``."""
    return datetime.fromtimestamp(ts_ms / 1000, zone).isoformat(
        timespec="auto" if ts_ms % 1000 else "seconds"
    )


def _maybe_text(ts_ms: int | None, zone: ZoneInfo) -> str | None:
    return None if ts_ms is None else local_text(ts_ms, zone)


# --- answers


def tariff_json(view: TariffView) -> dict[str, Any]:
    """A tariff as it is written, with the defaults of what was left out, and who keeps it."""
    tariff = view.tariff
    head = {
        "id": tariff.id, "name": tariff.name, "metering_point": tariff.metering_point, "currency": tariff.currency,
    }  # fmt: skip
    return {**head, **tariff.as_data(), "kept_by": view.source, "updated_ms": view.updated_ms}


def bill_json(bill: Bill, zone: ZoneInfo) -> dict[str, Any]:
    """A bill with local times."""
    shown = bill.as_json()
    for one in (shown, *shown["lines"], *shown["peaks"]):
        one |= {name: local_text(one[name], zone) for name in ("start", "end") if name in one}
    return shown


def price_series_json(view: PriceView, zone: ZoneInfo) -> dict[str, Any]:
    """A price series and the reach of its rows."""
    return {
        **view.series.as_json(),
        "kept_by": view.kept_by,
        "start": _maybe_text(view.first_ms, zone),
        "end": _maybe_text(view.end_ms, zone),
        "rows": view.rows,
    }


def price_page_json(page: PricePage, zone: ZoneInfo) -> dict[str, Any]:
    """Rows in the unit of their series."""
    unit = page.series.unit
    return {
        "id": page.series.id,
        "unit": unit.text,
        "items": [_row_json(row, unit, zone) for row in page.rows],
        "next": None if page.next_ms is None else str(page.next_ms),
    }


def _row_json(row: PriceRow, unit: PriceUnit, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "start": local_text(row.start_ms, zone),
        "end": local_text(row.end_ms, zone),
        "price": unit.text_of(row.price_e8),
    }


def stored_prices_json(stored: StoredPrices) -> dict[str, Any]:
    """What became of sent rows."""
    return {"received": stored.received, "stored": stored.stored, "created": stored.created}


def what_if_json(answer: WhatIf, zone: ZoneInfo) -> dict[str, Any]:
    """Both bills and what the scenario saves."""
    return {
        "currency": answer.actual.currency,
        "saving": money_text(answer.saving_e8),
        "actual": bill_json(answer.actual, zone),
        "scenario": bill_json(answer.scenario, zone),
    }


def invoice_json(invoice: Invoice, zone: ZoneInfo) -> dict[str, Any]:
    """An invoice as it was copied."""
    return {
        **invoice.as_json(),
        "start": local_text(invoice.start_ms, zone),
        "end": local_text(invoice.end_ms, zone),
    }


def compared_json(answer: ComparedInvoice, zone: ZoneInfo) -> dict[str, Any]:
    """An invoice, our bill of its period, and the comparison line by line."""
    compared = answer.comparison.as_json()
    for line in (line for row in compared["rows"] for line in row["ours"]):
        line |= {name: local_text(line[name], zone) for name in ("start", "end")}
    return {
        "invoice": invoice_json(answer.invoice, zone),
        "bill": bill_json(answer.bill, zone),
        **compared,
    }


def budget_json(view: BudgetView, zone: ZoneInfo) -> dict[str, Any]:
    """A budget with its running period; figures are in its currency, or in kWh for energy."""
    state, budget = view.state, view.budget
    energy = budget.amount is None
    figures: dict[str, Any] = dict.fromkeys(
        ("used", "used_share", "even", "projected", "projected_low", "projected_high", "will_exceed")
    )
    if state is not None:
        shown = _kwh_text if energy else money_text
        figures = {
            "used": shown(state.used_e8),
            "used_share": round(state.used_share, 6),
            "even": decimal_text(Fraction(state.even_e8, 1_000_000 if energy else E8), least=2, most=2),
            "projected": None if state.projected_e8 is None else shown(state.projected_e8),
            "projected_low": None if state.projected_low_e8 is None else shown(state.projected_low_e8),
            "projected_high": None if state.projected_high_e8 is None else shown(state.projected_high_e8),
            "will_exceed": state.will_exceed,
        }
    return {
        **budget.as_json(),
        "kept_by": view.kept_by,
        "unit": "kWh" if energy else view.currency,
        "start": local_text(view.start_ms, zone),
        "end": local_text(view.end_ms, zone),
        **figures,
        "pending_kwh": _kwh_text(view.pending_mwh),
        "why": view.why or None,
    }


def _kwh_text(mwh: int) -> str:
    return decimal_text(Fraction(mwh, 1_000_000), least=0, most=6)


def peak_json(view: PeakView, zone: ZoneInfo) -> dict[str, Any]:
    """The running quarter hour; powers in W, what is at stake as decimal text."""
    state, month = view.state, view.state.month_peak
    return {
        "metering_point": view.metering_point,
        "tariff": view.tariff,
        "currency": view.currency or None,
        "start": local_text(state.quarter_ms, zone),
        "elapsed_s": state.elapsed_ms / 1000,
        "remaining_s": state.remaining_ms / 1000,
        "power": round(state.power_w, 3),
        "energy_kwh": _kwh_text(state.energy_mwh),
        "projected": round(state.projected_w, 3),
        "allowed": round(state.allowed_w, 3),
        "headroom": round(state.headroom_w, 3),
        "billed_peak": round(state.billed_peak_w, 3),
        "month_peak": None
        if month is None
        else {
            "month": month.month,
            "start": local_text(month.start_ms, zone),
            "power": month.power_mw / 1000,
        },
        "usual_peak": round(state.usual_peak_w, 3),
        "new_peak": state.is_new_peak,
        "at_stake": money_text(state.at_stake_e8) if view.tariff else None,
    }


def bill_csv(bill: Bill) -> str:
    """The lines of a bill and its total as CSV."""
    shown = bill.as_json()
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for line in shown["lines"]:
        writer.writerow([guarded(line.get(name)) for name in _COLUMNS])
    total = {"component": "Total", "unit": shown["currency"], "amount": shown["total"]}
    total["pending_kwh"] = shown["pending_kwh"]
    writer.writerow([guarded(total.get(name)) for name in _COLUMNS])
    return text.getvalue()


def guarded(cell: object) -> str:
    """A cell that no spreadsheet takes for a formula; plain numbers stay numbers."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(_RISKY) and not _PLAIN_NUMBER.match(text) else text


# --- what is sent


def sent_rows(body: Any, zone: ZoneInfo) -> list[SentPrice]:
    """Rows of prices.

    Raises:
        RefusedInParts: ``WL-API-422``, with the path of every fault (the first hundred).
    """
    if not isinstance(body, list) or not 0 < len(body) <= MAX_ROWS:
        raise _refused([_fault("", f"the body must be a list of 1 to {MAX_ROWS:,} rows")])
    faults: list[Mapping[str, object]] = []
    rows: list[SentPrice] = []
    for at, sent in enumerate(body):
        row = _sent_row(at, sent, zone, faults)
        if row is not None:
            rows.append(row)
    if faults:
        raise _refused(faults[:100])
    return rows


def _sent_row(at: int, sent: Any, zone: ZoneInfo, faults: list[Mapping[str, object]]) -> SentPrice | None:
    """One row, None where something is wrong with it (noted)."""
    if not isinstance(sent, dict):
        faults.append(_fault(f"{at}", "must be an object with start, end and price"))
        return None
    before = len(faults)
    faults += [_fault(f"{at}.{name}", "is required") for name in sorted(_ROW_KEYS - sent.keys())]
    faults += [
        _fault(f"{at}.{name[:60]}", "is not known here") for name in list(sent.keys() - _ROW_KEYS)[:10]
    ]
    times = {}
    for name in ("start", "end"):
        if name in sent:
            try:
                times[name] = _body_ms(sent[name], f"{at}.{name}", zone)
            except Refused as error:
                faults.append(_fault(f"{at}.{name}", error.message))
    price = sent.get("price", "")
    if isinstance(price, bool) or not isinstance(price, str | int | float):
        faults.append(_fault(f"{at}.price", "must be a decimal number as text"))
    if len(faults) > before:
        return None
    return SentPrice(times["start"], times["end"], price)


def in_ms(sent: Any, names: tuple[str, ...], zone: ZoneInfo) -> Any:
    """The sent object with these times in epoch milliseconds; what is no object or has none stays as it is.

    Raises:
        RefusedInParts: ``WL-API-422``, a time that cannot be read.
    """
    if not isinstance(sent, dict):
        return sent
    faults: list[Mapping[str, object]] = []
    read = dict(sent)
    for name in names:
        if sent.get(name) is None:
            continue
        try:
            read[name] = _body_ms(sent[name], name, zone)
        except Refused as error:
            faults.append(_fault(name, error.message))
    if faults:
        raise _refused(faults)
    return read


def _body_ms(value: Any, name: str, zone: ZoneInfo) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_MS:
        return value
    if not isinstance(value, str):
        raise Refused("WL-API-422", "must be ISO 8601 or epoch milliseconds", where=name)
    return moment_ms(value, name, zone)


def _fault(field: str, detail: str) -> dict[str, object]:
    return {"field": field, "detail": detail}


def _refused(faults: list[Mapping[str, object]]) -> RefusedInParts:
    first = faults[0]
    return RefusedInParts("WL-API-422", str(first["detail"]), faults, where=str(first["field"]))
