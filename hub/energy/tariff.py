"""The tariff language: what a contract asks for, versioned by dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from hub.energy.components import Component
from hub.energy.money import Rounding
from hub.energy.problems import TariffProblems

__all__ = ["Tariff", "TariffProblems", "Version", "parse_tariff"]


@dataclass(frozen=True, slots=True)
class Version:
    """The contract from one site-local midnight until the next version."""

    valid_from: date
    line_step_e8: int
    rounding: Rounding
    imports: tuple[Component, ...]
    exports: tuple[Component, ...]
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tariff:
    """A whole contract; ``versions`` are in order of their dates."""

    id: str
    name: str
    metering_point: str
    currency: str
    versions: tuple[Version, ...]

    def as_data(self) -> dict[str, Any]:
        """The structure as YAML and JSON write it: dates as ISO text, prices as decimal text."""
        raise NotImplementedError

    def price_names(self) -> frozenset[str]:
        """Names of the price series that formulas and day types read (``-`` written as ``_``)."""
        raise NotImplementedError


def parse_tariff(data: Mapping[str, Any]) -> Tariff:
    """One entry of ``tariffs:`` → a tariff.

    Raises:
        TariffProblems: with *all* that is wrong; each problem has a path such as
            ``("versions", 0, "import", 1, "when", "hours")``, a code, a text and a hint.
    """
    raise NotImplementedError
