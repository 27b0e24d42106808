"""Query parameters → values, with the same errors everywhere."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from aiohttp import web

from hub.errors import Refused
from hub.model.times import iso_ms, ms_of
from web.problems import BadRequest, InvalidBody

T = TypeVar("T")
DAY_MS = 86_400_000
MAX_MS = 4_102_444_800_000
"""2100-01-01: nothing is stored or asked for beyond."""
MAX_SERIES = 500
_EPOCH_MS = re.compile(r"\d{1,14}\Z", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?\Z", re.ASCII)
_EATEN_PLUS = re.compile(r" (?=\d{2}:?\d{2}\Z)")


def moment_ms(text: str, name: str, zone: ZoneInfo) -> int:
    """ISO 8601 or epoch milliseconds → epoch milliseconds; a date or a time without offset is the site's.

    Raises:
        BadRequest: ``WL-API-400``, it is neither, or lies outside 1970 to 2100.
    """
    ms = int(text) if _EPOCH_MS.match(text) else _iso_ms(text, name, zone)
    if not 0 <= ms <= MAX_MS:
        raise BadRequest("WL-API-400", "the time lies outside 1970 to 2100", where=name)
    return ms


def _iso_ms(text: str, name: str, zone: ZoneInfo) -> int:
    try:
        if _DATE.match(text):
            return ms_of(datetime.combine(date.fromisoformat(text), time(), zone))
        if _LOCAL.match(text):
            return ms_of(datetime.fromisoformat(text).replace(tzinfo=zone))
        # an offset's + that was not escaped arrives as a space
        return iso_ms(_EATEN_PLUS.sub("+", text) if "T" in text else text, where=name)
    except (ValueError, OverflowError, Refused) as error:
        raise BadRequest(
            "WL-API-400",
            f"{text[:40]!r} is not a time",
            where=name,
            hint="ISO 8601 such as 2026-03-29T00:00:00+01:00, or epoch milliseconds",
        ) from error


def range_ms(request: web.Request, zone: ZoneInfo, now_ms: int) -> tuple[int, int]:
    """``start`` and ``end`` (exclusive); without ``end`` until now, without ``start`` a day before it.

    Raises:
        BadRequest: ``WL-API-400``, unreadable or the wrong way round.
    """
    query = request.query
    end_ms = moment_ms(query["end"], "end", zone) if "end" in query else now_ms
    start_ms = moment_ms(query["start"], "start", zone) if "start" in query else max(0, end_ms - DAY_MS)
    if start_ms > end_ms:
        raise BadRequest("WL-API-400", "start lies after end", where="start")
    return start_ms, end_ms


def limit_of(request: web.Request, default: int = 100, most: int = 1_000) -> int:
    """``limit``, clamped to what the route gives at most.

    Raises:
        BadRequest: ``WL-API-400``, no whole number from 1 on.
    """
    text = request.query.get("limit")
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or int(text) < 1:
        raise BadRequest("WL-API-400", "limit is a whole number from 1 on", where="limit")
    return min(int(text), most)


def number_cursor(request: web.Request) -> int | None:
    """A cursor that is a number.

    Raises:
        BadRequest: ``WL-API-400``.
    """
    text = request.query.get("cursor")
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise BadRequest("WL-API-400", "the cursor is not one of ours", where="cursor")
    return int(text)


def flag_of(request: web.Request, name: str) -> bool:
    """``true`` or ``false``; false where the parameter is absent.

    Raises:
        BadRequest: ``WL-API-400``.
    """
    text = request.query.get(name, "false").lower()
    if text not in ("true", "false"):
        raise BadRequest("WL-API-400", f"{name} is true or false", where=name)
    return text == "true"


def body_ms(value: str | int | None, name: str, zone: ZoneInfo) -> int | None:
    """A time of a JSON body as :func:`moment_ms` reads it; None stays None.

    Raises:
        InvalidBody: ``WL-API-422``.
    """
    if value is None:
        return None
    try:
        return moment_ms(str(value), name, zone)
    except BadRequest as error:
        raise InvalidBody([{"field": name, "detail": error.message}]) from error


def names_of(request: web.Request, name: str, most: int = MAX_SERIES) -> tuple[str, ...] | None:
    """A list such as ``series=a,b``; ``None`` where the parameter is absent.

    Raises:
        BadRequest: ``WL-API-400``, empty, or too long a list.
    """
    if name not in request.query:
        return None
    found = tuple(
        dict.fromkeys(one.strip() for text in request.query.getall(name) for one in text.split(","))
    )
    if "" in found or len(found) > most:
        raise BadRequest(
            "WL-API-400", f"{name} is a list of 1 to {most} names with commas between", where=name
        )
    return found


def page(
    request: web.Request, items: Sequence[T], key: Callable[[T], str], default: int = 100
) -> tuple[list[T], str | None]:
    """One page of a list in memory, in the order of its keys, and the cursor of the next.

    Raises:
        BadRequest: ``WL-API-400``, limit or cursor.
    """
    limit = limit_of(request, default)
    after = _read_cursor(request.query.get("cursor"))
    ordered = sorted((item for item in items if after is None or key(item) > after), key=key)
    shown = ordered[:limit]
    more = len(ordered) > limit
    return shown, _cursor(key(shown[-1])) if more else None


def duration_ms(text: str, name: str) -> int:
    """``90d``, ``12h``, ``30m``, ``45s`` → milliseconds.

    Raises:
        BadRequest: ``WL-API-400``.
    """
    match = re.fullmatch(r"(\d{1,6})([smhdwy])", text, re.ASCII)
    if match is None or int(match[1]) < 1:
        raise BadRequest("WL-API-400", f"{text[:20]!r} is not a duration such as 90d", where=name)
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600}[match[2]]
    return int(timedelta(seconds=int(match[1]) * unit).total_seconds() * 1000)


def _cursor(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).rstrip(b"=").decode()


def _read_cursor(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise BadRequest("WL-API-400", "the cursor is not one of ours", where="cursor") from error
