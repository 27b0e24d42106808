"""Names that travel into ids: device slugs, series keys, entity ids."""

from __future__ import annotations

import re
import unicodedata

from hub.errors import Refused

DEVICE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
_SERIES_KEY = re.compile(r"[a-z0-9][a-z0-9_]{0,63}\Z")
MAX_NAME_CHARS = 200


def device_id(name: str) -> str:
    """``Main Meter`` → ``main-meter``; an id that is one already stays as it is.

    Letters with marks lose them, everything else outside ``a-z 0-9 _ -`` becomes one ``-``.

    Raises:
        Refused: ``WL-ING-010`` where no letter or digit is left (names of dots or slashes alone), or the
            name is longer than 200 characters or holds control characters.
    """
    if DEVICE_ID.match(name):
        return name
    slug = re.sub(r"[^a-z0-9_]+", "-", _plain(name, "device")).strip("-_")[:64].rstrip("-_")
    if not slug:
        raise Refused(
            "WL-ING-010",
            f"device name {name[:40]!r} has no letter or digit to make an id of",
            where="device",
            hint="use letters a-z and digits",
        )
    return slug


def series_key(name: str) -> str:
    """``Power (W)`` → ``power_w``; keys hold ``a-z 0-9 _`` only, for they stand in ids and topics.

    Raises:
        Refused: ``WL-ING-011``, as for :func:`device_id`.
    """
    if _SERIES_KEY.match(name):
        return name
    slug = re.sub(r"[^a-z0-9]+", "_", _plain(name, "series")).strip("_")[:64].rstrip("_")
    if not slug:
        raise Refused(
            "WL-ING-011",
            f"series name {name[:40]!r} has no letter or digit to make a key of",
            where="series",
            hint="use letters a-z and digits",
        )
    return slug


def entity_id(device: str, key: str) -> str:
    """Entity id of a series for clients that speak Home Assistant's envelope: ``sensor.main_meter_power``."""
    return "sensor." + f"{device}_{key}".replace("-", "_")


def _plain(name: str, what: str) -> str:
    code = "WL-ING-010" if what == "device" else "WL-ING-011"
    if len(name) > MAX_NAME_CHARS:
        raise Refused(code, f"{what} name is longer than {MAX_NAME_CHARS} characters", where=what)
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
        raise Refused(code, f"{what} name holds control characters", where=what)
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(char for char in decomposed if not unicodedata.combining(char)).casefold()
