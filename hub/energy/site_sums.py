"""The allocation of a site summed into buckets of time: what months are kept as, and what answers are made of.

Sums are whole numbers, so days add up to their month in any order. A bucket that has no slot is zero everywhere,
and :attr:`SiteSums.seen` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from hub.energy.allocation import Allocation
from hub.energy.exact import Ints, narrow, wide
from hub.energy.site_balance import Use
from hub.energy.site_meters import SiteMeter
from hub.energy.slots import SLOT_MS, Int64
from hub.energy.stock import CARRIED
from hub.model.quality import Quality, shares
from hub.model.series import Role

_BORDERS: Final = ("start_ms", "end_ms")
_PEAKS: Final = ("peak_mwh", "peak_ms")
_LAYOUT: Final = ("meters", "uses")


@dataclass(frozen=True, slots=True)
class SiteSums:
    """Columns whose last axis is the bucket; names as in :class:`hub.energy.allocation.Allocation`.

    ``give_mwh`` and ``take_mwh`` (devices, buckets) are a device's own, ``shown_*`` what its meter says.
    ``seen`` counts the slots in which a device was known, ``times_ms`` (devices, 4, buckets) tells how well.
    ``lost`` and ``change`` are (6, buckets): energy, then what :data:`hub.energy.stock.CARRIED` names.
    ``peak_mwh`` is the largest import of one slot and ``peak_ms`` its begin.
    """

    start_ms: Int64
    end_ms: Int64
    meters: tuple[SiteMeter, ...]
    uses: tuple[Use, ...]
    give_mwh: Ints
    take_mwh: Ints
    shown_give_mwh: Ints
    shown_take_mwh: Ints
    seen: Ints
    times_ms: Ints
    fed_mwh: Ints
    cost: Ints
    co2: Ints
    bought: Ints
    emitted: Ints
    unpriced_mwh: Ints
    unpriced_grid_mwh: Ints
    unpriced_stock_mwh: Ints
    uncounted_mwh: Ints
    uncounted_grid_mwh: Ints
    uncounted_stock_mwh: Ints
    from_grid_mwh: Ints
    residual_mwh: Ints
    revenue: Ints
    unsold_mwh: Ints
    import_cost: Ints
    import_co2: Ints
    opening_mwh: Ints
    lost: Ints
    change: Ints
    peak_mwh: Ints
    peak_ms: Ints

    def __len__(self) -> int:
        return len(self.start_ms)

    def rows(self, *roles: Role) -> list[int]:
        """Positions of the devices with one of these roles."""
        return [at for at, meter in enumerate(self.meters) if meter.role in roles]

    def quality(self, bucket: int, rows: Sequence[int], now_ms: int) -> Quality:
        """Shares of the time of some devices in a bucket, as far as it has passed."""
        length_ms = max(min(int(self.end_ms[bucket]), now_ms) - int(self.start_ms[bucket]), 0)
        times = self.times_ms[:, :, bucket][list(rows)].sum(axis=0).tolist()
        return shares(length_ms * len(rows), *times)

    def grouped(self, starts: Int64, ends: Int64) -> SiteSums:
        """Summed into larger buckets in time order; one belongs to that it begins in."""
        low, high = np.searchsorted(self.start_ms, starts), np.searchsorted(self.start_ms, ends)
        return self._reduced(starts, ends, low, high)

    def between(self, start_ms: int, end_ms: int) -> SiteSums:
        """The buckets that begin in ``[start_ms, end_ms)``."""
        low, high = np.searchsorted(self.start_ms, [start_ms, end_ms]).tolist()
        columns: dict[str, Any] = {
            name: getattr(self, name) if name in _LAYOUT else getattr(self, name)[..., low:high]
            for name in _NAMES
        }
        return SiteSums(**columns)

    def of_uses(self, devices: Sequence[str]) -> SiteSums:
        """Only what some devices used: the rows of all other uses are left out."""
        rows = [at for at, use in enumerate(self.uses) if use.device in devices]
        columns: dict[str, Any] = {name: getattr(self, name) for name in _NAMES}
        for name in _BY_USE:
            columns[name] = columns[name][..., rows, :]
        return SiteSums(**columns | {"uses": tuple(self.uses[at] for at in rows)})

    def whole(self, start_ms: int, end_ms: int) -> SiteSums:
        """Everything as one bucket ``[start_ms, end_ms)``."""
        every = np.array([0]), np.array([len(self)])
        return self._reduced(np.array([start_ms]), np.array([end_ms]), *every)

    def _reduced(self, starts: Int64, ends: Int64, low: Ints, high: Ints) -> SiteSums:
        columns: dict[str, Any] = {
            name: reduced(getattr(self, name), low, high) for name in _NAMES if name not in _UNSUMMED
        }
        peak_mwh, peak_ms = _peaks(self.peak_mwh, self.peak_ms, low, high)
        return SiteSums(
            start_ms=starts, end_ms=ends, meters=self.meters, uses=self.uses,
            peak_mwh=peak_mwh, peak_ms=peak_ms, **columns,
        )  # fmt: skip


_NAMES: Final = tuple(column.name for column in fields(SiteSums))
_BY_USE: Final = (
    "fed_mwh", "cost", "co2", "bought", "emitted", "unpriced_mwh", "unpriced_grid_mwh", "unpriced_stock_mwh",
    "uncounted_mwh", "uncounted_grid_mwh", "uncounted_stock_mwh", "from_grid_mwh",
)  # fmt: skip
_UNSUMMED: Final = frozenset({*_BORDERS, *_PEAKS, *_LAYOUT})


def joined(parts: Sequence[SiteSums]) -> SiteSums:
    """Buckets of one house (the same meters) one after the other; at least one part."""
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Any] = {
        name: getattr(parts[0], name)
        if name in _LAYOUT
        else np.concatenate([getattr(part, name) for part in parts], axis=-1)
        for name in _NAMES
    }
    return SiteSums(**columns)


def summed(found: Allocation, starts: Int64, ends: Int64) -> SiteSums:
    """Slots summed into buckets ``[start, end)`` in time order; borders lie on slots, parts outside are nothing."""
    site, closed = found.balance.site, found.balance
    low = np.clip(-(-(starts - site.start_ms) // SLOT_MS), 0, site.count)
    high = np.clip(-(-(ends - site.start_ms) // SLOT_MS), 0, site.count)
    walked = found.stock
    lost = _stacked([walked.loss_mwh], walked.lost)
    change = _stacked(
        [found.stock_change("energy")], np.stack([found.stock_change(name) for name in CARRIED])
    )

    def into(column: Ints) -> Ints:
        return reduced(column, low, high)

    peak_mwh, peak_ms = _peaks(closed.sources_mwh[0], site.starts_ms, low, high)
    return SiteSums(
        start_ms=starts,
        end_ms=ends,
        meters=site.meters,
        uses=closed.uses,
        give_mwh=into(closed.give_mwh),
        take_mwh=into(closed.take_mwh),
        shown_give_mwh=into(site.give_mwh),
        shown_take_mwh=into(site.take_mwh),
        seen=into(site.known),
        times_ms=into(site.times_ms),
        fed_mwh=into(found.fed_mwh),
        cost=into(found.cost),
        co2=into(found.co2),
        bought=into(found.bought),
        emitted=into(found.emitted),
        unpriced_mwh=into(found.unpriced_mwh),
        unpriced_grid_mwh=into(found.unpriced_grid_mwh),
        unpriced_stock_mwh=into(found.unpriced_stock_mwh),
        uncounted_mwh=into(found.uncounted_mwh),
        uncounted_grid_mwh=into(found.uncounted_grid_mwh),
        uncounted_stock_mwh=into(found.uncounted_stock_mwh),
        from_grid_mwh=into(found.from_grid_mwh),
        residual_mwh=into(closed.residual_mwh),
        revenue=into(found.revenue),
        unsold_mwh=into(found.unsold_mwh),
        import_cost=into(found.import_cost),
        import_co2=into(found.import_co2),
        opening_mwh=into(walked.opening_mwh),
        lost=into(lost),
        change=into(change),
        peak_mwh=peak_mwh,
        peak_ms=peak_ms,
    )


def reduced(column: Ints, low: Ints, high: Ints) -> Ints:
    """Sums of ``column[..., low:high]`` per bucket, in Python integers where 64 bits might not do."""
    if column.dtype == np.bool_:
        column = column.view(np.int8)
    result: Ints = np.zeros((*column.shape[:-1], len(low)), object if column.dtype == object else np.int64)
    filled = np.flatnonzero(high > low)
    if not len(filled) or not column.size:
        return result
    if column.dtype == np.int64 and not _sums_fit(column):
        column, result = wide(column), wide(result)
    bounds = np.column_stack([low[filled], high[filled]]).ravel()
    if bounds[-1] == column.shape[-1]:
        bounds = bounds[:-1]  # the last stretch goes to the end by itself
    kind = object if column.dtype == object else np.int64
    result[..., filled] = np.add.reduceat(column, bounds, axis=-1, dtype=kind)[..., ::2]
    return narrow(result) if kind is object else result


def _sums_fit(column: Int64) -> bool:
    most = max(abs(int(column.min())), abs(int(column.max())))
    return bool(most * column.shape[-1] < 1 << 62)


def _stacked(first: Sequence[Ints], rows: Ints) -> Ints:
    return np.concatenate([np.stack(first), rows], axis=0)


def _peaks(amount: Ints, at_ms: Ints, low: Ints, high: Ints) -> tuple[Int64, Int64]:
    """The largest amount of each bucket and when it was, the first of equal ones."""
    most, when = np.zeros(len(low), np.int64), np.zeros(len(low), np.int64)
    for bucket, (begin, end) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        if end > begin:
            at = begin + int(np.argmax(amount[begin:end]))
            most[bucket], when[bucket] = amount[at], at_ms[at]
    return most, when
