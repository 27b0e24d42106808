"""What waits for a person: suspicious stretches of all series, found by the suspect time of their slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from hub.actors.registry import Registry
from hub.energy.doubts import OpenDoubt
from hub.energy.slots import SLOT_MS
from hub.model.series import Series
from hub.runtime.actor import Request
from hub.storage import slots
from hub.storage.database import Database
from hub.storage.rederive import doubts_in

MOST = 1_000
_TOGETHER_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class SuspectEnergy:
    """A doubt of a series; ``amount``, ``before`` and ``after`` are in its ``unit``."""

    series: str
    unit: str
    doubt: OpenDoubt


@dataclass(frozen=True, slots=True)
class GetSuspects(Request[list[SuspectEnergy]]):
    """Open doubts of some series (None: all), at most :data:`MOST`, by series and time."""

    series: tuple[str, ...] | None
    start_ms: int
    end_ms: int


async def find_suspects(database: Database, registry: Registry, asked: GetSuspects) -> list[SuspectEnergy]:
    """Answer of :class:`GetSuspects`. Raises NotFound for an unknown series."""
    if asked.series is None:
        wanted: Sequence[Series] = registry.all_series()
    else:
        wanted = [registry.by_public_id(one) for one in dict.fromkeys(asked.series)]
    found: list[SuspectEnergy] = []
    for series in wanted:
        doubts = await database.read(
            lambda conn, series=series: _doubts(conn, series, asked.start_ms, asked.end_ms)  # type: ignore[misc]  # bound per turn
        )
        found += [SuspectEnergy(series.public_id, series.unit, one) for one in doubts]
        if len(found) >= MOST:
            break
    return found[:MOST]


def _doubts(conn: sa.Connection, series: Series, start_ms: int, end_ms: int) -> list[OpenDoubt]:
    first_ms = start_ms - start_ms % SLOT_MS
    rows = slots.read(conn, [series.no], slots.SLOT, first_ms, end_ms, ("quality",))[series.no]
    suspect = rows.start_ms[rows.suspect_ms > 0]
    if not len(suspect):
        return []
    cuts = np.flatnonzero(np.diff(suspect) > _TOGETHER_MS) + 1
    doubts: list[OpenDoubt] = []
    for stretch in np.split(suspect, cuts):
        if len(doubts) >= MOST:
            break
        doubts += doubts_in(
            conn, series, max(int(stretch[0]), start_ms), min(int(stretch[-1]) + SLOT_MS, end_ms)
        )
    return list(dict.fromkeys(doubts))
