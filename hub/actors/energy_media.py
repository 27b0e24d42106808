"""Gas, water, heat and heat pumps: read and summed in a reader thread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from hub.actors.energy_months import Factor, read_site
from hub.energy.calendar import Buckets
from hub.energy.media import HeatPump, MediumMeter, MediumSums, heat_pump, medium_sums
from hub.energy.site_meters import SiteMeter
from hub.energy.site_slots import grid_of
from hub.energy.slots import SLOT_MS
from hub.model.series import Role
from hub.storage import slots
from hub.storage.metering import load_installations


def read_media(
    conn: sa.Connection, meters: Sequence[MediumMeter], grid: Buckets, usual_kwh_per_m3: float
) -> tuple[MediumSums, ...]:
    """Every meter by the buckets of ``grid``, which lie on slots."""
    numbers = [meter.series for meter in meters]
    start_ms, end_ms = int(grid.start_ms[0]), int(grid.end_ms[-1])
    found = slots.read(conn, numbers, slots.SLOT, start_ms, end_ms, ("delta", "quality"))
    installed = [row.installation for row in load_installations(conn)]
    return tuple(
        medium_sums(meter, found[meter.series], grid.start_ms, grid.end_ms, installed, usual_kwh_per_m3)
        for meter in meters
    )


def read_heat_pumps(
    conn: sa.Connection,
    media: Sequence[MediumMeter],
    electric: Sequence[SiteMeter],
    start_ms: int,
    end_ms: int,
    factors: Sequence[Factor] = (),
) -> tuple[HeatPump, ...]:
    """Heat pumps that tell both their heat and what they draw."""
    heat = [meter for meter in media if meter.medium == "heat" and meter.role is Role.HEAT_PUMP]
    pumps = [meter for meter in electric if any(one.device == meter.device for one in heat)]
    if not pumps:
        return ()
    first_ms, count = grid_of(start_ms, end_ms)
    site = read_site(conn, pumps, first_ms, first_ms + count * SLOT_MS, factors)
    numbers = [one.series for one in heat]
    rows = slots.read(conn, numbers, slots.SLOT, first_ms, first_ms + count * SLOT_MS, ("delta",))
    return tuple(
        heat_pump(
            pump.device,
            first_ms,
            np.asarray(site.take_mwh[at]),
            np.asarray(site.known[at]),
            [rows[one.series] for one in heat if one.device == pump.device],
        )
        for at, pump in enumerate(site.meters)
    )
