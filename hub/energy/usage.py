"""What a bill is made from: energy of a metering point, prices and the calendar, on a grid of 15-minute slots."""

from __future__ import annotations

from collections.abc import Sequence
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

    def grid(self, first_ms: int, slots: int) -> PriceColumn:
        """The same on another grid. Raises as :meth:`Usage.grid`."""
        if first_ms == self.first_ms and slots == len(self):
            return self
        at = _offset(self.first_ms, first_ms)
        return PriceColumn(first_ms, _placed(self.price_e8, at, slots), _placed(self.known, at, slots))


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
