"""One YAML text to nodes with positions: YAML 1.2 core schema, safe, with limits on depth, size and aliases.

ruamel.yaml delivers the events; the values are decided here, because the core schema is small (``NO``, ``off``,
``12:30`` and ``2026-01-01`` are texts) and because every limit has to hold before memory is taken.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from hub.config.nearest import did_you_mean
from hub.config.nodes import BrokenNode, Entry, MappingNode, Node, Position, ScalarNode, SequenceNode

MAX_DEPTH: Final = 40
MAX_NODES: Final = 40_000
MAX_ALIASES: Final = 1_000
_RESERVED_KEYS: Final = frozenset({"__proto__"})
_CORE = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BREAK = re.compile("\r\n|\n|\r|\x85|\u2028|\u2029")
# Outside its own error classes the parser is known to raise these on malformed directives, tags and escapes.
_PARSER_SLIPS = (
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    KeyError,
    AssertionError,
    NotImplementedError,
)

Report = Callable[..., None]
"""``report(code, position, message, hint="")``"""
TagHandler = Callable[[str, str, Position], Node]
"""``handler(tag, text, position)`` gives the node that a tagged scalar stands for (broken: reported already)."""


class Unreadable(Exception):
    """The text cannot be read any further; the error is already reported."""


@dataclass(slots=True)
class Budget:
    """How many values may still be made in the whole configuration."""

    nodes: int = MAX_NODES
    aliases: int = MAX_ALIASES


class Text:
    """A source text, or a part of one, that turns offsets into lines and columns of the file."""

    def __init__(self, file: str, text: str, lines_before: int = 0) -> None:
        self.file = file
        self._lines_before = lines_before
        self.text = text
        self._starts = [0, *(match.end() for match in _BREAK.finditer(text))]

    def at(self, index: int, end: int | None = None) -> Position:
        """Position of an offset; the caret reaches to ``end``, at most to the end of the line."""
        index = max(0, min(index, len(self.text)))
        row = bisect_right(self._starts, index) - 1
        line_end = self._starts[row + 1] if row + 1 < len(self._starts) else len(self.text)
        stop = min(end if end is not None else index + 1, line_end)
        width = len(self.text[index:stop].rstrip())
        return Position(self.file, row + 1 + self._lines_before, index - self._starts[row] + 1, max(1, width))

    @property
    def lines(self) -> list[str]:
        """The lines without their breaks."""
        return _BREAK.split(self.text)


def core_scalar(text: str) -> str | int | float | bool | None:
    """The value of an unquoted text by the YAML 1.2 core schema.

    Raises:
        ValueError: an infinite or absurdly large number, or not a number.
    """
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _NOT_FINITE.match(text):
        raise ValueError("the number is not finite")
    if _INT.match(text):
        return _integer(text)
    if _FLOAT.match(text):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError("the number is too large")
        return number
    return text


def _integer(text: str) -> int:
    if len(text) > 20 or len(text.lstrip("+-0")) > 18:
        raise ValueError("the number has more than 18 digits")
    if text.startswith(("0o", "0x")):
        return int(text, 0)
    return int(text)


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not been reached."""

    node: MappingNode | SequenceNode
    anchor: str | None
    key: str | None = None
    key_at: Position | None = None
    awaiting_key: bool = True
    broken: bool = False
    merges: list[tuple[Node, Position]] = field(default_factory=list)


def parse(text: Text, report: Report, on_tag: TagHandler, budget: Budget) -> Node | None:
    """The tree of one document; None for a blank text (not reported here).

    Raises:
        Unreadable: the text is not one valid document within the limits; what is wrong has been reported.
    """
    return _Builder(text, report, on_tag, budget).build()


class _Builder:
    def __init__(self, text: Text, report: Report, on_tag: TagHandler, budget: Budget) -> None:
        self._text = text
        self._report = report
        self._on_tag = on_tag
        self._budget = budget
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._root: Node | None = None

    def build(self) -> Node | None:
        bad = _FORBIDDEN.search(self._text.text)
        if bad:
            self._stop(
                "WL-CFG-006",
                self._text.at(bad.start()),
                f"character U+{ord(bad[0]):04X} is not allowed",
                "remove it",
            )
        documents = 0
        for event in self._events():
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                self._check_document(event, documents)
            else:
                self._take(event)
        return self._root

    def _events(self) -> Iterator[Any]:
        reader = YAML(typ="safe", pure=True)
        try:
            yield from reader.parse(self._text.text)
        except MarkedYAMLError as error:
            self._syntax_error(error)
        except ReaderError as error:
            at = self._text.at(error.position if isinstance(error.position, int) else 0)
            self._stop("WL-CFG-006", at, "a character is not allowed in YAML", "remove it")
        except (YAMLError, *_PARSER_SLIPS) as error:
            self._stop("WL-CFG-008", self._text.at(0), "this is not valid YAML", cause=error)

    def _syntax_error(self, error: MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        at = self._text.at(mark.index if mark else 0)
        if mark and mark.index >= len(self._text.text.rstrip()):
            at = self._opening(error, at)
        problem = " ".join(str(error.problem or error.context or "this is not valid YAML").split())
        if "\\t" in problem or "'\t'" in problem:
            self._stop(
                "WL-CFG-007", at, "a tab is used for indentation", "use two spaces per level", cause=error
            )
        started = ""
        if error.context and error.context_mark and error.context_mark.index != (mark.index if mark else -1):
            line = self._text.at(error.context_mark.index).line
            started = f" ({' '.join(str(error.context).split())} that starts on line {line})"
        hint = next((text for start, text in _SYNTAX_HINTS.items() if problem.startswith(start)), "")
        self._stop("WL-CFG-008", at, f"{problem}{started}", hint, cause=error)

    def _opening(self, error: MarkedYAMLError, end: Position) -> Position:
        """Where something began that the file ends without closing: more useful than the end of the file."""
        if error.context_mark and error.context_mark.index < len(self._text.text.rstrip()):
            return self._text.at(error.context_mark.index)
        return self._stack[-1].node.at if self._stack else end

    def _stop(
        self, code: str, at: Position, message: str, hint: str = "", *, cause: BaseException | None = None
    ) -> None:
        self._report(code, at, message, hint)
        raise Unreadable from cause

    def _at(self, event: Any) -> Position:
        return self._text.at(event.start_mark.index, event.end_mark.index)

    def _check_document(self, event: Any, number: int) -> None:
        if number > 1:
            self._stop(
                "WL-CFG-009", self._at(event), "a second document starts here", "one file holds one document"
            )
        if event.tags or (event.version and tuple(event.version) != (1, 2)):
            self._stop(
                "WL-CFG-018", self._text.at(0), "this YAML directive is not supported", "remove the line"
            )

    def _take(self, event: Any) -> None:
        match event:
            case events.AliasEvent():
                self._alias(event)
            case events.ScalarEvent():
                self._scalar(event)
            case events.SequenceStartEvent():
                self._start(event, SequenceNode(self._at(event)), "seq")
            case events.MappingStartEvent():
                self._start(event, MappingNode(self._at(event)), "map")
            case events.SequenceEndEvent() | events.MappingEndEvent():
                self._end()

    def _start(self, event: Any, node: MappingNode | SequenceNode, kind: str) -> None:
        if len(self._stack) >= MAX_DEPTH:
            self._stop("WL-CFG-010", node.at, f"more than {MAX_DEPTH} levels are nested here")
        tag = str(event.ctag) if event.ctag else ""
        broken = False
        if tag not in ("", "!", _CORE + kind):
            shown = tag.replace(_CORE, "!!")
            self._report(
                "WL-CFG-014", node.at, f"tag {shown} cannot stand before a list or mapping", tag_hint(shown)
            )
            broken = True
        self._spend(1, node.at)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(node, event.anchor, broken=broken))

    def _end(self) -> None:
        done = self._stack.pop()
        if isinstance(done.node, MappingNode):
            self._merge(done.node, done.merges)
        node: Node = BrokenNode(done.node.at) if done.broken else done.node
        if done.anchor:
            self._anchors[done.anchor] = node
        self._place(node)

    def _scalar(self, event: Any) -> None:
        at = self._at(event)
        self._spend(1, at)
        node = self._scalar_node(event, at)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._place(node, tagged=bool(event.ctag), plain=event.style in (None, ""))

    def _scalar_node(self, event: Any, at: Position) -> Node:
        text: str = event.value
        tag = str(event.ctag) if event.ctag else ""
        if _FORBIDDEN.search(text):
            self._report(
                "WL-CFG-006", at, "an escape gives a control character or half a surrogate pair", "remove it"
            )
            return BrokenNode(at)
        if tag and tag != "!" and not tag.startswith(_CORE):
            node = self._on_tag(tag, text, at)
            self._spend(node.size - 1, at)
            return node
        plain = event.implicit[0] and not tag
        try:
            return ScalarNode(
                _tagged_core(tag, text) if tag else core_scalar(text) if plain else text, at, text
            )
        except LookupError:
            shown = tag.replace(_CORE, "!!")
            self._report("WL-CFG-014", at, f"tag {shown} is not known", tag_hint(shown))
        except ValueError as error:
            self._report("WL-CFG-017", at, str(error), "put quotes around it if it is a text")
        return BrokenNode(at)

    def _alias(self, event: Any) -> None:
        at = self._at(event)
        self._budget.aliases -= 1
        if self._budget.aliases < 0:
            self._stop("WL-CFG-011", at, f"more than {MAX_ALIASES} aliases are used")
        node = self._anchors.get(event.anchor)
        if node is None:
            known = event.anchor in self._anchors
            message = "lies inside its own anchor" if known else "has no anchor before it in this file"
            self._report("WL-CFG-012", at, f"alias *{event.anchor} {message}")
            node = BrokenNode(at)
        self._spend(node.size, at)
        self._place(node)

    def _spend(self, nodes: int, at: Position) -> None:
        self._budget.nodes -= nodes
        if self._budget.nodes < 0:
            self._stop("WL-CFG-011", at, f"the configuration holds more than {MAX_NODES} values")

    def _place(self, node: Node, *, tagged: bool = False, plain: bool = False) -> None:
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        if isinstance(top.node, SequenceNode):
            top.node.items.append(node)
            top.node.size += node.size
        elif top.awaiting_key:
            top.key, top.key_at = self._key(node, tagged=tagged, plain=plain), node.at
            top.awaiting_key = False
        else:
            self._entry(top, top.node, node)

    def _key(self, node: Node, *, tagged: bool, plain: bool) -> str | None:
        """The name of a key as written; None for a key that cannot be used. ``<<`` unquoted is the merge key."""
        if not isinstance(node, ScalarNode):
            if not isinstance(node, BrokenNode):
                self._report("WL-CFG-016", node.at, "a key has to be a simple text", "write it as one word")
            return None
        if tagged or not node.text.strip() or node.text in _RESERVED_KEYS:
            self._report(
                "WL-CFG-016", node.at, "this cannot be a key", "write a simple word before the colon"
            )
            return None
        return "<<" if plain and node.text == "<<" else " <<" if node.text == "<<" else node.text

    def _entry(self, top: _Open, mapping: MappingNode, node: Node) -> None:
        key, key_at = top.key, top.key_at or node.at
        top.awaiting_key = True
        mapping.size += node.size + 1
        if key is None:
            return
        if key == "<<":
            top.merges.append((node, key_at))
            return
        if key in mapping.entries:
            first = mapping.entries[key].key_at
            self._report(
                "WL-CFG-015", key_at, f'key "{key}" is there already on line {first.line}', "keep one of them"
            )
            return
        mapping.entries[key] = Entry(key_at, node)

    def _merge(self, into: MappingNode, merges: list[tuple[Node, Position]]) -> None:
        """Keys of merged mappings are added where they are not set; earlier ones win, as YAML's merge says."""
        for node, at in merges:
            sources = node.items if isinstance(node, SequenceNode) else [node]
            for source in sources:
                if isinstance(source, BrokenNode):
                    continue
                if not isinstance(source, MappingNode):
                    self._report("WL-CFG-013", at, "`<<` needs a mapping or a list of mappings")
                    continue
                for key, entry in source.entries.items():
                    into.entries.setdefault(key, entry)


def _tagged_core(tag: str, text: str) -> str | int | float | bool | None:
    if tag in ("!", _CORE + "str"):
        return text
    value = core_scalar(text)
    kinds: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (float, int),
        "bool": (bool,),
        "null": (type(None),),
    }
    if type(value) not in kinds[tag.removeprefix(_CORE)]:
        raise ValueError(f"this is not what its tag !!{tag.removeprefix(_CORE)} says")
    return value


def tag_hint(tag: str) -> str:
    return did_you_mean(tag, TAGS, f"known tags are {', '.join(TAGS)}")


TAGS: Final = ("!secret", "!env_var", "!include", "!include_dir_merge_list", "!include_dir_merge_named")
_SYNTAX_HINTS: Final = {
    "mapping values are not allowed here": "check the indentation; put a text with a colon in quotes",
    "could not find expected ':'": "a key needs a colon and a space after it",
    "found unexpected end of stream": "a quote or bracket is not closed",
    "expected <block end>": "the indentation does not fit the lines before",
    "expected the node content, but found '<stream end>'": "a bracket is not closed",
    "expected ',' or": "a comma or a closing bracket is missing",
    "found character '%'": "put the text in quotes",
    "found character '@'": "put the text in quotes",
    "found character '`'": "put the text in quotes",
}
