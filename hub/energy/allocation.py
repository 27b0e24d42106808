"""Who was fed by what, per slot, in whole numbers that add up exactly, with what it cost and emitted.

Sources feed uses in proportion (:attr:`Rule.PROPORTIONAL`) or in an order of devices (:attr:`Rule.PRIORITY`).
Export takes from the grid, and charging from a battery, only what nothing else can give: import and export of one
quarter of an hour happened one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from hub.energy.exact import Ints, priced, product, spread
from hub.energy.site_balance import RESIDUALS, Balance, Residual, Source, Use, balance
from hub.energy.site_slots import Bools, SiteSlots
from hub.energy.slots import Int64
from hub.energy.stock import CARRIED, Stock, StockWalk, walk


class Rule(StrEnum):
    """How sources are shared out."""

    PROPORTIONAL = "proportional"
    PRIORITY = "priority"


class Prices(Protocol):
    """Prices in 1e-8 of the currency per kWh, one per slot; where the mask is false the price is pending.

    ``export_e8`` is what export brings.
    """

    @property
    def import_e8(self) -> Int64: ...

    @property
    def import_known(self) -> Bools: ...

    @property
    def export_e8(self) -> Int64: ...

    @property
    def export_known(self) -> Bools: ...


@dataclass(frozen=True, slots=True)
class SlotPrices:
    """Plain :class:`Prices`."""

    import_e8: Int64
    import_known: Bools
    export_e8: Int64
    export_known: Bools


@dataclass(frozen=True, slots=True)
class SlotCarbon:
    """Carbon intensity of the grid in mg/kWh, one per slot."""

    import_mg: Int64
    known: Bools


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who was fed by what. ``fed_mwh`` is (sources, uses, slots).

    ``cost`` and ``co2`` are (uses, slots): cost in 1e-14 of the currency (mWh x 1e-8 per kWh), CO2 in ng (mWh x
    mg/kWh); what comes out of a battery brings along what it cost to charge. ``bought`` and ``emitted`` are the
    parts of them that came from the grid directly. ``unpriced_mwh`` and ``uncounted_mwh`` say how much of a use
    has no price, or no carbon intensity, yet; ``_grid`` and ``_stock`` what of it came from there, the rest is
    what a silent grid meter hides. ``from_grid_mwh`` is what came from the grid, through a battery or not.
    ``revenue`` is what export earned, ``unsold_mwh`` export whose price is not known.

    Sums, exactly, in every slot: ``fed`` over uses = sources, over sources = uses; import x price = ``cost`` over
    all uses but charging + ``lost`` + change of the stock; the same for CO2.
    """

    balance: Balance
    fed_mwh: Int64
    cost: Ints
    co2: Ints
    bought: Ints
    emitted: Ints
    unpriced_mwh: Int64
    unpriced_grid_mwh: Int64
    unpriced_stock_mwh: Int64
    uncounted_mwh: Int64
    uncounted_grid_mwh: Int64
    uncounted_stock_mwh: Int64
    from_grid_mwh: Int64
    revenue: Ints
    unsold_mwh: Int64
    import_cost: Ints
    import_co2: Ints
    stock: StockWalk
    stock_in: Ints
    stored_mwh: Int64
    drawn_mwh: Int64

    def stock_change(self, what: str) -> Ints:
        """Change of what the stock carries, per slot: ``energy``, or one of :data:`CARRIED`."""
        walked = self.stock
        if what == "energy":
            return self.stored_mwh - self.drawn_mwh - walked.loss_mwh + walked.opening_mwh
        row = CARRIED.index(what)
        return np.asarray(self.stock_in[row] - walked.out[row] - walked.lost[row])


def allocate(
    site: SiteSlots,
    *,
    prices: Prices | None = None,
    carbon: SlotCarbon | None = None,
    stock: Stock | None = None,
    rule: Rule = Rule.PROPORTIONAL,
    order: Sequence[str] = (),
    stops: Sequence[int] = (),
) -> Allocation:
    """Share the sources of every slot among its uses.

    Args:
        site: the columns of the house.
        prices: None where nothing is known: then all energy from the grid is pending.
        carbon: as ``prices``, for CO2.
        stock: what the batteries hold at the beginning; None is an empty book.
        rule: in proportion, or by the order of devices.
        order: with :attr:`Rule.PRIORITY` the devices that come first, in this order; others follow by id.
        stops: positions of slots before which the stock is told, in :attr:`StockWalk.at`.
    """
    closed = balance(site)
    fed = _fed(closed, _ranks(closed.uses, rule, order))
    grid = fed[Source.GRID]
    bought, unpriced = _bought(grid, prices)
    emitted, uncounted = _emitted(grid, carbon)
    blind = _blind(closed, fed[Source.OTHER])
    unpriced_grid, uncounted_grid = unpriced, uncounted
    unpriced, uncounted = unpriced + blind, uncounted + blind
    stored = np.stack([grid[1], bought[1], emitted[1], unpriced[1], uncounted[1]])
    drawn = closed.sources_mwh[Source.BATTERY] - fed[Source.BATTERY, 1]
    charged = closed.used_mwh[1] - fed[Source.BATTERY, 1]
    walked = walk(stock or Stock(), site.start_ms, charged, drawn, stored, site.soc, stops)
    out = fed[Source.BATTERY].copy()
    out[1] = 0  # what a battery gives to a battery stays in the stock
    shared = _shared(walked.out, out, drawn)
    revenue, unsold = _sold(closed.used_mwh[0], prices)
    return Allocation(
        balance=closed,
        fed_mwh=fed,
        cost=bought + shared[1],
        co2=emitted + shared[2],
        bought=bought,
        emitted=emitted,
        unpriced_mwh=unpriced + shared[3],
        unpriced_grid_mwh=unpriced_grid,
        unpriced_stock_mwh=shared[3],
        uncounted_mwh=uncounted + shared[4],
        uncounted_grid_mwh=uncounted_grid,
        uncounted_stock_mwh=shared[4],
        from_grid_mwh=grid + shared[0],
        revenue=revenue,
        unsold_mwh=unsold,
        import_cost=bought.sum(axis=0),
        import_co2=emitted.sum(axis=0),
        stock=walked,
        stock_in=stored,
        stored_mwh=charged,
        drawn_mwh=drawn,
    )


def _shared(carried: Ints, out: Int64, drawn: Int64) -> list[Ints]:
    """What left the battery, shared among the uses row by row; equal rows (nothing has a price) are shared once."""
    shared: list[Ints] = []
    for row in range(len(CARRIED)):
        same = next((at for at in range(row) if np.array_equal(carried[at], carried[row])), None)
        shared.append(priced(carried[row], out, drawn) if same is None else shared[same])
    return shared


def _bought(grid: Int64, prices: Prices | None) -> tuple[Ints, Int64]:
    if prices is None:
        return np.zeros_like(grid), grid
    cost = product(grid, np.where(prices.import_known, prices.import_e8, 0))
    return cost, np.where(prices.import_known, 0, grid)


def _emitted(grid: Int64, carbon: SlotCarbon | None) -> tuple[Ints, Int64]:
    if carbon is None:
        return np.zeros_like(grid), grid
    return product(grid, np.where(carbon.known, carbon.import_mg, 0)), np.where(carbon.known, 0, grid)


def _sold(export: Int64, prices: Prices | None) -> tuple[Ints, Int64]:
    if prices is None:
        return np.zeros_like(export), export
    return (
        product(export, np.where(prices.export_known, prices.export_e8, 0)),
        np.where(prices.export_known, 0, export),
    )


def _blind(closed: Balance, other: Int64) -> Int64:
    """Energy that a silent or absent grid meter hides: it has a price, but nobody knows how much there was."""
    hidden = np.zeros(closed.site.count, np.bool_)
    for reason in (Residual.MISSING_METER, Residual.NO_GRID_METER):
        hidden |= closed.residual_mwh[RESIDUALS.index(reason)] > 0
    return np.where(hidden, other, 0)


# --- sharing


def _fed(closed: Balance, ranks: Int64 | None) -> Int64:
    fed = np.zeros((4, *closed.used_mwh.shape), np.int64)
    rest = closed.sources_mwh.copy()
    fed[:, 0] = _drawn(rest, closed.used_mwh[0], (Source.SOLAR, Source.BATTERY, Source.OTHER), Source.GRID)
    fed[:, 1] = _drawn(rest, closed.used_mwh[1], (Source.GRID, Source.SOLAR, Source.OTHER), Source.BATTERY)
    uses = closed.used_mwh[2:].copy()
    if ranks is not None:
        _by_rank(fed[:, 2:], rest, uses, ranks)
        return fed
    for source in (Source.GRID, Source.SOLAR, Source.BATTERY):
        if rest[source].any():
            fed[source, 2:] = spread(rest[source], uses, uses.sum(axis=0))
            uses -= fed[source, 2:]
    fed[Source.OTHER, 2:] = uses
    return fed


def _drawn(rest: Int64, amount: Int64, first: Sequence[Source], last: Source) -> Int64:
    """Take ``amount`` out of ``rest``: of the first sources in proportion, of the last what they cannot give."""
    parts = np.zeros_like(rest)
    if not amount.any():
        return parts
    rows = list(first)
    there = rest[rows].sum(axis=0)
    got = np.minimum(amount, there)
    parts[rows] = spread(got, rest[rows], there)
    parts[last] = amount - got
    rest -= parts
    return parts


def _by_rank(fed: Int64, rest: Int64, uses: Int64, ranks: Int64) -> None:
    """First in the order, first served: by the sun, then the battery, then the grid."""
    ends = np.cumsum(uses[ranks], axis=0)
    begins = ends - uses[ranks]
    reached = np.zeros(uses.shape[1], np.int64)
    for source in (Source.SOLAR, Source.BATTERY, Source.OTHER, Source.GRID):
        until = reached + rest[source]
        fed[source, ranks] = np.maximum(np.minimum(ends, until) - np.maximum(begins, reached), 0)
        reached = until


def _ranks(uses: Sequence[Use], rule: Rule, order: Sequence[str]) -> Int64 | None:
    """Positions of the uses after export and charging in the order in which they are served."""
    if rule is Rule.PROPORTIONAL:
        return None
    place = {device: rank for rank, device in enumerate(order)}
    keys = [(place.get(use.device, len(place)), at) for at, use in enumerate(uses[2:])]
    return np.array([at for _, at in sorted(keys)], np.int64)
