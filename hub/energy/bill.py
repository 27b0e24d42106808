"""Itemised bills: (tariff, energy, prices, calendar) → lines; a pure function, so nothing depends on order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from hub.energy.tariff import Tariff
from hub.energy.usage import Calendar, PriceColumn, Usage
from hub.model.quality import Quality


class Side(StrEnum):
    """Which direction of the grid connection a line is about."""

    IMPORT = "import"
    EXPORT = "export"


class Kind(StrEnum):
    """What a line charges for."""

    ENERGY = "energy"
    TIER = "tier"
    STANDING = "standing"
    CAPACITY = "capacity"
    TAX = "tax"
    CAP = "cap"
    FLOOR = "floor"
    DISCOUNT = "discount"


@dataclass(frozen=True, slots=True)
class MonthPeak:
    """The highest mean power of a month: ``start_ms`` is the begin of its quarter (or hour)."""

    month: str
    start_ms: int
    power_mw: int


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line: ``amount_e8`` is ``quantity`` x ``unit_price`` rounded once, negative where it is yours."""

    component: str
    side: Side
    kind: Kind
    start_ms: int
    end_ms: int
    quantity: Fraction
    unit: str
    unit_price: Fraction
    amount_e8: int
    pending_mwh: int
    quality: Quality
    formula: str
    amount_places: int = 2

    def as_json(self) -> dict[str, Any]:
        """The line as the API sends it; money and energy are decimal text, times epoch milliseconds."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Bill:
    """An itemised bill of ``[start_ms, end_ms)``.

    ``pending_mwh`` is energy that some line could not price yet (each kWh once); ``total_e8`` leaves it out.
    """

    metering_point: str
    tariff: str
    currency: str
    start_ms: int
    end_ms: int
    lines: tuple[BillLine, ...]
    pending_mwh: int
    quality: Quality
    peaks: tuple[MonthPeak, ...]

    @property
    def total_e8(self) -> int:
        """Sum of the lines."""
        return sum(line.amount_e8 for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        """The shape of ``GET /api/v1/bills``."""
        raise NotImplementedError


def bill(
    tariff: Tariff,
    usage: Usage,
    prices: Mapping[str, PriceColumn],
    calendar: Calendar,
    start_ms: int,
    end_ms: int,
) -> Bill:
    """The bill of ``[start_ms, end_ms)``.

    ``usage`` should reach over :func:`needed_ms`; what it lacks is unknown and lowers the quality. ``prices``
    are by the names of :meth:`Tariff.price_names` (a key may be written with ``-``).

    Raises:
        Refused: ``WL-TAR-050`` where a border is not on a quarter hour, ``WL-TAR-051`` where start >= end.
    """
    raise NotImplementedError


def needed_ms(tariff: Tariff, calendar: Calendar, start_ms: int, end_ms: int) -> tuple[int, int]:
    """``(from, until)`` of the usage that a bill reads: running tiers, peaks of months, demand of past months."""
    raise NotImplementedError


def needed_from_ms(tariff: Tariff, calendar: Calendar, start_ms: int, end_ms: int) -> int:
    """The first of :func:`needed_ms`."""
    return needed_ms(tariff, calendar, start_ms, end_ms)[0]
