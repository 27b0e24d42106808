"""Tariffs, price series and budgets of the configuration, checked in depth by the parsers that the API uses too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from hub.config.explain import Finding
from hub.config.nodes import Node, locate
from hub.energy.money_entries import parse_budget, parse_price_series
from hub.energy.problems import Problem, TariffProblems
from hub.energy.tariff import parse_tariff

_UNKNOWN_KEY: Final = frozenset({"WL-MNY-004", "WL-TAR-002"})


def _tariff(data: Mapping[str, Any], currency: str) -> object:
    return parse_tariff(data, currency=currency)


def _budget(data: Mapping[str, Any], currency: str) -> object:
    return parse_budget(data)


CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any], str], object]]] = MappingProxyType(
    {"tariffs": _tariff, "prices": parse_price_series, "budgets": _budget}
)
"""Sections that this module checks, and the parser of one entry: ``parser(data, currency of the site)``."""


def money_findings(section: str, node: Node, data: Mapping[str, Any], currency: str) -> Iterator[Finding]:
    """Everything that is wrong with one entry, each at its place in the file."""
    try:
        CHECKS[section](data, currency)
    except TariffProblems as error:
        for problem in error.problems:
            yield _finding(problem, node)


def _finding(problem: Problem, node: Node) -> Finding:
    at = locate(node, problem.path, key=problem.code in _UNKNOWN_KEY)
    return problem.code, at, problem.text, problem.hint
