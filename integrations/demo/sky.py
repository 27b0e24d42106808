"""Sun and weather over the house, one value a minute.

Sun: the low-precision formulas of the Astronomical Almanac (0.01° until 2050). Clear sky: Haurwitz 1945.
Clouds and temperature are noise with a memory of days, hours and minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from integrations.demo.noise import Float64, Int64, Noise, blended
from integrations.demo.site import MINUTES_PER_DAY, Site

_J2000_DAY = 10_957.5
"""Noon of 2000-01-01 in days since 1970."""
_LOWEST_SIN = 0.02
_CLEAR_DIFFUSE = 0.14
_ALBEDO = 0.2


@dataclass(frozen=True, slots=True)
class Sky:
    """A UTC day: temperatures in °C, ``roof`` irradiance on the panels in W/m2, ``sun`` sine of the height.

    ``slow_temperature`` is what the walls of a house notice.
    """

    temperature: Float64
    slow_temperature: Float64
    roof: Float64
    sun: Float64


def sky_of(noise: Noise, site: Site, day: int) -> Sky:
    """Sun and weather of a UTC day (days since 1970)."""
    minute = day * MINUTES_PER_DAY + np.arange(MINUTES_PER_DAY, dtype=np.int64)
    up, towards_roof = _sun(site, day)
    cover = _cloud_cover(noise, site, day, minute)
    roof = _roof_irradiance(noise, site, minute, up, towards_roof, cover)
    slow, fast = _temperatures(noise, site, day, minute, cover)
    return Sky(fast, slow, roof, up)


def _sun(site: Site, day: int) -> tuple[Float64, Float64]:
    """Sine of the sun's height, and cosine of its angle to the panels, per minute."""
    at = day - _J2000_DAY + np.array([0.0, 1.0])
    anomaly = np.radians(357.529 + 0.98560028 * at)
    longitude = np.radians(280.459 + 0.98564736 * at + 1.915 * np.sin(anomaly) + 0.02 * np.sin(2 * anomaly))
    tilt = np.radians(23.439)
    ascension = np.unwrap(np.arctan2(np.cos(tilt) * np.sin(longitude), np.cos(longitude)))
    declination = np.arcsin(np.sin(tilt) * np.sin(longitude))
    share = np.arange(MINUTES_PER_DAY) / MINUTES_PER_DAY
    turned = np.radians((18.697374558 + 24.06570982441908 * (at[0] + share)) * 15.0 + site.longitude)
    angle = turned - (ascension[0] + (ascension[1] - ascension[0]) * share)
    sunk = declination[0] + (declination[1] - declination[0]) * share
    sin_lat, cos_lat = np.sin(np.radians(site.latitude)), np.cos(np.radians(site.latitude))
    sin_sun, cos_sun, cos_angle = np.sin(sunk), np.cos(sunk), np.cos(angle)
    up = sin_lat * sin_sun + cos_lat * cos_sun * cos_angle
    equatorwards = (sin_lat * cos_sun * cos_angle - cos_lat * sin_sun) * (1 if site.latitude >= 0 else -1)
    slope = np.radians(site.roof_tilt)
    return up, np.cos(slope) * up + np.sin(slope) * equatorwards


def _season(site: Site, minute: Int64) -> Float64:
    """+1 in the middle of the local summer (20 July in the north), −1 in the middle of winter."""
    phase = 2.0 * np.pi * (minute / MINUTES_PER_DAY - 19.0 - 182.6) / 365.2425
    return np.cos(phase) * (1.0 if site.latitude >= 0 else -1.0)


def _days_around(day: int) -> Int64:
    return np.arange(day, day + 2, dtype=np.int64)


def _by_day(values: Float64) -> Float64:
    """From the value of one midnight to the next."""
    share = np.arange(MINUTES_PER_DAY) / MINUTES_PER_DAY
    return blended(values, np.zeros(MINUTES_PER_DAY, np.int64), share)


def _cloud_cover(noise: Noise, site: Site, day: int, minute: Int64) -> Float64:
    """0 clear … 1 overcast."""
    front = _by_day(noise.weather("front", _days_around(day), 0.55))
    hours = noise.smooth("cloud hours", minute, 200.0)
    wanted = 0.32 - 0.8 * _season(site, minute) + 1.25 * front + 0.6 * hours
    return np.asarray(1.0 / (1.0 + np.exp(-1.7 * wanted)))


def _roof_irradiance(
    noise: Noise, site: Site, minute: Int64, up: Float64, towards_roof: Float64, cover: Float64
) -> Float64:
    height = np.maximum(up, _LOWEST_SIN)
    clear = np.where(up > 0, 1098.0 * height * np.exp(-0.057 / height), 0.0)
    # gaps between clouds: open for about 1 - cover of the time, with soft edges
    passing = 0.85 * noise.smooth("clouds", minute, 11.0) + 0.5 * noise.smooth("wisps", minute, 3.0)
    open_sky = 1.0 / (1.0 + np.exp(-4.0 * (passing - 4.2 * (cover - 0.5))))
    beam = clear * (1.0 - _CLEAR_DIFFUSE) * open_sky * (1.0 - 0.25 * cover**2)
    diffuse = clear * (_CLEAR_DIFFUSE + 0.5 * cover - 0.44 * cover**2)
    slope = np.cos(np.radians(site.roof_tilt))
    direct = beam / np.maximum(up, 0.06) * np.maximum(towards_roof, 0.0)
    return np.asarray(
        direct + diffuse * (1.0 + slope) / 2.0 + (beam + diffuse) * _ALBEDO * (1.0 - slope) / 2.0
    )


def _temperatures(
    noise: Noise, site: Site, day: int, minute: Int64, cover: Float64
) -> tuple[Float64, Float64]:
    """(slow, outdoor) in °C: climate by latitude, fronts of days, warm afternoons under an open sky."""
    season = _season(site, minute)
    away = abs(site.latitude)
    climate = 27.5 - 0.32 * away + 0.165 * away * season
    slow = climate + 3.3 * _by_day(noise.weather("warmth", _days_around(day), 0.78))
    solar_hour = 2.0 * np.pi * (minute / MINUTES_PER_DAY + site.longitude / 360.0)
    swing = (3.4 + 1.6 * season) * (1.15 - 0.7 * cover)
    outdoor = slow - swing * np.cos(solar_hour - 0.75) + 0.25 * noise.smooth("air", minute, 45.0)
    return slow, np.round(outdoor, 1)
