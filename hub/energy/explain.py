"""Why this number? A figure as a tree of what it is made of, down to stored rows.

Every value is a whole number of small steps of its :class:`Unit`, so that nothing is lost on the way: the parts of a
sum add up to it exactly, factors multiply to their product exactly. What a rounding rule adds or takes is a node of
its own. Children are made when they are asked for; a year of readings never stands in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from math import prod
from typing import Any, Final

from hub.energy.calendar import buckets
from hub.errors import Bug, NotFound
from hub.model.quality import Quality

MOST_CHILDREN: Final = 1_000
USUAL_CHILDREN: Final = 100
MOST_NODES: Final = 5_000
DEEPEST: Final = 30
REST: Final = "rest"


@dataclass(frozen=True, slots=True)
class Unit:
    """A value counts ``10 ** -digits`` of ``name``."""

    name: str
    digits: int

    def text(self, value: int) -> str:
        """Exact decimal text, without needless zeros."""
        whole, rest = divmod(abs(value), 10**self.digits)
        decimals = f"{rest:0{self.digits}d}".rstrip("0") if self.digits else ""
        return f"{'-' if value < 0 else ''}{whole}{'.' if decimals else ''}{decimals}"

    def exact(self, value: int) -> Fraction:
        """In whole units."""
        return Fraction(value, 10**self.digits)


WH: Final = Unit("Wh", 3)
KWH: Final = Unit("kWh", 6)
MONEY_DIGITS: Final = 18
"""1e-8 of the currency times a percentage of ten decimals; prices times mWh count 1e-14."""


class Op(StrEnum):
    """How the value of a node follows from its children."""

    SUM = "sum"
    """they add up to it"""
    PRODUCT = "product"
    """they multiply to it"""
    FORMULA = "formula"
    """they are what its ``formula`` is about"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A row of the store, or of the configuration: its table, its key and what it holds."""

    table: str
    row: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"table": self.table, **self.row}


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a figure.

    ``key`` is unique among its siblings and holds no slash. ``span`` is ``[start, end)`` in UTC epoch milliseconds.
    ``parts`` makes the children (a sum of nothing has none), None for a leaf: then ``stored`` names the row, or
    ``kind`` is one of :data:`COMPUTED`. ``facts`` are plain values for people: who corrected,
    which share of an interval.
    """

    key: str
    kind: str
    label: str
    value: int
    unit: Unit
    op: Op = Op.SUM
    formula: str = ""
    span: tuple[int, int] | None = None
    quality: Quality | None = None
    stored: Stored | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    parts: Callable[[], Sequence[Node]] | None = None

    def children(self) -> tuple[Node, ...]:
        """The parts, checked against the value.

        Raises:
            Bug: ``WL-NRG-901``, they do not make it.
        """
        if self.parts is None:
            return ()
        found = tuple(self.parts())
        self._check(found)
        return found

    def _check(self, found: Sequence[Node]) -> None:
        exact = [one.unit.exact(one.value) for one in found]
        made = self.unit.exact(self.value)
        if self.op is Op.SUM:
            made = sum(exact, Fraction(0))
        elif self.op is Op.PRODUCT:
            made = prod(exact, start=Fraction(1))
        if made != self.unit.exact(self.value) or len({one.key for one in found}) != len(found):
            raise Bug(
                "WL-NRG-901", f"the parts of {self.key} ({self.kind}) do not make {self.value}, but {made}"
            )


COMPUTED: Final = frozenset({"rounding", "limit", "pending", "unknown", "constant", "stock", "learnt"})
"""Leaves that no row is behind: what rounding adds, a floor at zero, slots that are about to be derived again, energy
that is not priced, a plain number of a rule, what a battery held where its tree begins, what its discharges told."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A node with as many of its children as were asked for.

    ``children`` is None where they were not looked at: ask for ``path``. ``count`` is how many there are; those that
    are not shown stand together in nodes of kind ``rest``.
    """

    node: Node
    path: str
    children: tuple[Shown, ...] | None
    count: int

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        node = self.node
        plain: dict[str, Any] = {
            "path": self.path,
            "kind": node.kind,
            "label": node.label,
            "value": node.unit.text(node.value),
            "unit": node.unit.name,
        }
        if node.parts is not None:
            plain["op"] = str(node.op)
        if node.formula:
            plain["formula"] = node.formula
        if node.span is not None:
            plain["start"], plain["end"] = node.span
        if node.quality is not None:
            plain["quality"] = node.quality.as_json()
        if node.stored is not None:
            plain["stored"] = node.stored.as_json()
        plain |= node.facts
        if node.parts is not None:
            plain["count"] = self.count if self.children is not None else None
            plain["children"] = None if self.children is None else [one.as_json() for one in self.children]
        return plain


@dataclass(slots=True)
class _Open:
    """A node under way; its children may come later."""

    node: Node
    path: str
    level: int
    children: list[_Open] | None = None
    count: int = 0

    def closed(self) -> Shown:
        children = None if self.children is None else tuple(one.closed() for one in self.children)
        return Shown(self.node, self.path, children, self.count)


def explained(
    root: Node, *, path: str = "", depth: int = 1, limit: int = USUAL_CHILDREN, offset: int = 0
) -> Shown:
    """The node at ``path`` with ``depth`` levels below it.

    Args:
        root: the figure.
        path: keys from the root on, with slashes between; empty is the root.
        depth: levels of children; no more than :data:`MOST_NODES` nodes are shown, the upper levels first.
        limit: children of a sum; if there are two more or above, they are summed up in one of kind ``rest``.
        offset: children of the node at ``path`` to leave out before the first one that is shown.

    Raises:
        NotFound: ``WL-NRG-010``, there is nothing at this path.
    """
    node = _at(root, path)
    top = _Open(node, path, 0)
    waiting, shown = deque([top]), 1
    while waiting and shown < MOST_NODES:
        one = waiting.popleft()
        if one.level >= depth or one.node.parts is None:
            continue
        found = one.node.children()
        one.count = len(found)
        kept = _page(one.node, found, limit, offset if one is top else 0)
        one.children = [_Open(child, _path(one.path, child), one.level + 1) for child in kept]
        shown += len(kept)
        waiting.extend(child for child in one.children if child.node.kind != REST)
    return top.closed()


def _at(root: Node, path: str) -> Node:
    node = root
    for key in path.split("/") if path else ():
        node = next((one for one in node.children() if one.key == key), None) or _nothing(path)
    return node


def _nothing(path: str) -> Node:
    raise NotFound(
        "WL-NRG-010",
        f"the figure has no part {path[:120]!r}",
        where="path",
        hint="take a path of the answer; a later answer may have other parts",
    )


def _path(above: str, node: Node) -> str:
    """Where a child is found; a rest is found where its parent is, from an offset on."""
    if node.kind == REST:
        return above
    return f"{above}/{node.key}" if above else node.key


def _page(parent: Node, found: Sequence[Node], limit: int, offset: int) -> list[Node]:
    """A page of the children; what stands before and after it as one node each, so that sums stay exact."""
    if parent.op is not Op.SUM:
        return list(found)  # factors are few, and none of them can be left out
    end = offset + limit
    if len(found) == end + 1:
        end += 1  # a single one says more than its sum
    before, page, after = found[:offset], found[offset:end], found[end:]
    shown = list(page)
    if before:
        shown.insert(0, _rest(parent, before, "earlier", 0))
    if after:
        shown.append(_rest(parent, after, REST, end))
    return shown


def _rest(parent: Node, left_out: Sequence[Node], key: str, offset: int) -> Node:
    value = sum(one.value for one in left_out)
    noun = "part" if len(left_out) == 1 else "parts"
    facts = {"offset": offset, "parts": len(left_out)}
    return Node(key, REST, f"{len(left_out)} more {noun}", value, parent.unit, facts=facts)


# --- nodes that every figure needs


def rounded(num: int, den: int) -> int:
    """``num / den`` to the nearest whole number, halves up."""
    return (2 * num + den) // (2 * den)


def with_rounding(parts: Sequence[Node], value: int, unit: Unit, formula: str) -> list[Node]:
    """The parts, and what rounding makes of their sum where that is not ``value`` yet."""
    return with_rest(parts, Node("rounding", "rounding", "rounding", value, unit, formula=formula))


def with_rest(parts: Sequence[Node], rest: Node) -> list[Node]:
    """The parts and ``rest``, whose value is the whole sum and becomes what is left of it; nothing if that is 0."""
    left = rest.value - sum(one.value for one in parts)
    if not left:
        return list(parts)
    return [*parts, replace(rest, value=left)]


def negated(node: Node) -> Node:
    """What is taken away: the same sums with the other sign. A product keeps its factors and gets one of -1."""
    if node.op is Op.PRODUCT:
        return replace(node, value=-node.value, parts=lambda: [*node.children(), MINUS])
    if node.op is Op.FORMULA or node.parts is None:
        return replace(node, value=-node.value)
    return replace(node, value=-node.value, parts=lambda: [negated(one) for one in node.children()])


MINUS: Final = Node("minus", "constant", "taken away", -1, Unit("", 0))


SlotNodes = Callable[[int, int], Sequence[Node]]
"""The slots of ``[start_ms, end_ms)``, in time order; those of which nothing is known may be left out."""
Total = Callable[[int, int], tuple[int, Quality | None]]
"""Value and quality of ``[start_ms, end_ms)``."""

_FINER: Final = {"1mo": "1d"}
_KIND: Final = {"1mo": "month", "1d": "day"}
_TEXT: Final = {"1mo": 7, "1d": 10}


@dataclass(frozen=True, slots=True)
class Timeline:
    """How a figure falls into local months, days and slots: all three by the same sums."""

    zone: str
    unit: Unit
    total: Total
    slots: SlotNodes

    def parts(self, start_ms: int, end_ms: int) -> list[Node]:
        """Months of a long range, days of a shorter one, the slots of one day."""
        months = buckets(self.zone, "1mo", start_ms, end_ms)
        if len(months) > 1:
            return self._buckets("1mo", start_ms, end_ms)
        days = buckets(self.zone, "1d", start_ms, end_ms)
        return self._buckets("1d", start_ms, end_ms) if len(days) > 1 else self.slot_parts(start_ms, end_ms)

    def slot_parts(self, start_ms: int, end_ms: int) -> list[Node]:
        """The slots of which something is known."""
        return list(self.slots(start_ms, end_ms))

    def _buckets(self, resolution: str, start_ms: int, end_ms: int) -> list[Node]:
        grid, _ = buckets(self.zone, resolution, start_ms, end_ms).clipped(start_ms, end_ms)
        rows = zip(grid.label, grid.start_ms.tolist(), grid.end_ms.tolist(), strict=True)
        return [self._bucket(resolution, label, low, high) for label, low, high in rows if high > low]

    def _bucket(self, resolution: str, label: str, start_ms: int, end_ms: int) -> Node:
        value, quality = self.total(start_ms, end_ms)
        finer = _FINER.get(resolution)

        def parts() -> list[Node]:
            if finer is None:
                return self.slot_parts(start_ms, end_ms)
            return self._buckets(finer, start_ms, end_ms)

        name = label[: _TEXT[resolution]]
        return Node(
            name, _KIND[resolution], name, value, self.unit,
            span=(start_ms, end_ms), quality=quality, parts=parts,
        )  # fmt: skip
