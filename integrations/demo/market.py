"""The day-ahead market beside the house: a price per hour, as an exchange publishes them.

Pure: one seed is one market for ever. Summer sun presses the noon, still and cold evenings are dear, weekends are
cheaper, and a few windy or sunny hours fall below zero.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from integrations.demo.noise import Float64, Int64, Noise
from integrations.demo.site import DAY_MS, Site

HOUR_MS = 3_600_000
_HOURS = DAY_MS // HOUR_MS
_PUBLISHED_AT = 13
"""Local hour of the day at which tomorrow's prices come out."""
_BASE = 72.0
_BY_CLOCK = np.array([
    -14, -18, -21, -22, -20, -12, 4, 20, 26, 16, 4, -4, -8, -12, -10, -4, 6, 24, 40, 44, 30, 14, 4, -8,
], np.float64)  # fmt: skip
"""EUR/MWh beside the mean of the day, by local hour."""
_LOWEST, _HIGHEST = -60.0, 420.0


def known_until_ms(site: Site, now_ms: int) -> int:
    """End of the hours whose prices are published: today, and from the early afternoon on tomorrow."""
    zone = ZoneInfo(site.time_zone)
    now = datetime.fromtimestamp(now_ms / 1000, zone)
    days = 2 if now.hour >= _PUBLISHED_AT else 1
    midnight = now.toordinal() + days
    return int(datetime.fromordinal(midnight).replace(tzinfo=zone).timestamp() * 1000)


def day_ahead(seed: int, site: Site, start_ms: int, end_ms: int) -> tuple[Int64, Float64]:
    """Beginnings of the UTC hours in ``[start_ms, end_ms)`` and their prices in EUR/MWh, in whole cents."""
    hours = np.arange(-(-start_ms // HOUR_MS), -(-end_ms // HOUR_MS), dtype=np.int64)
    if not len(hours):
        return hours * HOUR_MS, np.empty(0)
    noise = Noise(seed)
    clock, weekend = _local(site, hours)
    summer = _summer(site, hours)
    days = np.arange(hours[0] // _HOURS, hours[-1] // _HOURS + 1, dtype=np.int64)
    at = hours // _HOURS - days[0]
    scarce, sunny = noise.weather("market", days, 0.7)[at], noise.weather("market sun", days, 0.5)[at]
    noon = np.exp(-(((clock - 13.0) / 2.6) ** 2))
    price = (
        (_BASE - 14.0 * summer) * np.exp(0.3 * scarce)
        + _BY_CLOCK[clock] * np.exp(0.25 * scarce) * np.where(weekend, 0.75, 1.0)
        - np.where(weekend, 12.0, 0.0)
        - noon * (26.0 + 22.0 * summer) * np.exp(0.45 * sunny)
        + 4.0 * noise.normal("market hours", hours)
    )
    return hours * HOUR_MS, np.round(np.clip(price, _LOWEST, _HIGHEST), 2)


def _local(site: Site, hours: Int64) -> tuple[Int64, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    """Local hour of the clock, and whether it is a weekend."""
    zone = ZoneInfo(site.time_zone)
    walls = [datetime.fromtimestamp(hour * 3600, zone) for hour in hours.tolist()]
    return np.array([wall.hour for wall in walls], np.int64), np.array(
        [wall.weekday() >= 5 for wall in walls]
    )


def _summer(site: Site, hours: Int64) -> Float64:
    """+1 in the middle of the local summer, −1 in the middle of winter."""
    phase = 2.0 * np.pi * (hours / _HOURS - 19.0 - 182.6) / 365.2425
    return np.asarray(np.cos(phase) * (1.0 if site.latitude >= 0 else -1.0))
