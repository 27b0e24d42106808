"""Gas, water and heat: volumes, the energy of gas by its calorific value, and what heat pumps make of electricity.

Volumes are whole 1e-6 m3 per slot, energy whole mWh, so 1e-6 m3 times kWh/m3 is mWh.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hub.energy.exact import times_factor
from hub.energy.installations import Installation
from hub.energy.slots import SLOT_MS, Int64, SlotColumns
from hub.model.device import Device
from hub.model.quality import Quality, shares
from hub.model.series import Behaviour, Role, Series
from hub.model.units import Quantity

MEDIA: Final = {Quantity.GAS: "gas", Quantity.WATER: "water", Quantity.HEAT: "heat"}
_E6: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class MediumMeter:
    """A meter of gas, water or heat."""

    device: str
    medium: str
    series: int
    role: Role


@dataclass(frozen=True, slots=True)
class MediumSums:
    """A meter by buckets: ``amount`` in 1e-6 m3, or in mWh for heat; ``energy_mwh`` for gas and heat, else None."""

    meter: MediumMeter
    amount: Int64
    energy_mwh: Int64 | None
    known: Int64
    times_ms: Int64

    def quality(self, bucket: int, start_ms: int, end_ms: int) -> Quality:
        """Shares of a bucket's time."""
        return shares(max(end_ms - start_ms, 0), *self.times_ms[:, bucket].tolist())


def medium_meters(
    devices: Sequence[Device], series: Mapping[str, Sequence[Series]]
) -> tuple[MediumMeter, ...]:
    """Every register of gas, water or heat, by device and key."""
    return tuple(
        MediumMeter(device.id, MEDIA[one.quantity], int(one.no), device.role)
        for device in sorted(devices, key=lambda device: device.id)
        for one in sorted(series.get(device.id, ()), key=lambda one: one.key)
        if one.quantity in MEDIA and one.behaviour is not Behaviour.GAUGE
    )


def medium_sums(
    meter: MediumMeter,
    rows: SlotColumns,
    starts: Int64,
    ends: Int64,
    installations: Sequence[Installation],
    usual_kwh_per_m3: float,
) -> MediumSums:
    """Slots of one meter, in time order, summed into buckets; a slot takes the installation at its beginning."""
    low, high = np.searchsorted(rows.start_ms, starts), np.searchsorted(rows.start_ms, ends)
    amount = np.where(rows.has_delta, rows.delta, 0)
    value = np.full(len(rows), round(usual_kwh_per_m3 * _E6), np.int64)
    for one in sorted(installations, key=lambda one: one.from_ms):
        if one.series == meter.series:
            here = (rows.start_ms >= one.from_ms) & (rows.start_ms < one.end_ms)
            amount[here] = times_factor(amount[here], Fraction(repr(one.factor)))
            if one.calorific_value is not None:
                value[here] = round(one.calorific_value * (one.state_number or 1.0) * _E6)
    energy: Int64 | None = None
    if meter.medium == "heat":
        energy = amount
    elif meter.medium == "gas":
        energy = (amount * value + _E6 // 2) // _E6
    times = [rows.measured_ms, rows.late_ms, rows.estimated_ms, rows.suspect_ms]
    return MediumSums(
        meter,
        _sum(amount, low, high),
        None if energy is None else _sum(energy, low, high),
        _sum(rows.has_delta, low, high),
        np.stack([_sum(column, low, high) for column in times]),
    )


def _sum(column: NDArray[Any], low: Int64, high: Int64) -> Int64:
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(column, dtype=np.int64)])
    return np.asarray(total[high] - total[low])


@dataclass(frozen=True, slots=True)
class HeatPump:
    """Heat out and electricity in over the slots in which both are known, in mWh."""

    device: str
    heat_mwh: int
    electric_mwh: int

    @property
    def cop(self) -> float | None:
        """Heat by electricity, weighted by energy; None where nothing was drawn."""
        return round(self.heat_mwh / self.electric_mwh, 3) if self.electric_mwh > 0 else None


def heat_pump(
    device: str, start_ms: int, drawn_mwh: Int64, drawn_known: Int64, heat: Sequence[SlotColumns]
) -> HeatPump:
    """Performance of a heat pump over consecutive slots from ``start_ms``; several heat registers add up."""
    count = len(drawn_mwh)
    made, known = np.zeros(count, np.int64), np.asarray(drawn_known, np.bool_).copy()
    for rows in heat:
        at = (rows.start_ms - start_ms) // SLOT_MS
        inside = (at >= 0) & (at < count) & rows.has_delta
        told = np.zeros(count, np.bool_)
        told[at[inside]] = True
        made[at[inside]] += rows.delta[inside]
        known &= told
    return HeatPump(device, int(made[known].sum()), int(drawn_mwh[known].sum()))
