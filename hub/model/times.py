"""Times as devices and people write them → UTC epoch milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hub.errors import Refused

MS_2000 = 946_684_800_000
"""Nothing was measured by a connected meter before the year 2000; earlier stamps are unset clocks."""

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s?(Z|z|[+-]\d{2}(:?\d{2})?)?\Z", re.ASCII
)
_S_BELOW, _MS_BELOW, _US_BELOW = 10**11, 10**14, 10**17


def epoch_ms(stamp: object, *, where: str = "ts") -> int:
    """A device time → epoch milliseconds, by magnitude: below 1e11 s, 1e14 ms, 1e17 µs, else ns.

    Text is ISO 8601 *with* an offset. Fractions of a millisecond are cut towards the past.

    Raises:
        Refused: ``WL-ING-030`` no number and no ISO text, ``WL-ING-031`` text without an offset,
            ``WL-ING-032`` out of every range.
    """
    if isinstance(stamp, bool) or not isinstance(stamp, int | float | str):
        raise Refused("WL-ING-030", "time is neither a number nor ISO 8601 text", where=where)
    if isinstance(stamp, str):
        return iso_ms(stamp, where=where)
    if not -(10**20) < stamp < 10**20:  # refuses NaN and infinity too
        raise Refused("WL-ING-032", "time is out of every range", where=where)
    size = abs(stamp)
    if size < _S_BELOW:
        return round(stamp * 1000)
    if size < _MS_BELOW:
        return int(stamp)
    if size < _US_BELOW:
        return int(stamp // 1000)
    return int(stamp // 1_000_000)


def iso_ms(text: str, *, where: str = "ts") -> int:
    """ISO 8601 with an offset → epoch milliseconds. Raises as :func:`epoch_ms`."""
    if len(text) > 40 or not _ISO.match(text):
        raise Refused("WL-ING-030", f"{text[:40]!r} is not an ISO 8601 time", where=where)
    plain = text.replace(",", ".").replace(" ", "T", 1).replace(" ", "").replace("t", "T").replace("z", "Z")
    plain = re.sub(r"(\.\d{6})\d+", r"\1", plain)
    try:
        moment = datetime.fromisoformat(plain)
    except ValueError as error:
        raise Refused("WL-ING-030", f"{text[:40]!r} is not a time of the calendar", where=where) from error
    if moment.tzinfo is None:
        raise Refused(
            "WL-ING-031",
            f"{text[:40]!r} has no offset, so it names no instant",
            where=where,
            hint="add Z or an offset such as +01:00",
        )
    return ms_of(moment)


def ms_of(moment: datetime) -> int:
    """Aware datetime → epoch milliseconds, exact (no float on the way)."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def utc(ts_ms: int) -> datetime:
    """Epoch milliseconds → aware UTC datetime."""
    return datetime.fromtimestamp(ts_ms // 1000, UTC).replace(microsecond=ts_ms % 1000 * 1000)
