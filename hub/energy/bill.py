"""Itemised bills: (tariff, energy, prices, calendar) → lines; a pure function, so nothing depends on order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hub.energy.bill_lines import BillLine, LineSlots, Side, SideLines, Stretch, amount_text, kwh_text
from hub.energy.clock import period_of, slot_clock
from hub.energy.components import Basis, Capacity, Component, Kind, Limit, Per, Tier
from hub.energy.money import E8, Int64, exact_sum, refuse_unaligned
from hub.energy.netting import net_period
from hub.energy.peaks import MonthPeak
from hub.energy.rating import PriceColumns, Rating, price_columns, rate, stretches
from hub.energy.slots import SLOT_MS
from hub.energy.tariff import Tariff, Version
from hub.energy.usage import Calendar, PriceColumn, Usage
from hub.errors import Refused
from hub.model.quality import Quality, shares

__all__ = [
    "Bill",
    "BillLine",
    "Kind",
    "LineSlots",
    "MonthPeak",
    "Side",
    "bill",
    "line_slots",
    "needed_from_ms",
    "needed_ms",
]


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
        """The shape of ``GET /api/v1/bills``; the web handler writes times as local ISO text."""
        step_e8 = min((line.step_e8 for line in self.lines), default=E8 // 100)
        return {
            "metering_point": self.metering_point,
            "tariff": self.tariff,
            "currency": self.currency,
            "start": self.start_ms,
            "end": self.end_ms,
            "lines": [line.as_json() for line in self.lines],
            "total": amount_text(self.total_e8, step_e8),
            "pending_kwh": kwh_text(self.pending_mwh),
            "quality": self.quality.as_json(),
            "peaks": [
                {"month": peak.month, "start": peak.start_ms, "power_w": peak.power_mw / 1000}
                for peak in self.peaks
            ],
        }


def bill(
    tariff: Tariff,
    usage: Usage | Mapping[str, Usage],
    prices: Mapping[str, PriceColumn],
    calendar: Calendar,
    start_ms: int,
    end_ms: int,
) -> Bill:
    """The bill of ``[start_ms, end_ms)``.

    ``usage`` should reach over :func:`needed_ms`; what it lacks is unknown and lowers the quality. Where versions
    net the phases differently it may be a mapping with the keys ``summed`` and ``per_phase``. ``prices`` are by
    the names of :meth:`Tariff.price_names` (a key may be written with ``-``).

    Raises:
        Refused: ``WL-TAR-050`` where a border is not on a quarter hour, ``WL-TAR-051`` where start >= end.
    """
    refuse_unaligned(start_ms, end_ms)
    if start_ms >= end_ms:
        raise Refused("WL-TAR-051", "a bill ends after it starts", where="end", hint="end is exclusive")
    lines: list[BillLine] = []
    peaks: dict[tuple[str, int], MonthPeak] = {}
    pending = 0
    covered_ms = end_ms
    for side in _built(tariff, usage, prices, calendar, start_ms, end_ms):
        covered_ms = min(covered_ms, side.stretch.start_ms)
        pending += exact_sum(side.energy[side.pending_at()]) if side.components else 0
        peaks.update({(peak.month, peak.start_ms): peak for peak in side.peaks})
        lines += side.lines
    whole = _any(usage).grid(start_ms, (end_ms - start_ms) // SLOT_MS)
    early = slice(0, (covered_ms - start_ms) // SLOT_MS)
    pending += exact_sum(whole.import_mwh[early])
    if any(version.exports for version in tariff.versions):
        pending += exact_sum(whole.export_mwh[early])
    return Bill(
        metering_point=tariff.metering_point,
        tariff=tariff.id,
        currency=tariff.currency,
        start_ms=start_ms,
        end_ms=end_ms,
        lines=tuple(lines),
        pending_mwh=pending,
        quality=_quality(whole),
        peaks=tuple(peaks[key] for key in sorted(peaks)),
    )


def line_slots(
    tariff: Tariff,
    usage: Usage | Mapping[str, Usage],
    prices: Mapping[str, PriceColumn],
    calendar: Calendar,
    start_ms: int,
    end_ms: int,
) -> tuple[LineSlots, ...]:
    """The slots behind the lines with prices per kWh of the same :func:`bill`, in the order of its lines."""
    sides = _built(tariff, usage, prices, calendar, start_ms, end_ms)
    return tuple(slots for side in sides for slots in side.slots)


def _built(
    tariff: Tariff,
    usage: Usage | Mapping[str, Usage],
    prices: Mapping[str, PriceColumn],
    calendar: Calendar,
    start_ms: int,
    end_ms: int,
) -> Iterator[SideLines]:
    """Both sides of each version that holds in the range, with their lines."""
    for version, low_ms, high_ms in stretches(tariff, calendar.zone, start_ms, end_ms):
        chosen = _chosen(usage, version)
        stretch = _stretch(version, tariff.currency, chosen, prices, calendar, low_ms, high_ms)
        for side, components in ((Side.IMPORT, version.imports), (Side.EXPORT, version.exports)):
            lines = SideLines(stretch, side, components)
            lines.build()
            yield lines


def needed_ms(tariff: Tariff, calendar: Calendar, start_ms: int, end_ms: int) -> tuple[int, int]:
    """``(from, until)`` of the usage that a bill reads: running tiers, peaks of months, demand of past months."""
    first_ms, last_ms = start_ms, end_ms
    for version, low_ms, high_ms in stretches(tariff, calendar.zone, start_ms, end_ms):
        low, high = _reach(version, calendar.zone, low_ms, high_ms)
        first_ms, last_ms = min(first_ms, low), max(last_ms, high)
    return first_ms, last_ms


def needed_from_ms(tariff: Tariff, calendar: Calendar, start_ms: int, end_ms: int) -> int:
    """The first of :func:`needed_ms`."""
    return needed_ms(tariff, calendar, start_ms, end_ms)[0]


def _reach(version: Version, zone: str, start_ms: int, end_ms: int) -> tuple[int, int]:
    first_ms, last_ms = start_ms, end_ms
    for line in (*version.imports, *version.exports):
        match line:
            case Tier(prorate=False) | Limit(up_to_mwh=int()):
                first_ms = min(first_ms, period_of(zone, start_ms, line.per)[0])
            case Capacity() if line.basis is not Basis.CONTRACTED:
                last_ms = max(last_ms, period_of(zone, end_ms - 1, Per.MONTH)[1])
                begin = period_of(zone, start_ms, Per.MONTH)[0]
                for _ in range(_months_back(line)):
                    begin = period_of(zone, begin - 1, Per.MONTH)[0]
                first_ms = min(first_ms, begin)
    return first_ms, last_ms


def _months_back(line: Capacity) -> int:
    if line.basis is Basis.MEAN_OF_MONTHLY_PEAKS:
        return line.months - 1
    return line.months if line.basis is Basis.BILLING_DEMAND else 0


def _stretch(
    version: Version,
    currency: str,
    usage: Usage,
    prices: Mapping[str, PriceColumn],
    calendar: Calendar,
    low_ms: int,
    high_ms: int,
) -> Stretch:
    first_ms, last_ms = _reach(version, calendar.zone, low_ms, high_ms)
    slots = (last_ms - first_ms) // SLOT_MS
    columns: PriceColumns = price_columns(prices, first_ms, slots)
    wide = Rating.of(version, slot_clock(calendar, first_ms, slots), columns)
    low, high = (low_ms - first_ms) // SLOT_MS, (high_ms - first_ms) // SLOT_MS
    rating = wide.part(low, high)
    metered = usage.grid(first_ms, slots)
    period = version.netting.period
    net = metered if period is None else _netted(version, period, rating, metered, low, high)
    return Stretch(version, rating, wide, net, metered, low, high, currency)


def _netted(version: Version, period: Per, rating: Rating, metered: Usage, low: int, high: int) -> Usage:
    """Export set off against import within each period of the stretch that is billed."""
    billed = metered.grid(metered.first_ms + low * SLOT_MS, high - low)
    netted = net_period(billed, rating.clock.period(period), _register(version.imports, rating))
    taken, given = metered.import_mwh.copy(), metered.export_mwh.copy()
    taken[low:high], given[low:high] = netted.import_mwh, netted.export_mwh
    return replace(metered, import_mwh=taken, export_mwh=given)


def _register(side: tuple[Component, ...], rating: Rating) -> Int64:
    """A number per slot that is the same where the same energy lines hold."""
    result = np.zeros(len(rating.clock), np.int64)
    for line in side:
        if line.kind is Kind.ENERGY:
            rated = rate(line, rating, side, {})
            holds = rated.holds | rated.unknown if rated else np.zeros(len(result), np.bool_)
            _, result = np.unique(result * 2 + holds, return_inverse=True)
    return result


def _chosen(usage: Usage | Mapping[str, Usage], version: Version) -> Usage:
    if isinstance(usage, Usage):
        return usage
    return usage[version.netting.phases] if version.netting.phases in usage else _any(usage)


def _any(usage: Usage | Mapping[str, Usage]) -> Usage:
    return usage if isinstance(usage, Usage) else next(iter(usage.values()))


def _quality(usage: Usage) -> Quality:
    columns = (usage.measured_ms, usage.late_ms, usage.estimated_ms, usage.suspect_ms)
    return shares(len(usage) * SLOT_MS, *(int(column.sum()) for column in columns))
