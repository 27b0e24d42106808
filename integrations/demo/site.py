"""What one simulated house is: where it stands and how large its parts are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

MINUTES_PER_DAY = 1440
DAY_MS = 86_400_000
HOUSE_BUILT = date(2025, 1, 1)
"""Where the registers of a house begin at zero, unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Site:
    """Place and sizes. ``scale`` multiplies roof, battery and every use.

    Powers in W, energies in Wh, latitude and longitude in degrees. ``since`` is the UTC day on which all
    registers were zero and the battery half full; nothing is known before it.
    """

    latitude: float = 48.85
    longitude: float = 2.35
    time_zone: str = "Europe/Paris"
    scale: float = 1.0
    since: date = HOUSE_BUILT
    roof_w: float = 6500.0
    roof_tilt: float = 32.0
    battery_wh: float = 9600.0
    battery_w: float = 4600.0
    wallbox_w: float = 7360.0
    heat_loss_w_per_k: float = 190.0

    @property
    def first_day(self) -> int:
        """Number of the first UTC day (days since 1970)."""
        return (
            int(datetime(self.since.year, self.since.month, self.since.day, tzinfo=UTC).timestamp()) // 86_400
        )

    @property
    def first_ms(self) -> int:
        """Beginning of the first day."""
        return self.first_day * DAY_MS
