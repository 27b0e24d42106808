"""Options of a simulated house."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import voluptuous as vol

from hub.plugins.api import Refused, iso_ms
from integrations.demo.devices import declarations
from integrations.demo.faults import Fault, FaultKind
from integrations.demo.site import HOUSE_BUILT, Site

_UNITS_MS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)\Z")
_MAX_MS = 10 * 366 * 86_400_000


def duration_ms(value: object) -> int:
    """``10min``, ``90 s``, or a number of seconds → milliseconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        lasts_ms = value * 1000
    else:
        match = _DURATION.match(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise vol.Invalid("expected a duration such as 10min, 90s or 1h")
        lasts_ms = float(match[1]) * _UNITS_MS[match[2]]
    if not 0 <= lasts_ms <= _MAX_MS:
        raise vol.Invalid("expected a duration of at most ten years")
    return round(lasts_ms)


def _at(value: object) -> tuple[int, bool]:
    """``+5min`` (after the start) or ISO 8601 with an offset → (milliseconds, relative)."""
    if not isinstance(value, str):
        raise vol.Invalid("expected +5min or a time such as 2026-11-22T10:00:00Z")
    if value.startswith("+"):
        return duration_ms(value[1:]), True
    try:
        return iso_ms(value), False
    except Refused as error:
        raise vol.Invalid(f"expected +5min or a time with an offset: {error.message}") from error


def _whole_seconds(value: object) -> int:
    interval_ms = duration_ms(value)
    if interval_ms % 1000 or not 1000 <= interval_ms <= 3_600_000:
        raise vol.Invalid("expected whole seconds from 1s to 1h")
    return interval_ms // 1000


def _zone(value: object) -> str:
    try:
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise vol.Invalid("expected a time zone such as Europe/Paris") from error


def _day(value: object) -> date:
    if isinstance(value, date):
        return value
    try:
        built = date.fromisoformat(str(value))
    except ValueError as error:
        raise vol.Invalid("expected a day such as 2025-01-01") from error
    if built.year < 2000:
        raise vol.Invalid("expected a day after 1999")
    return built


_KEYS = {one.device.id: tuple(info.key for info in one.series) for one in declarations(10)}

_FAULT = vol.Schema(
    {
        vol.Required("kind"): vol.In([kind.value for kind in FaultKind]),
        vol.Required("at"): _at,
        vol.Optional("for", default="1min"): duration_ms,
        vol.Optional("device", default=None): vol.Any(None, vol.In(list(_KEYS))),
        vol.Optional("series", default=None): vol.Any(
            None, vol.In(sorted({key for keys in _KEYS.values() for key in keys}))
        ),
    }
)

SCHEMA = vol.Schema(
    {
        vol.Optional("name", default="Simulated house"): vol.All(str, vol.Length(min=1, max=80)),
        vol.Optional("seed", default=1): vol.All(int, vol.Range(min=0, max=2**31)),
        vol.Optional("location", default=[48.85, 2.35]): vol.All(
            [vol.Coerce(float)],
            vol.ExactSequence([vol.Range(min=-66, max=66), vol.Range(min=-180, max=180)]),
        ),
        vol.Optional("time_zone", default="Europe/Paris"): _zone,
        vol.Optional("scale", default=1.0): vol.All(vol.Coerce(float), vol.Range(min=0.1, max=20)),
        vol.Optional("since", default=HOUSE_BUILT.isoformat()): _day,
        vol.Optional("interval", default="10s"): _whole_seconds,
        vol.Optional("faults", default=list): [_FAULT],
    }
)


def site_of(options: Mapping[str, Any]) -> Site:
    """The house that validated options describe."""
    latitude, longitude = options["location"]
    return Site(
        latitude=latitude,
        longitude=longitude,
        time_zone=options["time_zone"],
        scale=options["scale"],
        since=options["since"],
    )


def faults_of(options: Mapping[str, Any]) -> tuple[Fault, ...]:
    """The scripted faults of validated options."""
    return tuple(
        Fault(FaultKind(one["kind"]), one["at"][0], one["for"], one["at"][1], one["device"], one["series"])
        for one in options["faults"]
    )
