"""Marked blocks of the manual: what stands after ``<!-- hub.yaml -->`` or ``<!-- file: NAME -->``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.examples import ROOT

_BLOCK = re.compile(
    r"<!-- (?:(?P<main>hub\.yaml)|file: (?P<name>\S+)) -->\n```yaml\n(?P<text>.*?)```", re.DOTALL
)
_FENCE = re.compile(r"^```yaml$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A hub.yaml of the manual and the files that were shown before it."""

    place: str
    text: str
    files: dict[str, str] = field(default_factory=dict)

    def write_files(self, directory: Path) -> None:
        """The other files, where the hub.yaml expects them."""
        for name, text in self.files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text, encoding="utf-8")


def configurations(page: Path) -> Iterator[Configuration]:
    """All of a page, in order."""
    text = page.read_text(encoding="utf-8")
    files: dict[str, str] = {}
    for found in _BLOCK.finditer(text):
        if found["name"]:
            files[found["name"]] = found["text"]
            continue
        line = text.count("\n", 0, found.start()) + 1
        yield Configuration(f"{page.relative_to(ROOT)}:{line}", found["text"], files)
        files = {}


def unmarked(page: Path) -> int:
    """How many YAML blocks of a page carry no mark."""
    text = page.read_text(encoding="utf-8")
    return len(_FENCE.findall(text)) - len(_BLOCK.findall(text))
