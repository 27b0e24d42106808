"""The calendar of a time zone: local days, hours, months and years as columns of UTC borders.

Offsets come from :mod:`zoneinfo` once per zone and year; from then on everything is arithmetic on the list of
offset changes, so a year of hours costs a few milliseconds. Days of 23, 25, 23.5, 24.5 and 0 hours, midnights
that do not exist and hours that come twice fall out of two rules:

* a day (month, year) begins at the first instant whose local clock shows its first midnight *or later*;
* hours and quarters are local wall-clock steps, and every change of the offset begins a new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from hub.errors import Refused

Int64 = NDArray[np.int64]

_DAY_S = 86_400
_STEP_S = {"1h": 3600, "15m": 900, "1m": 60}
_AROUND_DAYS = {"1d": 4, "1mo": 66, "1y": 770}
"""How far the borders of buckets that touch a range may lie outside it."""
_FIRST_MS = -86_400_000
_LAST_MS = 7_258_118_400_000  # 2200-01-01 UTC


WEEK_HOURS = 168
_EPOCH_WEEK_HOUR = 72  # 1970 began on a Thursday


@dataclass(frozen=True, slots=True)
class Buckets:
    """Consecutive buckets of a calendar.

    ``label`` is the local ISO text of the beginning with its offset (``2026-03-29T00:00:00+01:00``), or the
    midnight by the offset just before where that midnight does not exist; ``start_ms`` and ``end_ms`` are
    UTC epoch milliseconds, end exclusive. A day that the zone skipped has ``start_ms == end_ms``.
    """

    label: tuple[str, ...]
    start_ms: Int64
    end_ms: Int64

    def __len__(self) -> int:
        return len(self.label)

    def clipped(self, start_ms: int, end_ms: int) -> tuple[Buckets, list[int]]:
        """The buckets cut to ``[start_ms, end_ms)``, and the positions of those that were cut (partial)."""
        starts = np.clip(self.start_ms, start_ms, end_ms)
        ends = np.clip(self.end_ms, start_ms, end_ms)
        cut = np.flatnonzero((starts != self.start_ms) | (ends != self.end_ms))
        return Buckets(self.label, _frozen(starts), _frozen(ends)), cut.tolist()


@dataclass(frozen=True, slots=True)
class _Offsets:
    """Offsets in seconds, each valid from ``since_s[k]`` (UTC) until the next; the first since ever."""

    since_s: Int64
    offset_s: Int64

    def wall_ends_s(self) -> Int64:
        """Wall clock of the end of each stretch; the last never ends."""
        ends = np.append(self.since_s[1:] + self.offset_s[:-1], np.iinfo(np.int64).max)
        return np.asarray(np.maximum.accumulate(ends), dtype=np.int64)


def zone_info(zone: str) -> ZoneInfo:
    """The zone of an IANA name.

    Raises:
        Refused: ``WL-NRG-001`` where the zone database does not know the name.
    """
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Refused(
            "WL-NRG-001", f"unknown time zone {zone[:60]!r}", hint="a name such as Europe/Paris"
        ) from error


@lru_cache(maxsize=1)
def zone_version() -> str:
    """Version of the zone database in use (``2026a``), empty where it does not say."""
    for folder in TZPATH:
        stamp = Path(folder) / "tzdata.zi"
        if stamp.is_file():
            with stamp.open(encoding="ascii", errors="replace") as lines:
                return lines.readline().removeprefix("# version").strip()
        if (Path(folder) / "+VERSION").is_file():
            return (Path(folder) / "+VERSION").read_text(encoding="ascii", errors="replace").strip()
        if (Path(folder) / "Europe").is_dir():
            return ""  # this database is used first, and it does not tell its version
    try:
        return str(import_module("tzdata").IANA_VERSION)
    except ImportError:
        return ""


def local_days(zone: str, start_ms: int, end_ms: int) -> Buckets:
    """Site-local days that touch ``[start_ms, end_ms)``, uncut; days the zone skipped are there with 0 h."""
    return _dated(zone, start_ms, end_ms, "1d")


def local_months(zone: str, start_ms: int, end_ms: int) -> Buckets:
    """Site-local months that touch ``[start_ms, end_ms)``, uncut."""
    return _dated(zone, start_ms, end_ms, "1mo")


def local_years(zone: str, start_ms: int, end_ms: int) -> Buckets:
    """Site-local years that touch ``[start_ms, end_ms)``, uncut."""
    return _dated(zone, start_ms, end_ms, "1y")


def local_hours(zone: str, start_ms: int, end_ms: int) -> Buckets:
    """Local wall-clock hours that touch ``[start_ms, end_ms)``; a repeated hour comes twice."""
    return _stepped(zone, start_ms, end_ms, "1h")


def quarters(zone: str, start_ms: int, end_ms: int) -> Buckets:
    """Quarter hours that touch ``[start_ms, end_ms)``."""
    return _stepped(zone, start_ms, end_ms, "15m")


def minutes(zone: str, start_ms: int, end_ms: int) -> Buckets:
    """Minutes that touch ``[start_ms, end_ms)``."""
    return _stepped(zone, start_ms, end_ms, "1m")


def buckets(zone: str, resolution: str, start_ms: int, end_ms: int) -> Buckets:
    """Buckets of a resolution of the history contract: ``1m 15m 1h 1d 1mo 1y``.

    Raises:
        Refused: ``WL-NRG-002`` for another resolution, ``WL-NRG-003`` for times outside 1970…2200,
            ``WL-NRG-001`` for an unknown zone.
    """
    if resolution in _STEP_S:
        return _stepped(zone, start_ms, end_ms, resolution)
    if resolution in ("1d", "1mo", "1y"):
        return _dated(zone, start_ms, end_ms, resolution)
    raise Refused("WL-NRG-002", f"no calendar for {resolution[:12]!r}", hint="1m, 15m, 1h, 1d, 1mo or 1y")


def week_hours(zone: str, ts_ms: Int64) -> Int64:
    """Hour of the local week of each instant, 0 for Monday's first and 167 for Sunday's last."""
    if not len(ts_ms):
        return np.empty(0, np.int64)
    offsets = _offsets(zone, int(ts_ms.min()), int(ts_ms.max()))
    seconds = ts_ms // 1000
    stretch = np.searchsorted(offsets.since_s, seconds, side="right") - 1
    hours = (seconds + offsets.offset_s[stretch]) // 3600
    return np.asarray((hours + _EPOCH_WEEK_HOUR) % WEEK_HOURS, np.int64)


def local_date(zone: str, ts_ms: int) -> date:
    """The site-local date of an instant."""
    return datetime.fromtimestamp(ts_ms // 1000, zone_info(zone)).date()


def offsets_s(zone: str, ts_ms: Int64) -> Int64:
    """Seconds east of UTC at instants in time order; ``(ts_ms // 1000 + offset) % 86400`` is the wall clock."""
    if not len(ts_ms):
        return _EMPTY.start_ms
    _spans(int(ts_ms[0]), int(ts_ms[-1]))
    offsets = _offsets(zone, int(ts_ms[0]), int(ts_ms[-1]))
    stretch = np.searchsorted(offsets.since_s, ts_ms // 1000, side="right") - 1
    return np.asarray(offsets.offset_s[np.maximum(stretch, 0)])


@lru_cache(maxsize=128)
def _dated(zone: str, start_ms: int, end_ms: int, resolution: str) -> Buckets:
    if not _spans(start_ms, end_ms):
        return _EMPTY
    around_ms = _AROUND_DAYS[resolution] * _DAY_S * 1000
    offsets = _offsets(zone, start_ms - around_ms, end_ms + around_ms)
    midnights_s = _first_midnights_s(offsets, start_ms, end_ms, resolution)
    stretch = np.searchsorted(offsets.wall_ends_s(), midnights_s, side="right")
    borders_s = np.maximum(offsets.since_s[stretch], midnights_s - offsets.offset_s[stretch])
    starts, ends = borders_s[:-1] * 1000, borders_s[1:] * 1000
    # A bucket of no length belongs to the range where it lies inside it, as its neighbours do.
    keep = np.flatnonzero(
        ((ends > start_ms) & (starts < end_ms)) | ((starts == ends) & (starts > start_ms) & (starts < end_ms))
    )
    labels = _day_labels(offsets, midnights_s[keep], borders_s[keep])
    return Buckets(labels, _frozen(starts[keep]), _frozen(ends[keep]))


@lru_cache(maxsize=128)
def _stepped(zone: str, start_ms: int, end_ms: int, resolution: str) -> Buckets:
    if not _spans(start_ms, end_ms):
        return _EMPTY
    step_s = _STEP_S[resolution]
    offsets = _offsets(zone, start_ms - _DAY_S * 1000, end_ms + _DAY_S * 1000)
    first_s, last_s = start_ms // 1000 - 2 * step_s, -(-end_ms // 1000) + 2 * step_s
    starts_s: list[Int64] = []
    offset_of: list[Int64] = []
    until_s = np.append(offsets.since_s[1:], last_s)
    for since, until, offset in zip(
        offsets.since_s.tolist(), until_s.tolist(), offsets.offset_s.tolist(), strict=True
    ):
        begin, stop = max(since, first_s), min(until, last_s)
        if begin >= stop:
            continue
        grid = (
            np.arange(-(-(begin + offset) // step_s) * step_s, stop + offset, step_s, dtype=np.int64) - offset
        )
        if since == begin and (not len(grid) or grid[0] != since):
            grid = np.insert(
                grid, 0, since
            )  # the clock jumped inside a step: what is left is a bucket of its own
        starts_s.append(grid)
        offset_of.append(np.full(len(grid), offset, dtype=np.int64))
    borders, offset_at = np.concatenate(starts_s), np.concatenate(offset_of)
    starts, ends = borders[:-1] * 1000, borders[1:] * 1000
    keep = (ends > start_ms) & (starts < end_ms)
    labels = _labels(borders[:-1][keep], offset_at[:-1][keep])
    return Buckets(labels, _frozen(starts[keep]), _frozen(ends[keep]))


def _spans(start_ms: int, end_ms: int) -> bool:
    if not (_FIRST_MS <= start_ms <= _LAST_MS and _FIRST_MS <= end_ms <= _LAST_MS):
        raise Refused("WL-NRG-003", "the range lies outside the years 1970 to 2200", where="start")
    return start_ms < end_ms


def _first_midnights_s(offsets: _Offsets, start_ms: int, end_ms: int, resolution: str) -> Int64:
    """Wall clocks of first midnights, from before the range to after it, so that ends are there too."""
    low_s = start_ms // 1000 + int(offsets.offset_s.min()) - 2 * _DAY_S
    high_s = -(-end_ms // 1000) + int(offsets.offset_s.max()) + 2 * _DAY_S
    if resolution == "1d":
        return np.arange(low_s // _DAY_S, high_s // _DAY_S + 2, dtype=np.int64) * _DAY_S
    kind = "datetime64[M]" if resolution == "1mo" else "datetime64[Y]"
    low, high = np.array([low_s, high_s]).astype("datetime64[s]").astype(kind).astype(np.int64).tolist()
    firsts = np.arange(low, high + 2, dtype=np.int64).astype(kind)
    return np.asarray(firsts.astype("datetime64[s]").astype(np.int64))


@lru_cache(maxsize=512)
def _changes_of_year(zone: str, year: int) -> tuple[tuple[int, int], ...]:
    """(UTC second, offset from then on) for the begin of a UTC year and each change inside it."""
    info = zone_info(zone)
    begin = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    stop = int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp())
    changes = [(begin, _offset_s(info, begin))]
    for probe in [*range(begin + _DAY_S, stop, _DAY_S), stop - 1]:
        before = changes[-1][1]
        if _offset_s(info, probe) == before:
            continue
        low, high = max(probe - _DAY_S, begin), probe
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset_s(info, middle) == before else (low, middle)
        changes.append((high, _offset_s(info, high)))
    return tuple(changes)


def _offset_s(info: ZoneInfo, second: int) -> int:
    offset = datetime.fromtimestamp(second, info).utcoffset()
    return int((offset or timedelta(0)).total_seconds())


def _offsets(zone: str, start_ms: int, end_ms: int) -> _Offsets:
    first, last = _utc_year(start_ms), _utc_year(end_ms)
    since: list[int] = []
    offset: list[int] = []
    for year in range(first, last + 1):
        for second, seconds_east in _changes_of_year(zone, year):
            if not offset or offset[-1] != seconds_east:
                since.append(second)
                offset.append(seconds_east)
    return _Offsets(np.array(since, dtype=np.int64), np.array(offset, dtype=np.int64))


def _utc_year(ts_ms: int) -> int:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=ts_ms // 1000)).year


def _day_labels(offsets: _Offsets, midnight_s: Int64, border_s: Int64) -> tuple[str, ...]:
    """Midnights by the offset that makes them the borders; else the clocks that are shown at the borders."""
    stretch = np.searchsorted(offsets.since_s, border_s, side="right") - 1
    shown, before = offsets.offset_s[stretch], offsets.offset_s[np.maximum(stretch - 1, 0)]
    skipped = (border_s + shown != midnight_s) & (border_s + before == midnight_s)
    return _labels(border_s, np.where(skipped, before, shown))


def _labels(seconds: Int64, offset_s: Int64) -> tuple[str, ...]:
    if not len(seconds):
        return ()
    texts = np.datetime_as_string((seconds + offset_s).astype("datetime64[s]"), unit="s").tolist()
    ends = {offset: _offset_text(offset) for offset in np.unique(offset_s).tolist()}
    return tuple([text + ends[offset] for text, offset in zip(texts, offset_s.tolist(), strict=True)])


def _offset_text(offset_s: int) -> str:
    sign = "-" if offset_s < 0 else "+"
    hours, rest = divmod(abs(offset_s), 3600)
    minute, second = divmod(rest, 60)
    return f"{sign}{hours:02d}:{minute:02d}" + (f":{second:02d}" if second else "")


def _frozen(column: NDArray[np.int64]) -> Int64:
    """Cached columns are shared between callers, so nobody may write into them."""
    result = np.ascontiguousarray(column, dtype=np.int64)
    result.flags.writeable = False
    return result


_EMPTY = Buckets((), _frozen(np.empty(0, dtype=np.int64)), _frozen(np.empty(0, dtype=np.int64)))


def label_of(zone: str, ts_ms: int) -> str:
    """Site-local ISO text of an instant with milliseconds and its offset."""
    moment = datetime.fromtimestamp(ts_ms // 1000, zone_info(zone)).replace(microsecond=ts_ms % 1000 * 1000)
    return moment.isoformat(timespec="milliseconds")
