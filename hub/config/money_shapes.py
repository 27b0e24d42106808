"""JSON Schemas of tariffs, price series and budgets: for editors of YAML and for the API's documentation.

They are wider than the parsers, never narrower: :mod:`hub.energy.tariff` knows every rule of every line.
"""

from __future__ import annotations

from typing import Any, Final

_TEXT: Final = {"type": "string"}
_SENT_DECIMAL: Final = {"type": ["string", "number"], "description": "decimal number", "examples": ["0.3120"]}
_ID: Final = {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}$"}
_TARIFF_ID: Final = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}
_LINE: Final = {
    "type": "object",
    "description": "a line of the contract; the manual's page on tariffs explains all kinds",
    "examples": [
        {"energy": "Day", "price": "0.3120", "when": {"days": "mon-fri", "hours": "07:00-23:00"}},
        {"standing": "Meter rent", "price": "0.4500", "per": "day"},
        {"tax": "VAT", "percent": 21, "on": "all"},
    ],
}
_VERSION: Final = {
    "type": "object",
    "required": ["from"],
    "properties": {
        "from": {"type": "string", "format": "date", "description": "site-local midnight"},
        "rounding": {"type": "object"},
        "import": {"type": "array", "items": _LINE},
        "export": {"type": "array", "items": _LINE},
    },
}
TARIFF_FIELDS: Final = {
    "id": _TARIFF_ID,
    "name": _TEXT,
    "metering_point": {"type": "string", "description": "grid, or the id of a device"},
    "currency": {"type": "string", "description": "ISO 4217; the site's if absent"},
    "versions": {"type": "array", "minItems": 1, "items": _VERSION},
}
TARIFF: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "versions"],
    "properties": TARIFF_FIELDS,
}
TARIFF_CHANGES: Final[dict[str, Any]] = {"type": "object", "properties": TARIFF_FIELDS}
PRICE_SERIES_FIELDS: Final = {
    "id": _ID,
    "name": _TEXT,
    "unit": {"type": "string", "examples": ["EUR/kWh", "EUR/MWh", "ct/kWh"]},
    "source": {"type": "string", "description": "where the prices come from, for people"},
    "series": {"type": ["string", "null"], "description": "the hub's own series that carries the prices"},
}
PRICE_SERIES: Final[dict[str, Any]] = {
    "type": "object", "required": ["id"], "additionalProperties": False, "properties": PRICE_SERIES_FIELDS,
}  # fmt: skip
BUDGET_FIELDS: Final = {
    "id": _ID,
    "name": _TEXT,
    "metering_point": _TEXT,
    "period": {"type": "string", "enum": ["day", "month", "year"]},
    "amount": {**_SENT_DECIMAL, "type": ["string", "number", "null"]},
    "energy_kwh": {**_SENT_DECIMAL, "type": ["string", "number", "null"]},
}
BUDGET: Final[dict[str, Any]] = {
    "type": "object", "required": ["id"], "additionalProperties": False, "properties": BUDGET_FIELDS,
}  # fmt: skip
BUDGET_CHANGES: Final[dict[str, Any]] = {
    "type": "object", "additionalProperties": False, "properties": BUDGET_FIELDS,
}  # fmt: skip
