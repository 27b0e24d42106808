"""How the amounts of a counter are spread: the choice of a person, kept per series beside the other settings."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from hub.energy.derive import usable
from hub.energy.slots import SLOT_MS, Readings, Rule
from hub.energy.spread import PowerShape, Profile, Spread
from hub.model.series import Series
from hub.storage import tables
from hub.storage.corrected import CorrectedReadings
from hub.storage.registry import load_setting, read_series, save_setting

_PREFIX = "counting."


@dataclass(frozen=True, slots=True)
class Counting:
    """``profile`` spreads gaps by the hours of the week, None flat; ``power`` is the row number of the power series
    that shapes every interval, None for none, and ``is_signed`` whether that tells both directions by its sign.
    """

    profile: Profile | None = None
    power: int | None = None
    is_signed: bool = False
    is_new: bool = False
    """Chosen, but not all of its figures are derived again yet."""


FLAT = Counting()


def load_counting(conn: sa.Connection, number: int) -> Counting:
    """How a counter is spread; flat where nobody chose."""
    return _counting(load_setting(conn, f"{_PREFIX}{number}"))


def load_all_counting(conn: sa.Connection) -> dict[int, Counting]:
    """Every choice that is not flat, by series number."""
    key, value = tables.settings.c.key, tables.settings.c.value
    rows = conn.execute(sa.select(key, value).where(key.like(f"{_PREFIX}%"))).fetchall()
    found = {int(name.removeprefix(_PREFIX)): _counting(plain) for name, plain in rows}
    return {number: one for number, one in found.items() if one != FLAT}


def save_counting(conn: sa.Connection, number: int, counting: Counting) -> None:
    """Keep a choice."""
    profile = counting.profile
    save_setting(
        conn,
        f"{_PREFIX}{number}",
        {
            "zone": profile.zone if profile else None,
            "weights": list(profile.weights) if profile else None,
            "power": counting.power,
            "is_signed": counting.is_signed,
            "is_new": counting.is_new,
        },
    )


def _counting(plain: object) -> Counting:
    if not isinstance(plain, dict):
        return FLAT
    weights = plain.get("weights")
    profile = Profile(str(plain["zone"]), tuple(weights)) if weights else None
    return Counting(profile, plain.get("power"), bool(plain.get("is_signed")), bool(plain.get("is_new")))


def spread_of(conn: sa.Connection, series: Series, counting: Counting, readings: Readings) -> Spread:
    """The rules for these readings of a counter, with the power that was stored in their time."""
    power = None if counting.power is None else read_series(conn, counting.power)
    if power is None or not len(readings):
        return Spread(counting.profile)
    rule = Rule.of(power)
    hold_ms = max(rule.gap_floor_ms, SLOT_MS)
    columns = CorrectedReadings.of(conn, power.no).columns(
        max(int(readings.ts_ms[0]) - hold_ms, 0), int(readings.ts_ms[-1]) + 1
    )
    watts = Readings(columns.ts_ms, columns.values, columns.flags)
    good = usable(rule, watts)
    kept = Readings(watts.ts_ms[good], watts.value[good], watts.flags[good])
    shape = PowerShape.of(rule, kept, series.direction, is_signed=counting.is_signed)
    return Spread(counting.profile, shape)
