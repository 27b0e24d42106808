"""The status of a Shelly as it is known now: full answers replace it, notifications merge into it. Pure.

Components have names such as ``switch:0``. A notification brings only the components and fields that changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

METERING = re.compile(r"(em|emdata|em1|em1data|pm1|switch|cover|light|rgb|rgbw|cct):(\d{1,4})\Z", re.ASCII)
"""Components that may measure; others (wifi, cloud, scripts …) are not kept."""

MAX_COMPONENTS = 64
"""A Shelly has a handful; more is no Shelly, and is not kept."""

Fields = dict[str, Any]


class Status:
    """Merged fields of the measuring components."""

    def __init__(self) -> None:
        self._components: dict[str, Fields] = {}

    def __getitem__(self, component: str) -> Mapping[str, Any]:
        return self._components[component]

    def __iter__(self) -> Iterator[str]:
        return iter(self._components)

    def replace(self, full: Mapping[str, Any]) -> dict[str, set[str]]:
        """Take a full status; components that are gone (another profile) are forgotten.

        Returns:
            Every field there is, by component.
        """
        self._components = dict(_metering(full))
        return {name: set(fields) for name, fields in self._components.items()}

    def merge(self, delta: Mapping[str, Any]) -> dict[str, set[str]]:
        """Take the changed fields of a notification; returns their names by component."""
        changed = {}
        for name, fields in _metering(delta):
            if name in self._components or len(self._components) < MAX_COMPONENTS:
                _merge_into(self._components.setdefault(name, {}), fields)
                changed[name] = set(fields)
        return changed


def _metering(frame: Mapping[str, Any]) -> list[tuple[str, Fields]]:
    found = [(name, dict(fields)) for name, fields in frame.items() if _is_component(name, fields)]
    return found[:MAX_COMPONENTS]


def _is_component(name: object, fields: object) -> bool:
    return isinstance(name, str) and isinstance(fields, dict) and METERING.match(name) is not None


def _merge_into(known: Fields, fields: Fields) -> None:
    """One level deep is enough: ``aenergy`` and ``temperature`` are the only nested objects that we read."""
    for field, value in fields.items():
        before = known.get(field)
        known[field] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
