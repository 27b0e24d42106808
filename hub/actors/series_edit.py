"""What people may change of a series, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from hub.energy.slots import Rule
from hub.errors import Refused
from hub.model.series import Series
from hub.storage.decisions import decided_extents, dirty_until, mark_dirty
from hub.storage.readings import stat
from hub.storage.registry import update_series
from hub.storage.slots import SLOT, extent

LIMITS: Final = ("physical_limit", "register_width", "resolution")
CHANGEABLE: Final = ("name", "in_balance", *LIMITS)


def changed_series(series: Series, changes: Mapping[str, Any]) -> Series:
    """The series with some fields changed; None takes a limit, width or resolution away.

    Raises:
        Refused: ``WL-MET-006``.
    """
    for name, value in changes.items():
        if name not in CHANGEABLE:
            raise Refused(
                "WL-MET-006", f"{name[:40]} of a series cannot be changed", where=name,
                hint="of " + ", ".join(CHANGEABLE),
            )  # fmt: skip
        if name in LIMITS and value is not None and not (math.isfinite(value) and 0 < value <= 1e15):
            raise Refused("WL-MET-006", f"{name} must be above 0, or null", where=name)
        if name == "name" and len(value) > 200:
            raise Refused("WL-MET-006", "a name has at most 200 characters", where=name)
    return replace(series, **changes)


def rewrite_series(
    conn: sa.Connection, before: Series, after: Series, cause: str, now_ms: int
) -> tuple[int, int] | None:
    """Save the series; where its figures follow another rule now, mark and return all of its range."""
    update_series(conn, after)
    if Rule.of(before) == Rule.of(after):
        return None
    readings, rows = stat(conn, after.no), extent(conn, after.no, SLOT)
    starts = [readings.first_ms, rows[0] if rows else None]
    starts += [first_ms for first_ms, _ in decided_extents(conn, after.no)]
    known = [start_ms for start_ms in starts if start_ms is not None]
    if not known:
        return None
    start_ms = min(known)
    end_ms = dirty_until(conn, after.no, start_ms, 1 << 53, now_ms)
    mark_dirty(conn, [(after.no, start_ms, end_ms)], cause, now_ms)
    return start_ms, end_ms
