"""Timestamps of line protocol → epoch milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MAX_TS_MS = ((1 << 63) - 1) // 1_000_000
"""The last instant that InfluxDB can hold in nanoseconds (year 2262); beyond is ``time outside range``."""


@dataclass(frozen=True, slots=True)
class Precision:
    """``ts_ms = ticks * times // per``; fractions of a millisecond are cut towards the past."""

    times: int
    per: int

    def ts_ms(self, ticks: int) -> int:
        """Epoch milliseconds, not checked for their range."""
        return ticks * self.times // self.per


NS = Precision(1, 1_000_000)
US = Precision(1, 1_000)
MS = Precision(1, 1)
S = Precision(1_000, 1)

V1: Mapping[str, Precision] = {
    "n": NS,
    "ns": NS,
    "u": US,
    "us": US,
    "µ": US,
    "µs": US,
    "ms": MS,
    "s": S,
    "m": Precision(60_000, 1),
    "h": Precision(3_600_000, 1),
}
"""``precision`` of ``/write``; an unknown one counts as nanoseconds there, as in InfluxDB 1.x."""

V2: Mapping[str, Precision] = {"ns": NS, "us": US, "ms": MS, "s": S}
"""``precision`` of ``/api/v2/write``; an unknown one is an error there."""
