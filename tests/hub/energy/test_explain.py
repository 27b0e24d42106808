"""Trees of figures: whatever part is shown, its parts make it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.energy.explain import (
    MINUS,
    MOST_NODES,
    REST,
    WH,
    Node,
    Op,
    Shown,
    Timeline,
    Unit,
    explained,
    negated,
    with_rest,
    with_rounding,
)
from hub.errors import Bug, NotFound
from tests.hub.energy.streams import UNDER_LOAD

DAY_MS = 86_400_000
T0_MS = 1_767_225_600_000  # 2026-01-01 00:00 UTC


def leaf(key: str, value: int) -> Node:
    return Node(key, "reading", key, value, WH)


def branch(key: str, children: list[Node]) -> Node:
    return Node(key, "slot", key, sum(one.value for one in children), WH, parts=lambda: children)


@st.composite
def trees(draw: st.DrawFn, levels: int = 3, key: str = "root") -> Node:
    count = draw(st.integers(0, 9))
    if not levels or not count:
        return leaf(key, draw(st.integers(-(10**20), 10**20)))
    return branch(key, [draw(trees(levels - 1, f"n{at}")) for at in range(count)])


def every(shown: Shown) -> list[Shown]:
    return [shown, *(below for one in shown.children or () for below in every(one))]


@UNDER_LOAD
@given(trees(), st.integers(0, 4), st.integers(1, 5), st.integers(0, 12))
def test_shown_children_add_up_whatever_is_left_out(root: Node, depth: int, limit: int, offset: int) -> None:
    for one in every(explained(root, depth=depth, limit=limit, offset=offset)):
        if one.children:
            assert sum(child.node.value for child in one.children) == one.node.value
            assert one.count == len(one.node.children())


@UNDER_LOAD
@given(trees())
def test_every_path_of_an_answer_leads_to_its_node(root: Node) -> None:
    for one in every(explained(root, depth=9, limit=1000)):
        assert explained(root, path=one.path, depth=0).node == one.node


@UNDER_LOAD
@given(trees())
def test_what_is_taken_away_has_the_same_parts_with_the_other_sign(root: Node) -> None:
    taken = every(explained(negated(root), depth=9, limit=1000))
    assert [-one.node.value for one in taken] == [
        one.node.value for one in every(explained(root, depth=9, limit=1000))
    ]


@given(st.integers(-(10**30), 10**30), st.integers(0, 18))
def test_values_are_exact_decimal_text(value: int, digits: int) -> None:
    unit = Unit("Wh", digits)
    assert Fraction(unit.text(value)) == Fraction(value, 10**digits) == Fraction(Decimal(unit.text(value)))


def test_pages_follow_one_another_by_their_offsets() -> None:
    root = branch("root", [leaf(f"n{at}", at) for at in range(10)])
    seen: list[str] = []
    offset = 0
    while True:
        page = explained(root, limit=4, offset=offset).children or ()
        seen += [one.node.key for one in page if one.node.kind != REST]
        if page[-1].node.kind != REST:
            break
        assert page[-1].path == ""
        offset = page[-1].node.facts["offset"]
    assert seen == [f"n{at}" for at in range(10)]


def test_a_product_shows_all_of_its_factors() -> None:
    price = Node("price", "price", "", 30_000_000, Unit("EUR/kWh", 8))
    energy = Node("energy", "slot", "", 250_000, Unit("kWh", 6))
    cost = Node(
        "cost", "slot", "", -75 * 10**15, Unit("EUR", 18), Op.PRODUCT, parts=lambda: [energy, price, MINUS]
    )
    assert [one.node.key for one in explained(cost, limit=1).children or ()] == ["energy", "price", "minus"]


@pytest.mark.parametrize("op", [Op.SUM, Op.PRODUCT])
def test_parts_that_do_not_make_their_figure_are_a_bug(op: Op) -> None:
    wrong = Node("x", "slot", "", 7, WH, op, parts=lambda: [leaf("a", 3), leaf("b", 3)])
    with pytest.raises(Bug) as caught:
        explained(wrong)
    assert caught.value.code == "WL-NRG-901"


def test_two_parts_of_one_key_are_a_bug() -> None:
    with pytest.raises(Bug):
        explained(branch("x", [leaf("a", 1), leaf("a", 2)]))


def test_a_path_that_leads_nowhere_is_not_found() -> None:
    for path in ("b", "a/b", "a/", "/a"):
        with pytest.raises(NotFound) as caught:
            explained(branch("root", [leaf("a", 1)]), path=path)
        assert caught.value.code == "WL-NRG-010"


def test_a_large_tree_is_shown_from_above() -> None:
    wide = branch("root", [branch(f"n{at}", [leaf(f"m{no}", 1) for no in range(900)]) for at in range(900)])
    shown = explained(wide, depth=2, limit=1000)

    opened = [one for one in shown.children or () if one.children is not None]
    assert len(shown.children or ()) == 900
    assert 0 < len(opened) < 10
    assert sum(len(one.children or ()) for one in opened) <= MOST_NODES


def test_rounding_is_a_part_of_its_own_and_absent_where_there_is_none() -> None:
    parts = [leaf("a", 3), leaf("b", 4)]
    assert [one.value for one in with_rounding(parts, 8, WH, "half up")] == [3, 4, 1]
    assert with_rounding(parts, 7, WH, "half up") == parts
    assert with_rest(parts, leaf("rest", 0))[-1].value == -7


@pytest.mark.parametrize(("days", "kinds"), [(1, ["reading"]), (3, ["day"] * 3), (60, ["month"] * 3)])
def test_a_range_falls_into_months_days_or_slots(days: int, kinds: list[str]) -> None:
    def slots(start_ms: int, end_ms: int) -> list[Node]:
        return [leaf(str(start_ms), end_ms - start_ms)]

    line = Timeline("UTC", WH, lambda low, high: (high - low, None), slots)
    end_ms = T0_MS + days * DAY_MS
    root = Node("x", "figure", "", days * DAY_MS, WH, parts=lambda: line.parts(T0_MS, end_ms))
    shown = explained(root, depth=4, limit=1000)

    assert [one.node.kind for one in shown.children or ()] == kinds
    assert all(
        sum(x.node.value for x in one.children) == one.node.value for one in every(shown) if one.children
    )
