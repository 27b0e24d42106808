"""Configuration errors: all of them at once, each with file, line, column, the source line and a caret."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from hub.config.codes import CODES as CODES
from hub.config.codes import CodeText as CodeText
from hub.config.nodes import Position
from hub.errors import ConfigError

MAX_MESSAGE_CHARS: Final = 400
_EXCERPT_CHARS: Final = 110
_RED, _YELLOW, _DIM, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[1m", "\x1b[0m"
_BIDI = re.compile("[\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def one_line(text: str, limit: int = MAX_MESSAGE_CHARS) -> str:
    """``text`` safe for one line of a terminal or log: control and direction characters escaped, length capped."""
    shown = "".join(_visible(char) for char in text[: limit + 1])
    return shown if len(text) <= limit else shown[: limit - 1] + "…"


def _visible(char: str) -> str:
    if unicodedata.category(char) in ("Cc", "Cs") or _BIDI.match(char):
        return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"
    return char


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One finding. ``file`` is relative to the configuration directory; ``excerpt`` has its secrets masked.

    ``line`` and ``column`` count from 1 (0: the whole file), ``width`` is in characters of the source; ``caret``
    (offset and width) is the same place in the masked excerpt.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
    width: int = 1
    excerpt: str | None = None
    before: str | None = None
    caret: tuple[int, int] | None = None

    @property
    def at(self) -> Position:
        """The place as a :class:`Position`."""
        return Position(self.file, self.line, self.column, self.width)

    def as_json(self) -> dict[str, object]:
        """The shape used by the API and by ``--json``."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "width": self.width,
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "excerpt": self.excerpt,
        }

    def render(self, *, color: bool = False, directory: str = "") -> str:
        """``file:line:column code message``, then the source line with a caret and the hint."""
        tint = _RED if self.severity == "error" else _YELLOW
        file = f"{directory.rstrip('/')}/{self.file}" if directory else self.file
        place = f"{one_line(file)}:{self.line}:{self.column}"
        word = "warning: " if self.severity == "warning" else ""
        head = f"{_paint(place, _BOLD, color)} {_paint(self.code, tint, color)} {word}{self.message}"
        return "\n".join([head, *self._excerpt_lines(tint, color)])

    def _excerpt_lines(self, tint: str, color: bool) -> Iterator[str]:
        if self.excerpt is None:
            if self.hint:
                yield f"     {_paint('hint:', _DIM, color)} {self.hint}"
            return
        offset, width = self.caret or (self.column - 1, self.width)
        start = max(0, offset - _EXCERPT_CHARS // 2) if len(self.excerpt) > _EXCERPT_CHARS else 0
        shown = _cropped(self.excerpt, start)
        if self.before is not None:
            yield f"{_paint(f'{self.line - 1:5d} |', _DIM, color)} {_cropped(self.before, start)}"
        yield f"{_paint(f'{self.line:5d} |', _DIM, color)} {shown}"
        lead = min(offset - start, len(shown))
        caret = "^" * max(1, min(_cells(shown[lead : lead + width]), _EXCERPT_CHARS))
        hint = f" {self.hint}" if self.hint else ""
        yield f"{'':5} {_paint('|', _DIM, color)} {' ' * _cells(shown[:lead])}{_paint(caret, tint, color)}{hint}"


def _paint(text: str, colour: str, on: bool) -> str:
    return f"{colour}{text}{_PLAIN}" if on else text


def _cropped(line: str, start: int) -> str:
    # Tabs become one blank and control characters one mark each, so that the caret stays under its character.
    part = line[start : start + _EXCERPT_CHARS]
    return "".join(" " if char == "\t" else char if _visible(char) == char else "?" for char in part).rstrip()


def _cells(text: str) -> int:
    """Columns a terminal needs: wide East Asian characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


class ConfigErrors(ConfigError):
    """Everything that is wrong with a configuration, ordered by file, line and column.

    Args:
        items: at least one error; warnings may be among them.
        directory: the configuration directory as the user named it, used when printing.
    """

    def __init__(self, items: Iterable[ConfigProblem], directory: str = "") -> None:
        self.items: tuple[ConfigProblem, ...] = in_order(items)
        self.directory = directory
        first = next((item for item in self.items if item.severity == "error"), self.items[0])
        more = sum(item.severity == "error" for item in self.items) - 1
        text = first.message + (f" (and {more} more)" if more > 0 else "")
        super().__init__(first.code, text, where=str(first.at), hint=first.hint)

    @property
    def errors(self) -> tuple[ConfigProblem, ...]:
        """The items that are errors, without warnings."""
        return tuple(item for item in self.items if item.severity == "error")

    def render(self, color: bool = False) -> str:
        """All items for a terminal, with a total at the end."""
        blocks = [item.render(color=color, directory=self.directory) for item in self.items]
        return "\n".join([*blocks, self._total()]) + "\n"

    def as_json(self) -> list[dict[str, object]]:
        """All items as JSON-ready mappings."""
        return [item.as_json() for item in self.items]

    def _total(self) -> str:
        errors = len(self.errors)
        warnings = len(self.items) - errors
        parts = [_count(errors, "error")] + ([_count(warnings, "warning")] if warnings else [])
        return f"{', '.join(parts)} in {_count(len({item.file for item in self.items}), 'file')}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def in_order(items: Iterable[ConfigProblem]) -> tuple[ConfigProblem, ...]:
    """Sorted by place, each once; hub.yaml before other files."""
    unique = {(item.file, item.line, item.column, item.code, item.message): item for item in items}
    return tuple(
        sorted(
            unique.values(),
            key=lambda item: (item.file != "hub.yaml", item.file, item.line, item.column, item.code),
        )
    )
