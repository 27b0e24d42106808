"""Nodes and inputs → devices and series.

A node is the device of its name (``emontx``; the node ``16`` is the device ``16``, named "emonCMS node 16").
Inputs named by the emonTx firmware carry no unit on the wire but always mean the same.
"""

from __future__ import annotations

import re

from hub.plugins.api import DeviceInfo, SeriesInfo, device_id, known_series, series_key

_USUAL_UNITS = (
    (re.compile(r"power_?\d+"), "W"),
    (re.compile(r"vrms_?\d*"), "V"),
    (re.compile(r"temp_?\d*"), "°C"),
)


def device_of(node: str) -> DeviceInfo:
    """The device of a node.

    Raises:
        Refused: ``WL-ING-010`` where no letter or digit is left.
    """
    slug = device_id(node)
    name = f"emonCMS node {node}" if node.isdigit() else node
    return DeviceInfo(slug, name="" if name == slug else name)


def series_of(name: str) -> SeriesInfo:
    """The series of an input.

    Raises:
        Refused: ``WL-ING-011`` where no letter or digit is left.
    """
    key = series_key(name)
    unit = next((unit for pattern, unit in _USUAL_UNITS if pattern.fullmatch(key)), None)
    return known_series(key, unit=unit)
