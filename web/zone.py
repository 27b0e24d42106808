"""The site's time zone, for times that carry no offset."""

from __future__ import annotations

from functools import lru_cache
from zoneinfo import ZoneInfo

from hub.app import Hub


def site_zone(hub: Hub) -> ZoneInfo:
    """The time zone of the configured site."""
    return _zone(hub.config.site.time_zone)


@lru_cache(8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
