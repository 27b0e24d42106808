"""The meters of the house: its columns through the script of faults, as readings that arrive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from integrations.demo.devices import Declaration
from integrations.demo.faults import Fault, FaultKind, delivered, distorted
from integrations.demo.house import House
from integrations.demo.noise import Float64, Int64


@dataclass(frozen=True, slots=True)
class Heard:
    """Readings of one series that arrived."""

    public_id: str
    ts_ms: Int64
    values: Float64


class Meters:
    """All meters of a house. Times of faults are absolute here."""

    def __init__(self, house: House, declared: Sequence[Declaration], faults: Sequence[Fault]) -> None:
        self._house = house
        self._faults = tuple(faults)
        self._by_series = {
            public_id: tuple(fault for fault in faults if fault.hits(one.device.id, info.key))
            for one in declared
            for public_id, info in zip(one.public_ids(), one.series, strict=True)
        }

    def between(self, start_ms: int, end_ms: int, step_s: int, now_ms: int) -> list[Heard]:
        """Readings with times in ``[start_ms, end_ms)`` that have come by ``now_ms``."""
        columns = self._house.columns(start_ms, end_ms, step_s)
        heard = []
        for public_id, faults in self._by_series.items():
            ts_ms, values = columns.ts_ms, columns.values[public_id]
            if faults:
                values = distorted(faults, ts_ms, values, lambda at_ms, of=public_id: self._value(of, at_ms))  # type: ignore[misc]  # bound per turn
                come = delivered(faults, ts_ms, now_ms)
                ts_ms, values = ts_ms[come], values[come]
            if len(ts_ms):
                heard.append(Heard(public_id, ts_ms, values))
        return heard

    def held_until(self, after_ms: int, now_ms: int) -> Iterator[tuple[int, int]]:
        """Ranges that were held back and are let go in ``(after_ms, now_ms]``; they lie before ``after_ms``."""
        for fault in self._faults:
            if fault.kind is FaultKind.LATE and after_ms < fault.end_ms <= now_ms and fault.at_ms <= after_ms:
                yield fault.at_ms, min(fault.end_ms, after_ms + 1)

    def offline(self, device: str, now_ms: int) -> bool:
        """Whether a device is silent by script."""
        now = np.array([now_ms])
        return any(
            fault.kind is FaultKind.SILENT and fault.device in (None, device) and fault.at(now)[0]
            for fault in self._faults
        )

    def _value(self, public_id: str, at_ms: int) -> float:
        """Value at the first whole second not before ``at_ms``."""
        at_ms = max(at_ms + -at_ms % 1000, self._house.site.first_ms + 1000)
        return float(self._house.columns(at_ms, at_ms + 1, 1).values[public_id][0])
