"""The lines of a tariff."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Component:
    """One line of a contract."""

    name: str
