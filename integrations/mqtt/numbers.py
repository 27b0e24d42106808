"""Payloads → numbers, strictly: what is no plain decimal number is refused with a reason.

Python's own ``float()`` takes ``nan``, ``inf``, ``1_000`` and full-width digits; a meter never means those.
"""

from __future__ import annotations

import re

from hub.plugins.api import MAX_ABS_VALUE, Rejection

WHITESPACE = " \t\r\n"
_MAX_CHARS = 100
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


class Unreadable(Exception):
    """A message, or one value of it, cannot be read; ``code`` is stable, ``field`` a path in the message."""

    def __init__(self, code: str, text: str, field: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.field = field

    def rejection(self, item: int = 0) -> Rejection:
        """The same, as the hub keeps it."""
        return Rejection(item, self.code, self.text, self.field)


def decimal(text: str) -> float:
    """A decimal number with optional ASCII whitespace around it.

    Raises:
        Unreadable: ``WL-MQT-002`` for anything else, ``WL-ING-040`` for a size that is no measurement.
    """
    plain = text.strip(WHITESPACE)
    if len(plain) > _MAX_CHARS or not _DECIMAL.fullmatch(plain):
        raise Unreadable("WL-MQT-002", f"{plain[:40]!r} is not a decimal number")
    return finite(float(plain))


def finite(value: float) -> float:
    """The value itself if it can be a measurement.

    Raises:
        Unreadable: ``WL-ING-040`` for NaN, infinity and magnitudes above a petawatt.
    """
    if not -MAX_ABS_VALUE <= value <= MAX_ABS_VALUE:
        raise Unreadable("WL-ING-040", f"{value!r} is no finite measurement")
    return value


def number(raw: object) -> float | None:
    """What a template or a JSON member gave → number; ``None`` where it says "no value".

    Empty text, JSON null and the text ``None`` (how templates write null) mean no value.

    Raises:
        Unreadable: booleans, lists, objects and text that is no decimal number.
    """
    kind = type(raw)
    if kind is float:
        return finite(raw)  # type: ignore[arg-type]  # the type was just looked at
    if kind is int:
        try:
            return finite(float(raw))  # type: ignore[arg-type]  # the type was just looked at
        except OverflowError as error:
            raise Unreadable("WL-ING-040", "an integer of absurd size is no measurement") from error
    if raw is None:
        return None
    if isinstance(raw, str):
        plain = raw.strip(WHITESPACE)
        return None if plain in ("", "None") else decimal(plain)
    raise Unreadable("WL-MQT-004", f"a {_KIND_NAMES.get(kind, kind.__name__)} is not a number")


_KIND_NAMES: dict[type, str] = {bool: "boolean", list: "JSON list", dict: "JSON object"}
