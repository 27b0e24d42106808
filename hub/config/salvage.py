"""Cuts a file that is not valid YAML into the parts that can be read on their own.

Sections begin at keys in the first column, entries of a list at dashes of equal indentation. Each part knows
its first line, so the places of its values stay true.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

MAX_BLOCKS: Final = 60
MAX_ITEMS: Final = 200
_SECTION = re.compile(r"^(?P<key>[A-Za-z_][A-Za-z0-9_-]*):(?=\s|$)", re.MULTILINE)
_ITEM = re.compile(r"^(?P<indent> *)- ", re.MULTILINE)
_BREAK = re.compile("\r\n|\n|\r|\x85|\u2028|\u2029")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file and the number (from 0) of the line it begins with."""

    text: str
    lines_before: int


@dataclass(frozen=True, slots=True)
class Block:
    """One section: its key, the offset of the key, its text, and its list entries cut apart (often none)."""

    key: str
    start: int
    part: Part
    items: tuple[Part, ...]


def blocks_of(text: str) -> list[Block]:
    """The sections of a file in their order."""
    breaks = [match.end() for match in _BREAK.finditer(text)]
    starts = list(_SECTION.finditer(text))[:MAX_BLOCKS]
    ends = [*(match.start() for match in starts[1:]), len(text)]
    return [
        Block(
            match["key"],
            match.start(),
            _part(text, match.start(), end, breaks),
            _items(text, match.end(), end, breaks),
        )
        for match, end in zip(starts, ends, strict=False)
    ]


def entries_of(text: str) -> tuple[Part, ...]:
    """The entries of a file that is one list."""
    return _items(text, 0, len(text), [match.end() for match in _BREAK.finditer(text)])


def _items(text: str, start: int, end: int, breaks: list[int]) -> tuple[Part, ...]:
    found = list(_ITEM.finditer(text, start, end))
    # The outermost dashes are the entries; deeper ones belong to them.
    outer = min((len(match["indent"]) for match in found), default=0)
    starts = [match.start() for match in found if len(match["indent"]) == outer][:MAX_ITEMS]
    ends = [*starts[1:], end]
    return tuple(_part(text, begin, stop, breaks) for begin, stop in zip(starts, ends, strict=False))


def _part(text: str, start: int, end: int, breaks: list[int]) -> Part:
    return Part(text[start:end], bisect_right(breaks, start))
