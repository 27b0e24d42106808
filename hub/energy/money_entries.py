"""What people write about money beside tariffs: price series, budgets and invoices, checked whole.

The same functions read the configuration and the API, so both refuse the same things with the same paths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Final, TypeVar

from hub.energy.invoice import InvoiceLine
from hub.energy.money import exact_decimal
from hub.energy.price_grid import PriceUnit, price_unit
from hub.energy.problems import Path, Problem, TariffProblems
from hub.errors import Refused

T = TypeVar("T")
_ID: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_POINT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_SERIES: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\.[a-z0-9][a-z0-9_]{0,63}\Z")
MAX_LINES: Final = 200


class BudgetPeriod(StrEnum):
    """How often a budget begins anew, at site-local midnights."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """A named series of prices; ``series`` is the public id of the hub's own series that carries them, if any."""

    id: str
    name: str
    unit: PriceUnit
    source: str
    series: str | None

    @property
    def formula_name(self) -> str:
        """Its name in formulas."""
        return self.id.replace("-", "_")

    def as_json(self) -> dict[str, Any]:
        """As it is written."""
        return {
            "id": self.id,
            "name": self.name,
            "unit": self.unit.text,
            "source": self.source,
            "series": self.series,
        }


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit per period: of money (``amount``) or of imported energy (``energy_kwh``), one of the two."""

    id: str
    name: str
    metering_point: str
    period: BudgetPeriod
    amount: Decimal | None
    energy_kwh: Decimal | None

    @property
    def limit_e8(self) -> int:
        """The limit in 1e-8 currency, or in mWh for energy."""
        if self.amount is not None:
            return int(self.amount * 10**8)
        return int((self.energy_kwh or Decimal(0)) * 10**6)

    def as_json(self) -> dict[str, Any]:
        """As it is written; decimals are texts."""
        return {
            "id": self.id,
            "name": self.name,
            "metering_point": self.metering_point,
            "period": self.period.value,
            "amount": None if self.amount is None else f"{self.amount:f}",
            "energy_kwh": None if self.energy_kwh is None else f"{self.energy_kwh:f}",
        }


@dataclass(frozen=True, slots=True)
class Invoice:
    """What a supplier asked for a period; ``total`` is None where only lines were copied."""

    id: str
    metering_point: str
    start_ms: int
    end_ms: int
    number: str
    lines: tuple[InvoiceLine, ...]
    total: Decimal | None

    def as_json(self) -> dict[str, Any]:
        """As it is written; decimals are texts."""
        return {
            "id": self.id,
            "metering_point": self.metering_point,
            "start": self.start_ms,
            "end": self.end_ms,
            "number": self.number,
            "total": _text(self.total),
            "lines": [
                {
                    "component": line.component,
                    "side": line.side,
                    "kind": line.kind,
                    "quantity": _text(line.quantity),
                    "unit_price": _text(line.unit_price),
                    "amount": _text(line.amount),
                }
                for line in self.lines
            ],
        }


def parse_price_series(data: Mapping[str, Any], currency: str) -> PriceSeries:
    """One entry of ``prices:``; without a unit it is ``currency`` per kWh.

    Raises:
        TariffProblems: with everything that is wrong.
    """
    reader = _Fields(data, ("id", "name", "unit", "source", "series"))
    price_id = reader.required("id", _identifier)
    unit = reader.optional("unit", _unit, price_unit(f"{currency}/kWh"))
    name = reader.optional("name", _short_text, "")
    source = reader.optional("source", _short_text, "")
    series = reader.optional("series", _series_id, None)
    reader.finish()
    return PriceSeries(price_id, name or price_id, unit, source, series)


def parse_budget(data: Mapping[str, Any]) -> Budget:
    """One entry of ``budgets:``.

    Raises:
        TariffProblems: with everything that is wrong.
    """
    reader = _Fields(data, ("id", "name", "metering_point", "period", "amount", "energy_kwh"))
    budget_id = reader.required("id", _identifier)
    name = reader.optional("name", _short_text, "")
    point = reader.optional("metering_point", _point, "grid")
    period = reader.optional("period", _period, BudgetPeriod.MONTH)
    amount = reader.optional("amount", _positive, None)
    energy_kwh = reader.optional("energy_kwh", _positive_kwh, None)
    given = [key for key in ("amount", "energy_kwh") if data.get(key) is not None]
    if len(given) != 1:
        path: Path = ("energy_kwh",) if given else ()
        reader.report(
            path, "WL-MNY-003", "a budget has either an amount or energy_kwh", "write one of the two"
        )
    reader.finish()
    return Budget(budget_id, name or budget_id, point, period, amount, energy_kwh)


def parse_invoice(data: Mapping[str, Any]) -> Invoice:
    """An invoice as somebody copied it; ``start`` and ``end`` are epoch milliseconds.

    Raises:
        TariffProblems: with everything that is wrong.
    """
    reader = _Fields(data, ("id", "metering_point", "start", "end", "number", "lines", "total"))
    invoice_id = reader.required("id", _identifier_of_invoice)
    point = reader.optional("metering_point", _point, "grid")
    start = reader.required("start", _moment)
    end = reader.required("end", _moment)
    number = reader.optional("number", _short_text, "")
    total = reader.optional("total", _amount, None)
    lines = tuple(_invoice_lines(reader, data.get("lines")))
    if start is not None and end is not None and start >= end:
        reader.report(("end",), "WL-MNY-002", "end does not lie after start")
    if total is None and not data.get("lines"):
        reader.report((), "WL-MNY-003", "an invoice has lines, a total, or both", "copy the total at least")
    reader.finish()
    return Invoice(invoice_id, point, start, end, number, lines, total)


def _invoice_lines(reader: _Fields, lines: Any) -> list[InvoiceLine]:
    if lines is None:
        return []
    if not isinstance(lines, list) or len(lines) > MAX_LINES:
        reader.report(("lines",), "WL-MNY-002", f"must be a list of at most {MAX_LINES} lines")
        return []
    return [line for at, one in enumerate(lines) if (line := _invoice_line(reader, at, one)) is not None]


def _invoice_line(outer: _Fields, at: int, data: Any) -> InvoiceLine | None:
    if not isinstance(data, Mapping):
        outer.report(("lines", at), "WL-MNY-002", "must be an object with component and amount")
        return None
    reader = _Fields(
        data, ("component", "side", "kind", "quantity", "unit_price", "amount"), ("lines", at), outer
    )
    component = reader.required("component", _name)
    amount = reader.required("amount", _amount)
    side = reader.optional("side", _side, "")
    kind = reader.optional("kind", _short_text, "")
    quantity = reader.optional("quantity", _amount, None)
    unit_price = reader.optional("unit_price", _amount, None)
    if component is None or amount is None:
        return None
    return InvoiceLine(component, amount, side or "", kind or "", quantity, unit_price)


class _Fields:
    """Fields of one object; problems are gathered, so that a person sees all of them at once."""

    def __init__(
        self, data: Any, known: tuple[str, ...], at: Path = (), outer: _Fields | None = None
    ) -> None:
        self._at = at
        self._problems: list[Problem] = outer._problems if outer is not None else []
        if not isinstance(data, Mapping):
            raise TariffProblems([Problem(at, "WL-MNY-002", "must be an object")])
        self._data = data
        for key in data:
            if key not in known:
                near = get_close_matches(str(key), known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                self.report((str(key),), "WL-MNY-004", f'"{str(key)[:60]}" is not known here', hint)

    def report(self, path: Path, code: str, text: str, hint: str = "") -> None:
        """Note a problem."""
        self._problems.append(Problem((*self._at, *path), code, text, hint))

    def required(self, key: str, check: Callable[[Any], T]) -> Any:
        """A field that has to be there; None where it is missing or wrong (noted)."""
        if self._data.get(key) is None:
            self.report((key,), "WL-MNY-003", f"{key} is missing")
            return None
        return self.optional(key, check, None)

    def optional(self, key: str, check: Callable[[Any], T], default: Any) -> Any:
        """A field, or the default where it is absent or null."""
        value = self._data.get(key)
        if value is None:
            return default
        try:
            return check(value)
        except Refused as error:
            self.report((key,), error.code, error.message, error.hint)
        except ValueError as error:
            self.report((key,), "WL-MNY-002", f"{key} {error}")
        return None

    def finish(self) -> None:
        """Raise what was noted."""
        if self._problems:
            raise TariffProblems(self._problems)


def _identifier(value: Any) -> str:
    if not isinstance(value, str) or not _ID.match(value):
        raise ValueError("must be a-z, 0-9, - and _, begin with a letter and have at most 64 characters")
    return value


def _identifier_of_invoice(value: Any) -> str:
    if not isinstance(value, str) or not _POINT.match(value):
        raise ValueError("must be a-z, 0-9, - and _ and have at most 64 characters")
    return value


def _point(value: Any) -> str:
    if not isinstance(value, str) or not _POINT.match(value):
        raise ValueError("must be the id of a metering point or a device")
    return value


def _series_id(value: Any) -> str:
    if not isinstance(value, str) or not _SERIES.match(value):
        raise ValueError("must be the id of a series, such as market.price")
    return value


def _unit(value: Any) -> PriceUnit:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return price_unit(value)


def _short_text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 200 or not value.isprintable():
        raise ValueError("must be text of at most 200 printable characters")
    return value


def _name(value: Any) -> str:
    if not _short_text(value).strip():
        raise ValueError("is empty")
    return str(value)


def _moment(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("must be a time in epoch milliseconds")
    return value


def _period(value: Any) -> BudgetPeriod:
    try:
        return BudgetPeriod(value)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(BudgetPeriod)}") from None


def _side(value: Any) -> str:
    if value not in ("", "import", "export"):
        raise ValueError("must be import or export")
    return str(value)


def _amount(value: Any) -> Decimal:
    return exact_decimal(value)


def _positive(value: Any) -> Decimal:
    number = exact_decimal(value)
    if number <= 0:
        raise ValueError("must be above zero")
    return number


def _positive_kwh(value: Any) -> Decimal:
    number = exact_decimal(value, places=6)
    if number <= 0:
        raise ValueError("must be above zero")
    return number


def _text(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"
