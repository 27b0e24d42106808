"""The columns of one site over a grid of 15-minute slots without holes: what every question about energy reads.

Everything is whole mWh per slot. A device *gives* to the house (import, production, discharge) or *takes* from
it (export, charge, consumption); both are zero or more. Devices are in the order of their ids, so the order in
which they were registered cannot matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.energy.cuts import slot_floor
from hub.energy.site_meters import CONSUMERS, SiteMeter, Term
from hub.energy.slots import SLOT_MS, Float64, Int64, SlotColumns
from hub.model.series import Role

Bools = NDArray[np.bool_]
Times = NDArray[np.int32]
Laid = tuple[Int64, Bools]
"""Amounts of one series on a grid, and where they are known."""

MAX_SLOT_MWH = 10**13
"""10 GWh in a quarter of an hour: what is beyond is no house, and its products must not leave 64 bits."""


@dataclass(frozen=True, slots=True)
class SiteSlots:
    """``count`` slots from ``start_ms``; the first axis of every column is the device.

    ``give_mwh`` and ``take_mwh`` mean nothing beyond zero where ``known`` is false: the device was silent, or one
    of its sides was. ``wrong_mwh`` is what a register that only rises counted backwards: it is in neither side.
    ``times_ms`` has the shape (devices, 4, slots): milliseconds measured, late, estimated and suspect of the
    series that decided. ``soc`` is the charge of the batteries at the end of each slot in percent, NaN where
    unknown; of several batteries it is their mean.
    """

    start_ms: int
    count: int
    meters: tuple[SiteMeter, ...]
    give_mwh: Int64
    take_mwh: Int64
    known: Bools
    wrong_mwh: Int64
    times_ms: Times
    soc: Float64

    @property
    def end_ms(self) -> int:
        """End of the last slot."""
        return self.start_ms + self.count * SLOT_MS

    @property
    def starts_ms(self) -> Int64:
        """Begin of every slot."""
        return self.start_ms + np.arange(self.count, dtype=np.int64) * SLOT_MS

    def rows(self, *roles: Role) -> list[int]:
        """Positions of the devices with one of these roles."""
        return [at for at, meter in enumerate(self.meters) if meter.role in roles]

    def row(self, device: str) -> int | None:
        """Position of a device."""
        return next((at for at, meter in enumerate(self.meters) if meter.device == device), None)

    def flow_mwh(self, given: bool, *roles: Role) -> Int64:
        """What devices of these roles give (or take) together, per slot: ``flow_mwh(True, Role.GRID)`` is import."""
        column = self.give_mwh if given else self.take_mwh
        return np.asarray(column[self.rows(*roles)].sum(axis=0, dtype=np.int64))

    def part(self, low: int, high: int) -> SiteSlots:
        """Slots at positions ``[low, high)``."""
        span = slice(low, high)
        return replace(
            self,
            start_ms=self.start_ms + low * SLOT_MS,
            count=max(high - low, 0),
            give_mwh=self.give_mwh[:, span],
            take_mwh=self.take_mwh[:, span],
            known=self.known[:, span],
            wrong_mwh=self.wrong_mwh[:, span],
            times_ms=self.times_ms[:, :, span],
            soc=self.soc[span],
        )


def grid_of(start_ms: int, end_ms: int) -> tuple[int, int]:
    """``(first slot, number of slots)`` that cover ``[start_ms, end_ms)``."""
    first_ms = slot_floor(start_ms)
    return first_ms, max(-(-(end_ms - first_ms) // SLOT_MS), 0)


def site_slots(
    meters: Sequence[SiteMeter],
    start_ms: int,
    count: int,
    columns: Mapping[int, SlotColumns],
    amounts: Mapping[int, Laid] | None = None,
) -> SiteSlots:
    """Slot columns of series → the site. ``columns`` are in time order; a missing series counts as unknown.

    ``start_ms`` is a slot border. Rows outside of the grid are ignored. ``amounts`` are amounts that lie on the
    grid already; then ``columns`` need to tell quality and charge only, of the series that
    :func:`quality_series` names.
    """
    ordered = tuple(sorted(meters, key=lambda meter: meter.device))
    shape = (len(ordered), count)
    site = SiteSlots(
        start_ms, count, ordered,
        np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.bool_),
        np.zeros(shape, np.int64), np.zeros((len(ordered), 4, count), np.int32), np.full(count, np.nan),
    )  # fmt: skip
    dense = _Dense(start_ms, count, columns, amounts)
    for row, meter in enumerate(ordered):
        _fill(site, row, meter, dense)
    _fill_soc(site, dense)
    return site


def quality_series(meters: Sequence[SiteMeter], count: int, amounts: Mapping[int, Laid]) -> set[int]:
    """Series whose quality a site needs: those that decide, by amounts that lie on the grid."""
    dense = _Dense(0, count, {}, amounts)
    needed: set[int] = set()
    for meter in meters:
        open_at = np.ones(count, np.bool_)
        for term in _main_terms(meter):
            needed.add(term.series[0])
            open_at &= ~dense.term(term)[1]
            if not open_at.any():
                break
    return needed


def within(delta: NDArray[Any], known: Bools) -> Int64:
    """Amounts of slots, zero where unknown, none of them absurd."""
    return np.clip(np.where(known, delta, 0), -MAX_SLOT_MWH, MAX_SLOT_MWH).astype(np.int64)


class _Dense:
    """Series on the grid, each laid out once."""

    def __init__(
        self,
        start_ms: int,
        count: int,
        columns: Mapping[int, SlotColumns],
        amounts: Mapping[int, Laid] | None = None,
    ) -> None:
        self.start_ms, self.count, self._columns = start_ms, count, columns
        self._amounts: dict[int, Laid] = dict(amounts or {})

    def amounts(self, number: int) -> Laid:
        """Amount and whether it is known, per slot."""
        if number not in self._amounts:
            delta, known = np.zeros(self.count, np.int64), np.zeros(self.count, np.bool_)
            found = self.rows(number)
            if found is not None:
                at, rows = found
                delta[at] = within(rows.delta, rows.has_delta)
                known[at] = rows.has_delta
            self._amounts[number] = delta, known
        return self._amounts[number]

    def rows(self, number: int) -> tuple[slice | Int64, SlotColumns] | None:
        """Places on the grid, and the rows that lie there."""
        rows = self._columns.get(number)
        if rows is None or not len(rows):
            return None
        at = (rows.start_ms - self.start_ms) // SLOT_MS
        if at[0] < 0 or at[-1] >= self.count:
            inside = (at >= 0) & (at < self.count)
            rows, at = rows.take(inside), at[inside]
            if not len(rows):
                return None
        if at[-1] - at[0] == len(at) - 1:
            return slice(int(at[0]), int(at[-1]) + 1), rows
        return at, rows

    def term(self, term: Term) -> tuple[Int64, Bools]:
        """Signed sum of a term's series; known where all of them are."""
        total, known = self.amounts(term.series[0])
        for number in term.series[1:]:
            more, also = self.amounts(number)
            total, known = total + more, known & also
        return (total if term.sign > 0 else -total), known


def _fill(site: SiteSlots, row: int, meter: SiteMeter, dense: _Dense) -> None:
    giving, taking = _side(meter.give, dense), _side(meter.take, dense)
    known = np.ones(site.count, np.bool_)
    for terms, (amount, seen, wrong), column in (
        (meter.give, giving, site.give_mwh), (meter.take, taking, site.take_mwh),
    ):  # fmt: skip
        if terms:
            column[row] = amount
            site.wrong_mwh[row] += wrong
            if _counts(terms) or not _counts(meter.give + meter.take):
                known &= seen
    site.known[row] = known & bool(meter.give or meter.take)
    _fill_times(site.times_ms[row], _main_terms(meter), dense)


def _counts(terms: Sequence[Term]) -> bool:
    """Whether a register counts; a side that only a power would tell is not missed beside one that does."""
    return any(not term.by_power for term in terms)


def _main_terms(meter: SiteMeter) -> tuple[Term, ...]:
    """The side whose quality stands for the device."""
    consumes = meter.role in CONSUMERS
    return (meter.take or meter.give) if consumes else (meter.give or meter.take)


def _side(terms: Sequence[Term], dense: _Dense) -> tuple[Int64, Bools, Int64]:
    """(amounts, known, what ran backwards) by the first known term of each slot."""
    amount, wrong = np.zeros(dense.count, np.int64), np.zeros(dense.count, np.int64)
    known = np.zeros(dense.count, np.bool_)
    for term in terms:
        value, seen = dense.term(term)
        new = seen & ~known
        if not new.any():
            continue
        amount[new] = np.maximum(value[new], 0)
        if not term.by_power and term.sign > 0:
            wrong[new] = np.maximum(-value[new], 0)
        known |= new
        if known.all():
            break
    return amount, known, wrong


def _fill_times(times: Times, terms: Sequence[Term], dense: _Dense) -> None:
    """Quality times of the deciding series; of several that are added up, those of the first."""
    open_at = np.ones(dense.count, np.bool_)
    for term in terms:
        found = dense.rows(term.series[0])
        if found is None:
            continue
        at, rows = found
        _, known = dense.term(term)
        mine = np.zeros(dense.count, np.bool_)
        mine[at] = True
        mine &= open_at & (known if len(terms) > 1 else True)
        for row, name in enumerate(("measured_ms", "late_ms", "estimated_ms", "suspect_ms")):
            column = np.zeros(dense.count, np.int32)
            column[at] = getattr(rows, name)
            times[row][mine] = column[mine]
        open_at &= ~mine
        if not open_at.any():
            return


def _fill_soc(site: SiteSlots, dense: _Dense) -> None:
    total, seen = np.zeros(site.count), np.zeros(site.count)
    for meter in site.meters:
        found = dense.rows(meter.soc) if meter.soc is not None else None
        if found is None:
            continue
        at, rows = found
        percent = np.full(site.count, np.nan)
        percent[at] = rows.last
        good = (percent >= 0) & (percent <= 100)
        total[good] += percent[good]
        seen += good
    np.divide(total, seen, out=site.soc, where=seen > 0)
