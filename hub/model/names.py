"""Names that travel into ids: device slugs, series keys, entity ids."""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256

from hub.errors import Refused

DEVICE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
SERIES_KEY = re.compile(r"[a-z0-9][a-z0-9_]{0,63}\Z")
MAX_NAME_CHARS = 200
_MAX_ID_CHARS = 64
_HASH_CHARS = 8
_JOINERS = "\u200c\u200d\u00a0"
_LETTERS = str.maketrans({
    "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ħ": "h", "ı": "i", "ŋ": "n",
    "μ": "u", "ω": "ohm",
})  # fmt: skip
"""Letters without a decomposition: of Latin alphabets, and those that stand in units."""


def device_id(name: str) -> str:
    """``Main Meter`` → ``main-meter``; an id that is one already stays as it is.

    Letters with marks lose them, everything else outside ``a-z 0-9 _ -`` becomes one ``-``. Where letters of
    other scripts are lost by that, or the end of a long name, eight characters of its SHA-256 keep the id
    apart from others: ``電力計`` → ``device-8f0c…``.

    Raises:
        Refused: ``WL-ING-010`` for names of dots, slashes and the like alone, and names that are longer than
            200 characters or hold control characters.
    """
    if DEVICE_ID.match(name):
        return name
    plain = _plain(name, "device")
    slug = _distinct(re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_"), name, plain, "device", "-")
    if not slug:
        raise Refused(
            "WL-ING-010",
            f"device name {name[:40]!r} has nothing to make an id of",
            where="device",
            hint="use letters a-z and digits",
        )
    return slug


def series_key(name: str) -> str:
    """``Power (W)`` → ``power_w``; keys hold ``a-z 0-9 _`` only, for they stand in ids and topics.

    Raises:
        Refused: ``WL-ING-011``, as for :func:`device_id`.
    """
    if SERIES_KEY.match(name):
        return name
    plain = _plain(name, "series")
    slug = _distinct(re.sub(r"[^a-z0-9]+", "_", plain).strip("_"), name, plain, "series", "_")
    if not slug:
        raise Refused(
            "WL-ING-011",
            f"series name {name[:40]!r} has nothing to make a key of",
            where="series",
            hint="use letters a-z and digits",
        )
    return slug


def is_printable(text: str) -> bool:
    """Whether a text is one line that every store, page and log can carry; joiners of letters are fine."""
    return text.isprintable() or all(char.isprintable() or char in _JOINERS for char in text)


def printable(text: str) -> str:
    """The text as such a line: what is not printable becomes a space."""
    if is_printable(text):
        return text
    kept = (char if char.isprintable() or char in _JOINERS else " " for char in text)
    return " ".join("".join(kept).split())


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
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return bare.casefold().translate(_LETTERS)


def _distinct(slug: str, name: str, plain: str, word: str, joint: str) -> str:
    """The slug, with a hash of the name where it says less than the name; empty where the name says nothing."""
    kinds = {unicodedata.category(char)[0] for char in plain if not char.isascii()}
    lost = bool(kinds & {"L", "N"}) or (not slug and bool(kinds & {"S", "M"}))
    if not lost and len(slug) <= _MAX_ID_CHARS:
        return slug
    digest = sha256(unicodedata.normalize("NFC", name).encode()).hexdigest()[:_HASH_CHARS]
    head = (slug or word)[: _MAX_ID_CHARS - _HASH_CHARS - 1].rstrip("-_")
    return f"{head}{joint}{digest}"
