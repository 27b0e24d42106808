"""Made-up houses as columns, for tests of the balance and what is built on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hub.energy.site_meters import SiteMeter, Term
from hub.energy.site_slots import SiteSlots
from hub.energy.slots import SLOT_MS
from hub.model.series import Role


@dataclass
class Column:
    """One device: mWh per slot given and taken, None where it was silent."""

    role: Role
    give: Sequence[int | None] = ()
    take: Sequence[int | None] = ()
    parent: str | None = None
    wrong: Mapping[int, int] = field(default_factory=dict)


def a_site(
    columns: Mapping[str, Column], *, start_ms: int = 0, soc: Sequence[float] | None = None
) -> SiteSlots:
    """A site of these devices; sides that are not given are zero."""
    names = sorted(columns)
    count = max((max(len(columns[name].give), len(columns[name].take)) for name in names), default=0)
    give, take = np.zeros((len(names), count), np.int64), np.zeros((len(names), count), np.int64)
    wrong = np.zeros((len(names), count), np.int64)
    known = np.ones((len(names), count), np.bool_)
    times = np.zeros((len(names), 4, count), np.int32)
    for row, name in enumerate(names):
        for side, values in ((give, columns[name].give), (take, columns[name].take)):
            for at, value in enumerate(values):
                side[row, at] = value or 0
                known[row, at] &= value is not None
        for at, value in columns[name].wrong.items():
            wrong[row, at] = value
        times[row, 0] = np.where(known[row], SLOT_MS, 0)
    meters = tuple(
        SiteMeter(name, columns[name].role, columns[name].parent, (Term((0,)),), (Term((0,)),))
        for name in names
    )
    charge = np.full(count, np.nan) if soc is None else np.array(soc, np.float64)
    return SiteSlots(start_ms, count, meters, give, take, known, wrong, times, charge)
