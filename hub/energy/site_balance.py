"""Both sides of every slot of a site: sources and uses, closed with residuals that say their reason.

In every slot::

    import + production + discharge + other sources = export + charge + consumption + not measured

Sub-meters form a tree: what a device uses itself is its meter less the meters behind it. What cannot be so is
named and never negative: use that no meter shows (*not measured*), a source that none shows (*unmeasured
generation*, *missing meter*, *no grid meter*, *wrong sign*, or a small *meter skew*), own use of a meter while one
behind it is silent (*missing child*), and meters behind a meter that count more than it does (*excess*).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

import numpy as np

from hub.energy.site_meters import CONSUMERS
from hub.energy.site_slots import Bools, SiteSlots
from hub.energy.slots import Int64
from hub.model.series import Role


class Source(IntEnum):
    """Rows of :attr:`Allocation.fed_mwh`."""

    GRID = 0
    SOLAR = 1
    BATTERY = 2
    OTHER = 3


class UseKind(StrEnum):
    """What a use is."""

    EXPORT = "export"
    CHARGE = "charge"
    CONSUMPTION = "consumption"
    MISSING_CHILD = "missing_child"
    NOT_MEASURED = "not_measured"


class Residual(StrEnum):
    """Why a source had to be assumed that no meter shows."""

    MISSING_METER = "missing_meter"
    NO_GRID_METER = "no_grid_meter"
    WRONG_SIGN = "wrong_sign"
    METER_SKEW = "meter_skew"
    UNMEASURED_GENERATION = "unmeasured_generation"
    EXCESS = "submeters_exceed_parent"


RESIDUALS: Final = tuple(Residual)
SKEW_MWH: Final = 5_000
"""Meters that differ by up to 5 Wh in a quarter of an hour, or by 2 % of what flows, are only not in step."""


@dataclass(frozen=True, slots=True)
class Use:
    """A row of the uses; ``device`` is empty for what belongs to the whole house."""

    kind: UseKind
    device: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    """Both sides of every slot, without who fed whom.

    ``give_mwh`` and ``take_mwh`` (devices, slots) are what each device itself gives and takes, the meters behind
    it taken out. ``residual_mwh`` has a row per :data:`RESIDUALS`. ``used_mwh`` has a row per use.
    """

    site: SiteSlots
    give_mwh: Int64
    take_mwh: Int64
    uses: tuple[Use, ...]
    used_mwh: Int64
    sources_mwh: Int64
    residual_mwh: Int64


def uses_of(site: SiteSlots) -> tuple[Use, ...]:
    """Rows of the uses; they depend on the meters only, so months of one house can be put side by side."""
    takers = [meter for meter in site.meters if meter.role not in (Role.GRID, Role.BATTERY)]
    parents = {meter.parent for meter in site.meters} - {None}
    return (
        Use(UseKind.EXPORT),
        Use(UseKind.CHARGE),
        *(Use(UseKind.CONSUMPTION, meter.device) for meter in takers),
        *(Use(UseKind.MISSING_CHILD, meter.device) for meter in takers if meter.device in parents),
        Use(UseKind.NOT_MEASURED),
    )


def balance(site: SiteSlots) -> Balance:
    """Resolve the tree of meters and close every slot with named residuals."""
    tree = _Tree(site)
    grid, battery = site.rows(Role.GRID), site.rows(Role.BATTERY)
    sources = np.zeros((4, site.count), np.int64)
    sources[Source.GRID] = tree.give[grid].sum(axis=0)
    sources[Source.BATTERY] = tree.give[battery].sum(axis=0)
    sources[Source.SOLAR] = tree.give.sum(axis=0) - sources[Source.GRID] - sources[Source.BATTERY]
    uses = uses_of(site)
    used = np.zeros((len(uses), site.count), np.int64)
    used[0], used[1] = tree.take[grid].sum(axis=0), tree.take[battery].sum(axis=0)
    for row, use in enumerate(uses):
        if use.kind is UseKind.CONSUMPTION:
            used[row] = np.where(tree.missing_at(use.device), 0, tree.taken_by(use.device))
        elif use.kind is UseKind.MISSING_CHILD:
            used[row] = np.where(tree.missing_at(use.device), tree.taken_by(use.device), 0)
    open_mwh = sources.sum(axis=0) + tree.excess - used.sum(axis=0)
    used[-1] = np.maximum(open_mwh, 0)
    residual = _residuals(site, np.maximum(-open_mwh, 0), tree.excess, used[:-1].sum(axis=0))
    sources[Source.OTHER] = residual.sum(axis=0)
    return Balance(site, tree.give, tree.take, uses, used, sources, residual)


class _Tree:
    """Own give and take of every device: its meter less the meters behind it."""

    def __init__(self, site: SiteSlots) -> None:
        self._site = site
        self._row = {meter.device: row for row, meter in enumerate(site.meters)}
        self._children: dict[int, list[int]] = {}
        for row, meter in enumerate(site.meters):
            if meter.parent in self._row:
                self._children.setdefault(self._row[meter.parent], []).append(row)
        self.give, self.take = site.give_mwh.copy(), site.take_mwh.copy()
        self.excess = np.zeros(site.count, np.int64)
        self._missing: dict[int, Bools] = {}
        self._nets: dict[int, Int64] = {}
        for row in self._children:
            self._net(row)

    def taken_by(self, device: str) -> Int64:
        """What a device uses itself."""
        return np.asarray(self.take[self._row[device]])

    def missing_at(self, device: str) -> Bools:
        """Slots in which a meter behind this one was silent, so that its use hides in this one's."""
        row = self._row[device]
        return self._missing.get(row, np.zeros(self._site.count, np.bool_))

    def _net(self, row: int) -> Int64:
        """Net of a device as its meter shows it, or as those behind it do where it is silent."""
        if row not in self._nets:
            self._nets[row] = self._resolved(row)
        return self._nets[row]

    def _resolved(self, row: int) -> Int64:
        site = self._site
        net: Int64 = site.take_mwh[row] - site.give_mwh[row]
        behind = self._children.get(row)
        if behind is None:
            return net
        inner = np.sum([self._net(child) for child in behind], axis=0, dtype=np.int64)
        whole = np.where(site.known[row], net, inner)
        own = whole - inner
        self.take[row] = np.maximum(own, 0)
        self._missing[row] = ~site.known[behind].all(axis=0) & site.known[row]
        if site.meters[row].role in CONSUMERS:
            self.give[row] = 0
            self.excess += np.maximum(-own, 0)
        else:
            self.give[row] = np.maximum(-own, 0)
        return np.asarray(whole)


def _residuals(site: SiteSlots, short: Int64, excess: Int64, used: Int64) -> Int64:
    """The assumed source of each slot in the row of its reason."""
    rows = np.zeros((len(RESIDUALS), site.count), np.int64)
    rows[RESIDUALS.index(Residual.EXCESS)] = excess
    if not short.any():
        return rows
    sources = site.rows(Role.GRID, Role.SOLAR, Role.BATTERY)
    reasons = (
        (Residual.MISSING_METER, ~site.known[sources].all(axis=0)),
        (Residual.NO_GRID_METER, np.full(site.count, not site.rows(Role.GRID))),
        (Residual.WRONG_SIGN, site.wrong_mwh.any(axis=0)),
        (Residual.METER_SKEW, short <= np.maximum(used // 50, SKEW_MWH)),
        (Residual.UNMEASURED_GENERATION, np.ones(site.count, np.bool_)),
    )
    left = short > 0
    for reason, mask in reasons:
        here = left & mask
        rows[RESIDUALS.index(reason)][here] = short[here]
        left &= ~here
    return rows
