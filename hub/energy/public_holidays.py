"""Public holidays of a country, as tariffs ask for them."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from hub.energy.calendar import local_date


@lru_cache(maxsize=64)
def public_holidays(country: str | None, first_year: int, last_year: int) -> frozenset[date]:
    """Site-local dates of the holidays that the whole country has; none where the country is not known."""
    if country is None:
        return frozenset()
    import holidays  # 140 ms that only tariffs need

    if country not in holidays.list_supported_countries():
        return frozenset()
    return frozenset(holidays.country_holidays(country, years=range(first_year, last_year + 1)))


def holidays_between(country: str | None, zone: str, start_ms: int, end_ms: int) -> frozenset[date]:
    """Holidays of all years that a range touches."""
    return public_holidays(country, local_date(zone, start_ms).year, local_date(zone, end_ms).year)
