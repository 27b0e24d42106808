"""Energy of a metering point by buckets of the calendar, in the shape of a history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.actors.history import checked_resolution
from hub.energy.calendar import buckets
from hub.energy.cuts import cut_slots, slot_floor
from hub.energy.periods import aggregate
from hub.errors import Refused
from hub.model.quality import Quality
from hub.model.series import Direction
from hub.storage.database import Database
from hub.storage.metering import load_installations
from hub.storage.points import SeriesOf, point_unit, read_point

BUCKET_LIMIT = 200_000
FINE = ("raw", "1m")


@dataclass(frozen=True, slots=True)
class PointFigures:
    """Amounts by bucket and direction, in ``unit``; NaN where nothing is known. ``totals`` are those of the range."""

    resolution: str
    unit: str
    labels: tuple[str, ...]
    partial: tuple[int, ...]
    amounts: dict[Direction, NDArray[np.float64]]
    qualities: dict[Direction, list[Quality]]
    totals: dict[Direction, float]


async def point_history(
    database: Database,
    series_of: SeriesOf,
    point: str,
    zone: str,
    start_ms: int,
    end_ms: int,
    resolution: str,
) -> PointFigures:
    """Figures of ``[start_ms, end_ms)``.

    Raises:
        Refused: as :meth:`hub.actors.history.HistoryReader.history`; a point has no minutes and no raw readings.
    """
    resolution = checked_resolution(resolution, start_ms, end_ms)
    if resolution in FINE:
        resolution = "15m"
    whole = buckets(zone, resolution, start_ms, end_ms)
    if len(whole) > BUCKET_LIMIT:
        raise Refused(
            "WL-API-031", f"{len(whole)} buckets are more than one answer holds", where="resolution"
        )
    grid, partial = whole.clipped(start_ms, end_ms)
    now_ms = database.now_ms()
    first_ms = slot_floor(start_ms)
    found, unit = await database.read(
        lambda conn: (
            read_point(conn, point, series_of, first_ms, end_ms),
            point_unit(load_installations(conn, point=point), series_of),
        )
    )
    per_unit = 1000 if unit == "Wh" else 1_000_000
    amounts, qualities, totals = {}, {}, {}
    for direction, rows in found.items():
        periods = aggregate(cut_slots(rows, start_ms, end_ms, now_ms), grid.start_ms, grid.end_ms)
        known = periods.until(now_ms)
        amounts[direction] = np.where(periods.has_delta, periods.delta / per_unit, np.nan)
        qualities[direction] = [known.quality(row) for row in range(len(known))]
        totals[direction] = int(periods.delta.sum()) / per_unit
    return PointFigures(resolution, unit, grid.label, tuple(partial), amounts, qualities, totals)
