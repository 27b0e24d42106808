"""JSON Schemas of what is sent and answered about money, for the API's documentation."""

from __future__ import annotations

from typing import Any, Final

from hub.config.money_shapes import PRICE_SERIES_FIELDS, TARIFF_FIELDS

_TEXT: Final = {"type": "string"}
_BOOL: Final = {"type": "boolean"}
_NUMBER: Final = {"type": "number"}
_INT: Final = {"type": "integer"}
_DECIMAL: Final = {"type": "string", "description": "decimal number", "examples": ["0.3120"]}
_SENT_DECIMAL: Final = {"type": ["string", "number"], "description": "decimal number", "examples": ["0.3120"]}
_AT: Final = {"type": "string", "format": "date-time", "description": "site-local time with its offset"}
_TIME: Final = {
    "type": ["string", "integer"],
    "description": "ISO 8601 (without offset: the site's time) or epoch milliseconds",
}
_ID: Final = {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}$"}
_KEEPER: Final = {"type": "string", "enum": ["yaml", "api"], "description": "yaml: read-only here"}
_QUALITY: Final = {"type": "object", "description": "shares of the time: measured, late, estimated, …"}
PRICE_ROWS: Final[dict[str, Any]] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["start", "end", "price"],
        "additionalProperties": False,
        "properties": {"start": _TIME, "end": _TIME, "price": _SENT_DECIMAL},
    },
}
_INVOICE: Final = {
    "id": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"},
    "metering_point": _TEXT,
    "start": _TIME,
    "end": _TIME,
    "number": _TEXT,
    "total": {**_SENT_DECIMAL, "type": ["string", "number", "null"]},
    "lines": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["component", "amount"],
            "properties": {
                "component": _TEXT,
                "side": {"type": "string", "enum": ["", "import", "export"]},
                "kind": _TEXT,
                "quantity": _SENT_DECIMAL,
                "unit_price": _SENT_DECIMAL,
                "amount": _SENT_DECIMAL,
            },
        },
    },
}
INVOICE: Final[dict[str, Any]] = {
    "type": "object", "required": ["start", "end"], "additionalProperties": False, "properties": _INVOICE,
}  # fmt: skip
_RANGE: Final = {"metering_point": _TEXT, "start": _TIME, "end": _TIME}
WHAT_IF: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["start", "end"],
    "additionalProperties": False,
    "properties": {
        **_RANGE,
        "tariff": {"description": "id of a tariff, or a whole one", "type": ["string", "object", "null"]},
        "battery": {
            "type": ["object", "null"],
            "required": ["capacity_kwh", "power_kw"],
            "additionalProperties": False,
            "properties": {
                "capacity_kwh": _SENT_DECIMAL,
                "power_kw": _SENT_DECIMAL,
                "efficiency": {**_SENT_DECIMAL, "description": "AC to AC over a cycle; 0.9 if absent"},
                "strategy": {"type": "string", "enum": ["self_consumption", "price"]},
            },
        },
        "pv_scale": {**_SENT_DECIMAL, "description": "1: the panels as they are; 2: twice as many"},
    },
}
COMPARE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["invoice"],
    "additionalProperties": False,
    "properties": {
        "invoice": {"description": "id of an invoice, or a whole one", "type": ["string", "object"]},
        "tariff": {"type": ["string", "null"], "description": "id; that of the metering point if absent"},
    },
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _maybe(shape: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [shape, {"type": "null"}]}


_BILL_LINE: Final = _object(
    component=_TEXT, side={"type": "string", "enum": ["import", "export"]}, kind=_TEXT, quantity=_DECIMAL,
    unit=_TEXT, unit_price=_DECIMAL, amount=_DECIMAL, pending_kwh=_DECIMAL,
)  # fmt: skip
_BILL: Final = _object(
    metering_point=_TEXT, tariff=_TEXT, currency=_TEXT, start=_AT, end=_AT,
    lines={"type": "array", "items": _BILL_LINE}, total=_DECIMAL, pending_kwh=_DECIMAL, quality=_QUALITY,
)  # fmt: skip
COMPONENTS: Final[dict[str, Any]] = {
    "Tariff": _object(**{**TARIFF_FIELDS, "kept_by": _KEEPER}),
    "PriceSeries": _object(
        **{**PRICE_SERIES_FIELDS, "kept_by": _KEEPER, "start": _maybe(_AT), "end": _maybe(_AT), "rows": _INT}
    ),
    "PriceRows": _object(
        id=_TEXT, unit=_TEXT, items={"type": "array", "items": _object(start=_AT, end=_AT, price=_DECIMAL)},
        next=_maybe(_TEXT),
    ),
    "StoredPrices": _object(received=_INT, stored=_INT, created=_BOOL),
    "Bill": _BILL,
    "WhatIf": _object(currency=_TEXT, saving=_DECIMAL, actual=_BILL, scenario=_BILL),
    "Invoice": _object(**{**_INVOICE, "start": _AT, "end": _AT, "total": _maybe(_DECIMAL)}),
    "ComparedInvoice": _object(invoice={"type": "object"}, bill=_BILL, rows={"type": "array"}),
    "Budget": _object(
        id=_ID, name=_TEXT, metering_point=_TEXT, period=_TEXT, amount=_maybe(_DECIMAL),
        energy_kwh=_maybe(_DECIMAL), kept_by=_KEEPER, unit=_TEXT, start=_AT, end=_AT, used=_maybe(_DECIMAL),
        used_share=_maybe(_NUMBER), even=_maybe(_DECIMAL), projected=_maybe(_DECIMAL),
        projected_low=_maybe(_DECIMAL), projected_high=_maybe(_DECIMAL), will_exceed=_maybe(_BOOL),
        pending_kwh=_DECIMAL, why=_maybe(_TEXT),
    ),
    "Peak": _object(
        metering_point=_TEXT, tariff=_maybe(_TEXT), currency=_maybe(_TEXT), start=_AT, elapsed_s=_NUMBER,
        remaining_s=_NUMBER, power=_NUMBER, energy_kwh=_DECIMAL, projected=_NUMBER, allowed=_NUMBER,
        headroom=_NUMBER, billed_peak=_NUMBER, usual_peak=_NUMBER,
        month_peak=_maybe(_object(month=_TEXT, start=_AT, power=_NUMBER)), new_peak=_BOOL,
        at_stake=_maybe(_DECIMAL),
    ),
}  # fmt: skip
"""Named shapes of answers, by name."""
