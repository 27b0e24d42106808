"""Tariffs, price series and budgets of the configuration, checked in depth by the parsers that the API uses too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from hub.config.errors import ConfigErrors
from hub.config.explain import Finding
from hub.config.nodes import (
    BrokenNode,
    Entry,
    MappingNode,
    Node,
    SequenceNode,
    has_broken,
    locate,
    to_data,
)
from hub.config.tree import Reader
from hub.energy.money_entries import parse_budget, parse_price_series
from hub.energy.problems import Problem, TariffProblems
from hub.energy.tariff import parse_tariff

_UNKNOWN_KEY: Final = frozenset({"WL-MNY-004", "WL-TAR-002"})


def check_file(path: Path) -> tuple[list[str], ConfigErrors | None]:
    """Ids of the tariffs of one file, and everything that is wrong with its tariffs, prices and budgets.

    The file is a part of hub.yaml with these sections, or one tariff alone.
    """
    reader = Reader(path.parent, None, main_file=path.name)
    root = reader.read().root
    if root is not None and "versions" in root.entries:
        root = MappingNode(root.at, {"tariffs": Entry(root.at, SequenceNode(root.at, [root]))})
    names = [name for section in CHECKS for name in _checked(section, root, reader) if section == "tariffs"]
    problems = reader.finished()
    failed = any(problem.severity == "error" for problem in problems)
    return names, ConfigErrors(problems, reader.directory) if failed else None


def _checked(section: str, root: MappingNode | None, reader: Reader) -> list[str]:
    """Ids of the entries of a section that are right; faults are reported."""
    entry = root.entries.get(section) if root is not None else None
    if entry is None or isinstance(entry.node, BrokenNode):
        return []
    if not isinstance(entry.node, SequenceNode):
        reader.report("WL-CFG-023", entry.key_at, f"{section} has to be a list", "start each entry with `- `")
        return []
    found = []
    for item in entry.node.items:
        data = to_data(item)
        wrong = list(money_findings(section, item, data, "EUR"))
        for finding in wrong:
            reader.report(*finding)
        if not wrong and not has_broken(item):
            found.append(str(data["id"]))
    return found


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
