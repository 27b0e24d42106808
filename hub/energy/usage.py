"""What a bill is made from: energy of a metering point, prices and the calendar, on a grid of 15-minute slots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from hub.energy.money import Bools, Int64
from hub.energy.slots import SLOT_MS
from hub.errors import Refused

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The site's clock and its public holidays (site-local dates)."""

    zone: str
    holidays: frozenset[date] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Usage:
    """Energy of one metering point over a contiguous grid of slots; slot ``k`` begins ``first_ms + k * 900000``.

    ``import_mwh`` and ``export_mwh`` are never negative and 0 where unknown. The four times tell the quality of
    the slot's 900,000 ms; what they leave open is missing. All columns have one length.
    """

    first_ms: int
    import_mwh: Int64
    export_mwh: Int64
    import_known: Bools
    export_known: Bools
    measured_ms: Int64
    late_ms: Int64
    estimated_ms: Int64
    suspect_ms: Int64

    def __len__(self) -> int:
        return len(self.import_mwh)

    @property
    def end_ms(self) -> int:
        """End of the last slot."""
        return self.first_ms + len(self) * SLOT_MS

    @classmethod
    def measured(
        cls, first_ms: int, import_mwh: Sequence[int] | Int64, export_mwh: Sequence[int] | Int64 | None = None
    ) -> Self:
        """Wholly known and measured slots; without ``export_mwh`` nothing was fed in."""
        taken = np.asarray(import_mwh, dtype=np.int64)
        given = np.zeros_like(taken) if export_mwh is None else np.asarray(export_mwh, dtype=np.int64)
        slots = len(taken)
        known, none = (
            np.ones(slots, np.bool_),
            np.zeros(slots, np.int64),
        )  # each column is an array of its own
        return cls(
            first_ms,
            taken,
            given,
            known,
            known.copy(),
            np.full(slots, SLOT_MS),
            none,
            none.copy(),
            none.copy(),
        )

    def grid(self, first_ms: int, slots: int) -> Usage:
        """The same on another grid: what it does not hold is unknown, what lies outside is left out.

        Raises:
            Refused: ``WL-TAR-050`` where the two grids do not lie on one another.
        """
        if first_ms == self.first_ms and slots == len(self):
            return self
        at = _offset(self.first_ms, first_ms)
        columns = {
            name: _placed(getattr(self, name), at, slots)
            for name in (
                "import_mwh", "export_mwh", "import_known", "export_known",
                "measured_ms", "late_ms", "estimated_ms", "suspect_ms",
            )
        }  # fmt: skip
        return replace(self, first_ms=first_ms, **columns)


@dataclass(frozen=True, slots=True)
class PriceColumn:
    """A price series on a grid of slots: 1e-8 currency per kWh, 0 and not ``known`` where there is no price."""

    first_ms: int
    price_e8: Int64
    known: Bools

    def __len__(self) -> int:
        return len(self.price_e8)

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[int, int, int]], first_ms: int, slots: int) -> PriceColumn:
        """From rows ``(start_ms, end_ms, price_e8)`` in any order; where rows overlap, the later start counts.

        A slot that several rows share (five-minute markets) has their mean by time, rounded half-even; it is
        known only where rows cover all of it.
        """
        rows = list(rows)
        plain = _of_whole_slots(rows, first_ms, slots)
        if plain is not None:
            return plain
        total = np.zeros(slots, dtype=object)
        covered = np.zeros(slots, np.int64)
        end_ms = first_ms + slots * SLOT_MS
        for start, stop, price in _without_overlaps(rows):
            low, high = max(start, first_ms), min(stop, end_ms)
            if low >= high:
                continue
            head, tail = (low - first_ms) // SLOT_MS, (high - first_ms) // SLOT_MS
            if head == tail:
                total[head] += price * (high - low)
                covered[head] += high - low
                continue
            head_ms = first_ms + (head + 1) * SLOT_MS - low
            total[head] += price * head_ms
            covered[head] += head_ms
            total[head + 1 : tail] += price * SLOT_MS
            covered[head + 1 : tail] += SLOT_MS
            tail_ms = high - first_ms - tail * SLOT_MS
            if tail_ms:
                total[tail] += price * tail_ms
                covered[tail] += tail_ms
        known = covered >= SLOT_MS
        prices = np.array(
            [_mean(one) if there else 0 for one, there in zip(total, known, strict=True)], np.int64
        )
        return cls(first_ms, prices, known)

    def grid(self, first_ms: int, slots: int) -> PriceColumn:
        """The same on another grid. Raises as :meth:`Usage.grid`."""
        if first_ms == self.first_ms and slots == len(self):
            return self
        at = _offset(self.first_ms, first_ms)
        return PriceColumn(first_ms, _placed(self.price_e8, at, slots), _placed(self.known, at, slots))


def _of_whole_slots(rows: Sequence[tuple[int, int, int]], first_ms: int, slots: int) -> PriceColumn | None:
    """The usual case, in columns: rows of whole slots that do not overlap. None for all others."""
    if not rows:
        return PriceColumn(first_ms, np.zeros(slots, np.int64), np.zeros(slots, np.bool_))
    table = np.array(rows, dtype=np.int64)
    table = table[np.argsort(table[:, 0], kind="stable")]
    low, high = (table[:, 0] - first_ms) // SLOT_MS, (table[:, 1] - first_ms) // SLOT_MS
    if ((table[:, :2] - first_ms) % SLOT_MS).any() or (low >= high).any() or (high[:-1] > low[1:]).any():
        return None
    inside = (high > 0) & (low < slots)
    low, high = np.maximum(low[inside], 0), np.minimum(high[inside], slots)
    at = np.repeat(low - np.concatenate([[0], np.cumsum(high - low)[:-1]]), high - low)
    at += np.arange(len(at))
    price, known = np.zeros(slots, np.int64), np.zeros(slots, np.bool_)
    price[at] = np.repeat(table[inside, 2], high - low)
    known[at] = True
    return PriceColumn(first_ms, price, known)


def _mean(total: int) -> int:
    whole, rest = divmod(total, SLOT_MS)
    return int(whole + (2 * rest > SLOT_MS or (2 * rest == SLOT_MS and whole % 2 == 1)))


def _without_overlaps(rows: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Rows cut so that each instant has one price: of the row that starts last, of equals the shorter."""
    ordered = sorted(set(rows), key=lambda row: (row[0], -row[1], row[2]))
    cut: list[tuple[int, int, int]] = []
    for row in ordered:
        later: list[tuple[int, int, int]] = []
        while cut and cut[-1][1] > row[0]:
            start, stop, price = cut.pop()
            if stop > row[1]:
                later.append((max(start, row[1]), stop, price))
            if start < row[0]:
                cut.append((start, row[0], price))
                break
        cut.append(row)
        cut.extend(reversed(later))
    return cut


def _offset(mine_ms: int, first_ms: int) -> int:
    if (first_ms - mine_ms) % SLOT_MS:
        raise Refused("WL-TAR-050", "a bill begins and ends on a quarter hour", hint="use local midnights")
    return (first_ms - mine_ms) // SLOT_MS


def _placed(column: NDArray[_T], at: int, slots: int) -> NDArray[_T]:
    result = np.zeros(slots, column.dtype)
    low, high = max(at, 0), min(at + slots, len(column))
    if low < high:
        result[low - at : high - at] = column[low:high]
    return result
