"""Filters and functions for value templates, named as Home Assistant's devices expect them; bounded in size."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from jinja2 import Undefined
from jinja2.exceptions import UndefinedError

from integrations.mqtt.numbers import WHITESPACE, Unreadable, decimal

MAX_TEXT_CHARS = 64 * 1024
_RAISE = object()


def to_float(value: Any, default: Any = _RAISE) -> Any:
    """``float``: strict for text; the default for what is no number."""
    try:
        if isinstance(value, Undefined):
            raise UndefinedError("the value is not there")
        return decimal(value) if isinstance(value, str) else float(value)
    except (Unreadable, TypeError, ValueError, OverflowError, UndefinedError):
        if default is _RAISE:
            raise
        return default


def to_int(value: Any, default: Any = _RAISE, base: int = 10) -> Any:
    """``int``: text in any base, numbers cut towards zero."""
    try:
        if isinstance(value, Undefined):
            raise UndefinedError("the value is not there")
        if isinstance(value, str):
            return _int_of_text(value.strip(WHITESPACE), base)
        return int(value)
    except (Unreadable, TypeError, ValueError, OverflowError, UndefinedError):
        if default is _RAISE:
            raise
        return default


def _int_of_text(text: str, base: int) -> int:
    if base == 10:
        return int(decimal(text))
    if "_" in text or not text.isascii() or len(text) > 80:
        raise ValueError(f"{text[:40]!r} is no integer of base {base}")
    return int(text, base)


def to_round(value: Any, precision: int = 0, method: str = "common", default: Any = _RAISE) -> Any:
    """``round`` with the methods ``common``, ``half``, ``ceil`` and ``floor``."""
    try:
        plain = to_float(value)
        if method == "half":
            return round(plain * 2, precision) / 2
        if method in ("ceil", "floor"):
            scale = 10.0**precision
            down = plain * scale // 1
            whole = down + 1 if method == "ceil" and down != plain * scale else down
            return whole / scale
        rounded = round(plain, precision)
        return int(rounded) if precision == 0 else rounded
    except (Unreadable, TypeError, ValueError, OverflowError, UndefinedError):
        if default is _RAISE:
            raise
        return default


def multiply(value: Any, factor: Any, default: Any = _RAISE) -> Any:
    """``multiply``: product of two numbers."""
    return _combine(value, factor, default, lambda left, right: left * right)


def add(value: Any, amount: Any, default: Any = _RAISE) -> Any:
    """``add``: sum of two numbers."""
    return _combine(value, amount, default, lambda left, right: left + right)


def _combine(left: Any, right: Any, default: Any, work: Callable[[float, float], float]) -> Any:
    try:
        return work(to_float(left), to_float(right))
    except (Unreadable, TypeError, ValueError, OverflowError, UndefinedError):
        if default is _RAISE:
            raise
        return default


def iif(value: Any, if_true: Any = True, if_false: Any = False, if_none: Any = _RAISE) -> Any:
    """``iif``: inline if."""
    if value is None and if_none is not _RAISE:
        return if_none
    return if_true if value else if_false


def is_defined(value: Any) -> Any:
    """``is_defined``: fail where the value is missing, so that the old value stays."""
    if isinstance(value, Undefined):
        raise UndefinedError("the value is not there")
    return value


def is_number(value: Any) -> bool:
    """``is_number``: whether a value reads as a finite number."""
    try:
        to_float(value)
    except (Unreadable, TypeError, ValueError, OverflowError, UndefinedError):
        return False
    return not isinstance(value, bool)


def bounded_replace(text: Any, old: str, new: str, count: int | None = None) -> str:
    """``replace`` whose result cannot grow out of bounds."""
    plain = str(text)
    if len(plain) + (plain.count(old) + 1) * len(new) > MAX_TEXT_CHARS:
        raise Unreadable("WL-MQT-008", "replace makes too long a text")
    return plain.replace(old, new, -1 if count is None else count)


def as_timestamp(value: Any, default: Any = _RAISE) -> Any:
    """``as_timestamp``: ISO text, a datetime or a number → Unix seconds."""
    try:
        if isinstance(value, str) and not is_number(value):
            value = datetime.fromisoformat(value[:40])
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        return to_float(value)
    except (Unreadable, TypeError, ValueError, OverflowError, UndefinedError):
        if default is _RAISE:
            raise
        return default


def as_datetime(value: Any) -> datetime:
    """``as_datetime``: ISO text or Unix seconds → aware datetime."""
    return datetime.fromtimestamp(as_timestamp(value), UTC)


def from_json(value: str) -> Any:
    """``from_json``."""
    return orjson.loads(value)


FILTERS: dict[str, Callable[..., Any]] = {
    "float": to_float,
    "int": to_int,
    "round": to_round,
    "multiply": multiply,
    "add": add,
    "iif": iif,
    "is_defined": is_defined,
    "is_number": is_number,
    "replace": bounded_replace,
    "as_timestamp": as_timestamp,
    "as_datetime": as_datetime,
    "timestamp_utc": lambda value: as_datetime(value).isoformat(),
    "from_json": from_json,
    "bitwise_and": lambda left, right: left & right,
    "bitwise_or": lambda left, right: left | right,
    "average": lambda values: sum(values) / len(values),
}
"""Ours, beside the few of Jinja's own that :mod:`integrations.mqtt.templates` keeps."""

GLOBALS: dict[str, Callable[..., Any]] = {
    "float": to_float,
    "int": to_int,
    "iif": iif,
    "is_number": is_number,
    "as_timestamp": as_timestamp,
    "as_datetime": as_datetime,
}
