"""The battery: takes what the roof gives too much, gives it back when the house needs it."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.demo.noise import Int64
from integrations.demo.site import Site

CHARGE_PERCENT = 96
DISCHARGE_PERCENT = 95
"""Of what goes in at the terminals, and of what is taken out of the cells, in per cent."""
RESERVE_SHARE = 0.08
_STEP_MW = 100
"""Powers are told in steps of 0.1 W."""
_SLEEPS_BELOW_MW = 80_000


@dataclass(frozen=True, slots=True)
class Battery:
    """Sizes as whole numbers: capacity and reserve in mJ, power in mW."""

    capacity_mj: int
    reserve_mj: int
    limit_mw: int

    @classmethod
    def of(cls, site: Site) -> Battery:
        """The battery of a house."""
        capacity_mj = round(site.battery_wh * site.scale) * 3_600_000
        return cls(capacity_mj, round(capacity_mj * RESERVE_SHARE), round(site.battery_w * site.scale) * 1000)

    def day(self, wanted_mw: Int64, stored_mj: int) -> tuple[list[int], list[int]]:
        """Follow what is wanted (above zero: charge) minute by minute.

        Returns:
            Power at the terminals per minute (above zero: charge) in mW, and the energy in the cells in mJ at
            every minute's beginning and at the end. Limits are met by doing less.
        """
        full, empty, limit = self.capacity_mj, self.reserve_mj, self.limit_mw
        powers = [0] * len(wanted_mw)
        stored = [stored_mj]
        for at, wish in enumerate(wanted_mw.tolist()):
            if wish > _SLEEPS_BELOW_MW:
                room = (full - stored_mj) * 100 // (60 * CHARGE_PERCENT)
                power = min(wish, limit, room) // _STEP_MW * _STEP_MW
                stored_mj += power * 60 * CHARGE_PERCENT // 100
                powers[at] = power
            elif wish < -_SLEEPS_BELOW_MW and stored_mj > empty:
                left = (stored_mj - empty) * DISCHARGE_PERCENT // 6000
                power = min(-wish, limit, left) // _STEP_MW * _STEP_MW
                stored_mj += power * -6000 // DISCHARGE_PERCENT
                powers[at] = -power
            stored.append(stored_mj)
        return powers, stored
