"""Times as people write them at the command line."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from hub.errors import Refused
from hub.model.times import ms_of


def moment_ms(text: str, zone: str) -> int:
    """ISO 8601 or epoch milliseconds → epoch milliseconds; without an offset it is the site's time.

    Raises:
        Refused: ``WL-COR-005``.
    """
    if text.isascii() and text.isdigit() and len(text) > 8:
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(
            "WL-COR-005",
            f"{text[:40]!r} is not a time",
            where="time",
            hint="such as 2026-03-29, 2026-03-29T14:00 or 2026-03-29T14:00:00+02:00",
        ) from error
    return ms_of(when if when.tzinfo else when.replace(tzinfo=ZoneInfo(zone)))
