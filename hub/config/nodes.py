"""The configuration as a tree in which every key and every value knows its file, line and column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub.config.secret import Secret

Scalar = str | int | float | bool | None | Secret
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a source file. ``line`` and ``column`` count from 1; ``width`` is in characters of that line."""

    file: str
    line: int
    column: int
    width: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(slots=True)
class ScalarNode:
    """One value. ``text`` is what was written, before it became a number or a truth value."""

    value: Scalar
    at: Position
    text: str = ""

    @property
    def size(self) -> int:
        """Number of nodes in this subtree."""
        return 1


@dataclass(slots=True)
class BrokenNode:
    """A value that could not be had (missing secret, bad include); its error is already reported."""

    at: Position

    @property
    def size(self) -> int:
        """Number of nodes in this subtree."""
        return 1


@dataclass(slots=True)
class SequenceNode:
    """A list. ``size`` counts the whole subtree, repeated aliases each time."""

    at: Position
    items: list[Node] = field(default_factory=list)
    size: int = 1


@dataclass(slots=True)
class Entry:
    """One key of a mapping and what it holds."""

    key_at: Position
    node: Node


@dataclass(slots=True)
class MappingNode:
    """A mapping in the order of the file. ``size`` counts the whole subtree."""

    at: Position
    entries: dict[str, Entry] = field(default_factory=dict)
    size: int = 1


Node = ScalarNode | SequenceNode | MappingNode | BrokenNode


def to_data(node: Node) -> Any:
    """Plain ``dict``, ``list`` and scalars; broken parts are left out."""
    match node:
        case MappingNode():
            return {
                key: to_data(entry.node)
                for key, entry in node.entries.items()
                if not isinstance(entry.node, BrokenNode)
            }
        case SequenceNode():
            return [to_data(item) for item in node.items if not isinstance(item, BrokenNode)]
        case ScalarNode():
            return node.value
        case _:
            return None


def has_broken(node: Node) -> bool:
    """Is any value of this subtree missing because of an error already reported?"""
    return next(broken_paths(node), None) is not None


def broken_paths(node: Node, path: Path = ()) -> Iterator[Path]:
    """Where the broken values of a subtree sit, as paths of :func:`to_data`."""
    match node:
        case BrokenNode():
            yield path
        case MappingNode():
            for key, entry in node.entries.items():
                yield from broken_paths(entry.node, (*path, key))
        case SequenceNode():
            for index, item in enumerate(node.items):
                yield from broken_paths(item, (*path, index))


def child(node: Node, step: object) -> Node | None:
    """The value under one key or index; indexes skip broken items, as :func:`to_data` does."""
    if isinstance(node, MappingNode) and isinstance(step, str):
        entry = node.entries.get(step)
        return entry.node if entry else None
    if isinstance(node, SequenceNode) and isinstance(step, int):
        whole = [item for item in node.items if not isinstance(item, BrokenNode)]
        return whole[step] if 0 <= step < len(whole) else None
    return None


def locate(node: Node, path: Sequence[object], *, key: bool = False) -> Position:
    """Position of the value at ``path`` (or of its key); the nearest existing parent where it is missing."""
    at = node.at
    for number, step in enumerate(path):
        last = number == len(path) - 1
        if isinstance(node, MappingNode) and isinstance(step, str) and step in node.entries:
            entry = node.entries[step]
            if last and key:
                return entry.key_at
            node = entry.node
            # An empty mapping or a missing value has no width of its own: point at the key instead.
            at = entry.key_at if _is_nothing(node) else node.at
            continue
        found = child(node, step)
        if found is None:
            return at
        node, at = found, found.at
    return at


def _is_nothing(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is None and not node.text
