"""What a correction would change: months before and after, in energy and in money, without writing anything.

Both sides are derived by the function that derives everything; only the list of active corrections differs. What
the correction cannot reach is taken from the stored slots.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
import sqlalchemy as sa

from hub.energy.calendar import buckets
from hub.energy.corrections import Correction
from hub.energy.slots import SLOT_MS, SlotColumns, step_of
from hub.model.series import Behaviour, Series
from hub.model.units import Quantity
from hub.storage import slots
from hub.storage.corrections import CorrectionEvent
from hub.storage.database import Database
from hub.storage.decisions import dirty_until
from hub.storage.rederive import Stream, touched_range

MAX_MONTHS = 1_200

Pricer = Callable[[Series, int, int, SlotColumns], Awaitable[str | None]]
"""``(series, start_ms, end_ms, slots)`` → what that energy costs as a decimal string in the site's currency; None
where it has no price. The slots are those of the series in the range, as they are or as they would be."""


@dataclass(frozen=True, slots=True)
class PreviewMonth:
    """A local month, or the total; energy in Wh (volumes in the unit of the series, gauges as their mean)."""

    label: str
    start_ms: int
    end_ms: int
    before: float | None
    after: float | None
    cost_before: str | None = None
    cost_after: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        both = self.before is not None and self.after is not None
        return {
            "month": self.label,
            "start": self.start_ms,
            "end": self.end_ms,
            "before": self.before,
            "after": self.after,
            "change": round((self.after or 0.0) - (self.before or 0.0), 6) if both else None,
            "cost_before": self.cost_before,
            "cost_after": self.cost_after,
        }


@dataclass(frozen=True, slots=True)
class Preview:
    """Months that the correction reaches; ``slots_changed`` counts 15-minute slots that would be other ones."""

    series: Series
    unit: str
    months: tuple[PreviewMonth, ...]
    total: PreviewMonth
    readings: int
    slots_changed: int

    def as_json(self) -> dict[str, Any]:
        """As the API shows it; ``unit`` is that of before, after and change."""
        return {
            "series": self.series.public_id,
            "unit": self.unit,
            "months": [month.as_json() for month in self.months],
            "total": self.total.as_json(),
            "readings": self.readings,
            "slots_changed": self.slots_changed,
        }


@dataclass(frozen=True, slots=True)
class _Sides:
    before: SlotColumns
    after: SlotColumns
    readings: int


async def preview(
    database: Database,
    series: Series,
    zone: str,
    *,
    add: Correction | None = None,
    undo: CorrectionEvent | None = None,
    pricer: Pricer | None = None,
) -> Preview:
    """Derive both sides, a month in one read transaction.

    Args:
        database: the store.
        series: the series that is corrected.
        zone: time zone of the site, for its months.
        add: a correction that would be made, or
        undo: one that would be taken back.
        pricer: what energy costs, where prices are known.
    """
    first_ms, last_ms = await database.read(lambda conn: _reach(conn, series, add, undo, database.now_ms()))
    grid = buckets(zone, "1mo", first_ms, last_ms)
    months: list[PreviewMonth] = []
    readings = changed = 0
    for label, start_ms, end_ms in zip(
        grid.label[:MAX_MONTHS], grid.start_ms.tolist(), grid.end_ms.tolist(), strict=False
    ):
        sides = await database.read(
            lambda conn, start_ms=start_ms, end_ms=end_ms: _month(  # type: ignore[misc]  # bound per turn
                conn, series, (start_ms, end_ms), (first_ms, last_ms), add, undo
            )
        )
        month = PreviewMonth(
            label, start_ms, end_ms, _figure(series, sides.before), _figure(series, sides.after)
        )
        if pricer is not None:
            month = replace(
                month,
                cost_before=await pricer(series, start_ms, end_ms, sides.before),
                cost_after=await pricer(series, start_ms, end_ms, sides.after),
            )
        months.append(month)
        readings += sides.readings
        changed += _different(sides.before, sides.after)
    return Preview(series, _unit(series), tuple(months), _total(series, months), readings, changed)


def _reach(
    conn: sa.Connection,
    series: Series,
    add: Correction | None,
    undo: CorrectionEvent | None,
    now_ms: int,
) -> tuple[int, int]:
    """The slots that may change; nothing lies behind now and the last reading."""
    one = add or undo
    assert one is not None
    end_ms = dirty_until(conn, series.no, one.start_ms, one.end_ms, now_ms)
    return touched_range(Stream.of(conn, series), one.start_ms, end_ms)


def _month(
    conn: sa.Connection,
    series: Series,
    month: tuple[int, int],
    reach: tuple[int, int],
    add: Correction | None,
    undo: CorrectionEvent | None,
) -> _Sides:
    start_ms, end_ms = max(month[0], reach[0]), min(month[1], reach[1])
    start_ms -= start_ms % SLOT_MS
    now = Stream.of(conn, series)
    then = now.with_corrections(_changed(now.readings.corrections, add, undo))
    stored = slots.read(conn, [series.no], slots.SLOT, *month)[series.no]
    kept = stored.take((stored.start_ms < start_ms) | (stored.start_ms >= end_ms))
    one = add or undo
    assert one is not None
    inside = now.readings.columns(max(start_ms, one.start_ms), min(end_ms, one.end_ms))
    return _Sides(
        _with(kept, now.derived(start_ms, end_ms).derived.slots, month),
        _with(kept, then.derived(start_ms, end_ms).derived.slots, month),
        len(inside.ts_ms),
    )


def _changed(
    active: Sequence[Correction], add: Correction | None, undo: CorrectionEvent | None
) -> tuple[Correction, ...]:
    left = [one for one in active if undo is None or one.id != undo.id]
    return tuple(left if add is None else [*left, add])


def _with(kept: SlotColumns, fresh: SlotColumns, month: tuple[int, int]) -> SlotColumns:
    inside = fresh.take((fresh.start_ms >= month[0]) & (fresh.start_ms < month[1]))
    rows = SlotColumns.joined([kept, inside])
    return rows.take(np.argsort(rows.start_ms, kind="stable"))


def _different(before: SlotColumns, after: SlotColumns) -> int:
    """Slots whose amount, mean or presence differs."""
    both, at_before, at_after = np.intersect1d(before.start_ms, after.start_ms, return_indices=True)
    left, right = before.take(at_before), after.take(at_after)
    same = (left.delta == right.delta) & (left.has_delta == right.has_delta)
    same &= (left.mean == right.mean) | (np.isnan(left.mean) & np.isnan(right.mean))
    return int(np.count_nonzero(~same)) + len(before) + len(after) - 2 * len(both)


def _is_amount(series: Series) -> bool:
    return series.behaviour is not Behaviour.GAUGE or series.quantity is Quantity.POWER


def _unit(series: Series) -> str:
    return "Wh" if series.quantity is Quantity.POWER else series.unit


def _figure(series: Series, rows: SlotColumns) -> float | None:
    if _is_amount(series):
        known = rows.delta[rows.has_delta]
        return int(known.sum()) / round(1 / step_of(series.quantity)) if len(known) else None
    means = rows.mean[~np.isnan(rows.mean)]
    return float(means.mean()) if len(means) else None


def _total(series: Series, months: Sequence[PreviewMonth]) -> PreviewMonth:
    """Amounts and costs add up; a mean of means would be none, so gauges have no total."""
    first_ms = months[0].start_ms if months else 0
    last_ms = months[-1].end_ms if months else 0
    total = PreviewMonth("total", first_ms, last_ms, None, None)
    if not _is_amount(series):
        return total
    return replace(
        total,
        before=_sum([one.before for one in months]),
        after=_sum([one.after for one in months]),
        cost_before=_sum_decimals([one.cost_before for one in months]),
        cost_after=_sum_decimals([one.cost_after for one in months]),
    )


def _sum(figures: Sequence[float | None]) -> float | None:
    known = [one for one in figures if one is not None]
    return round(sum(known), 6) if known else None


def _sum_decimals(figures: Sequence[str | None]) -> str | None:
    known = [Decimal(one) for one in figures if one is not None]
    return str(sum(known, Decimal())) if known and len(known) == len(figures) else None
