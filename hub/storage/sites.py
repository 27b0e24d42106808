"""The site row: what the configuration says of the house, kept beside the figures it explains."""

from __future__ import annotations

from typing import Any, Protocol

import sqlalchemy as sa

from hub.storage import tables

SITE_ID = "home"


class SiteSettings(Protocol):
    """The part of the configuration that is stored."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def time_zone(self) -> str:
        """IANA name."""

    @property
    def currency(self) -> str:
        """ISO 4217."""

    @property
    def country(self) -> str | None:
        """ISO 3166, two letters."""

    @property
    def location(self) -> tuple[float, float] | None:
        """Latitude and longitude in degrees."""


def save_site(conn: sa.Connection, site: SiteSettings, now_ms: int) -> None:
    """Insert the site or bring its row up to date."""
    latitude, longitude = site.location or (None, None)
    values: dict[str, Any] = {
        "name": site.name,
        "time_zone": site.time_zone,
        "currency": site.currency,
        "country": site.country or "",
        "latitude": latitude,
        "longitude": longitude,
    }
    table = tables.sites
    if not conn.execute(sa.update(table).where(table.c.id == SITE_ID).values(values)).rowcount:
        conn.execute(sa.insert(table).values(values | {"id": SITE_ID, "created_ms": now_ms}))
