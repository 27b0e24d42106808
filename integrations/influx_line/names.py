"""Measurement, tags and field → device and series.

A device is the measurement and its tag values in key order, joined by ``-``: ``energy,loc=cellar,ch=1`` is
the device ``energy-1-cellar`` (key ``ch`` comes before ``loc``). Ids hold 64 characters; a longer name keeps
its beginning and gets eight characters of its SHA-256, so that two long names never fall together.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from hub.plugins.api import DeviceInfo, SeriesInfo, device_id, known_series, series_key

_ID_CHARS = 64
_NAME_CHARS = 200
_HASH_CHARS = 8


def device_of(measurement: str, tags: Sequence[tuple[str, str]]) -> DeviceInfo:
    """The device of a head; ``tags`` are sorted by key.

    Raises:
        Refused: ``WL-ING-010`` where no letter or digit is left.
    """
    name = "-".join([measurement, *(value for _, value in tags)])
    slug = device_id(name[:_NAME_CHARS])
    if slug != name and (len(name) > _ID_CHARS or len(slug) >= _ID_CHARS):
        digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
        slug = f"{slug[: _ID_CHARS - _HASH_CHARS - 1].rstrip('-_')}-{digest}"
    return DeviceInfo(slug, name="" if slug == name else name[:_NAME_CHARS])


def series_of(field: str) -> SeriesInfo:
    """The series of a field: well-known names have their meaning, others are gauges without unit.

    Raises:
        Refused: ``WL-ING-011`` where no letter or digit is left.
    """
    return known_series(series_key(field))
