"""The tariff language: what is wrong is told all at once, each with its place and what to do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.components import Capacity, Energy, Per
from hub.energy.tariff import TariffProblems, parse_tariff
from tests.hub.energy.streams import UNDER_LOAD
from tests.hub.energy.tariffs import CONTRACT, tariff


def problems(data: Any) -> list[tuple[str, str]]:
    """Paths and codes."""
    with pytest.raises(TariffProblems) as caught:
        parse_tariff(data)
    assert all(one.text for one in caught.value.problems)
    return [(one.field, one.code) for one in caught.value.problems]


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    data = copy.deepcopy(CONTRACT)
    change(data["versions"][0])
    return data


def lines(*some: object, **version: Any) -> dict[str, Any]:
    return {"id": "t", "versions": [{"from": "2026-01-01", "import": list(some), **version}]}


def test_contract_of_the_api_is_read() -> None:
    found = parse_tariff(CONTRACT)
    version = found.versions[0]

    assert (found.id, found.name, found.metering_point, found.currency) == (
        "home",
        "Flex contract",
        "grid",
        "EUR",
    )
    assert (version.valid_from, version.line_step_e8) == (date(2026, 1, 1), 1_000_000)
    assert [line.name for line in version.imports] == [
        "Day", "Night", "Market", "Network", "Meter rent", "Peak", "Energy tax", "VAT", "Ceiling",
    ]  # fmt: skip
    assert isinstance(version.imports[0], Energy)
    assert isinstance(version.imports[5], Capacity)
    assert version.imports[5].minimum_mw == 2_500_000
    assert found.price_names() == {"spot"}


def test_a_tariff_is_written_as_it_is_read() -> None:
    found = parse_tariff(CONTRACT)

    assert parse_tariff(found.as_data()) == found
    assert found.as_data()["versions"][0]["import"][0]["price"] == "0.312"
    assert found.as_data()["versions"][0]["from"] == "2026-01-01"


@pytest.mark.parametrize("price", [0.312, "0.3120", Decimal("0.31200")])
def test_numbers_may_be_written_in_any_way(price: object) -> None:
    line = tariff({"energy": "E", "price": price}).versions[0].imports[0]

    assert isinstance(line, Energy)
    assert line.price_e8 == 31_200_000


def test_what_is_left_out_has_a_plain_default() -> None:
    found = parse_tariff(lines({"energy": "E", "price": 1}), currency="SEK")

    assert (found.name, found.metering_point, found.currency) == ("t", "grid", "SEK")
    assert found.versions[0].line_step_e8 == 1_000_000
    assert found.versions[0].netting.period is None


def test_all_problems_are_told_at_once_in_the_order_of_the_text() -> None:
    def spoil(version: dict[str, Any]) -> None:
        version["rounding"]["mode"] = "halfup"
        version["import"][0]["when"]["hours"] = "07:10-23:00"
        version["import"][2]["formula"] = "spot * (1.05"
        version["import"][3]["bloks"] = []
        version["import"][7]["on"] = ["Daay"]
        version["import"][8]["per_kwh"] = float("nan")
        version["exprt"] = []

    assert problems(changed(spoil)) == [
        ("versions.0.exprt", "WL-TAR-002"),
        ("versions.0.import.0.when.hours", "WL-TAR-012"),
        ("versions.0.import.2.formula", "WL-TAR-020"),
        ("versions.0.import.3.bloks", "WL-TAR-002"),
        ("versions.0.import.7.on", "WL-TAR-030"),
        ("versions.0.import.8.per_kwh", "WL-TAR-004"),
        ("versions.0.rounding.mode", "WL-TAR-005"),
    ]


def test_unknown_keys_name_the_nearest_valid_one() -> None:
    with pytest.raises(TariffProblems) as caught:
        parse_tariff(lines({"energy": "E", "prise": 1, "price": 1}))

    assert caught.value.problems[0].path == ("versions", 0, "import", 0, "prise")
    assert caught.value.problems[0].hint == 'did you mean "price"?'
    assert (caught.value.code, caught.value.where) == ("WL-TAR-002", "versions.0.import.0.prise")


E = {"energy": "E", "price": 1}


@pytest.mark.parametrize(
    ("line", "where", "code"),
    [
        (5, "", "WL-TAR-001"),
        ({"price": 1}, "", "WL-TAR-009"),
        ({"energy": "A", "tax": "B", "price": 1}, "", "WL-TAR-009"),
        ({"energy": "A"}, "", "WL-TAR-003"),
        ({"energy": "", "price": 1}, ".energy", "WL-TAR-008"),
        ({"energy": "a\nb", "price": 1}, ".energy", "WL-TAR-008"),
        ({"energy": "A", "price": 1, "formula": "1"}, ".price", "WL-TAR-034"),
        ({"energy": "A", "price": "dear"}, ".price", "WL-TAR-004"),
        ({"energy": "A", "formula": 5}, ".formula", "WL-TAR-020"),
        ({"energy": "A", "price": 1, "when": "always"}, ".when", "WL-TAR-001"),
        ({"energy": "A", "price": 1, "when": {"day": "mon"}}, ".when.day", "WL-TAR-002"),
        ({"energy": "A", "price": 1, "when": {"days": "mon-fry"}}, ".when.days", "WL-TAR-011"),
        ({"energy": "A", "price": 1, "when": {"days": []}}, ".when.days", "WL-TAR-011"),
        ({"energy": "A", "price": 1, "when": {"months": 13}}, ".when.months", "WL-TAR-011"),
        ({"energy": "A", "price": 1, "when": {"months": "0-4"}}, ".when.months", "WL-TAR-011"),
        ({"energy": "A", "price": 1, "when": {"hours": "7-9"}}, ".when.hours", "WL-TAR-011"),
        ({"energy": "A", "price": 1, "when": {"hours": "25:00-26:00"}}, ".when.hours", "WL-TAR-011"),
        ({"energy": "A", "price": 1, "when": {"hours": "07:00-07:00"}}, ".when.hours", "WL-TAR-011"),
        ({"energy": "A", "price": 1, "when": {"hours": "07:75-08:00"}}, ".when.hours", "WL-TAR-011"),
        ({"energy": "A", "price": 1, "when": {"dates": "02-30..03-01"}}, ".when.dates", "WL-TAR-011"),
        ({"energy": "A", "price": 1, "when": {"holidays": "yes"}}, ".when.holidays", "WL-TAR-005"),
        ({"energy": "A", "price": 1, "when": {"day_types": "red"}}, ".when.day_types", "WL-TAR-016"),
        ({"feed_in": "A", "price": 1}, ".feed_in", "WL-TAR-009"),
        ({"tier": "A", "per": "month"}, "", "WL-TAR-003"),
        ({"tier": "A", "per": "month", "blocks": []}, ".blocks", "WL-TAR-003"),
        ({"tier": "A", "per": "week", "blocks": [{"price": 1}]}, ".per", "WL-TAR-005"),
        ({"tier": "A", "per": "month", "blocks": [{"up_to_kwh": 5, "price": 1}]}, ".blocks.0", "WL-TAR-032"),
        ({"tier": "A", "per": "month", "blocks": [{"price": 1}, {"price": 2}]}, ".blocks.0", "WL-TAR-032"),
        (
            {
                "tier": "A",
                "per": "month",
                "blocks": [{"up_to_kwh": 5, "price": 1}, {"up_to_kwh": 5, "price": 1}, {"price": 2}],
            },
            ".blocks.1",
            "WL-TAR-032",
        ),
        (
            {"tier": "A", "per": "month", "blocks": [{"up_to_kwh": -5, "price": 1}, {"price": 2}]},
            ".blocks.0.up_to_kwh",
            "WL-TAR-004",
        ),
        ({"standing": "A", "price": 1}, "", "WL-TAR-003"),
        ({"capacity": "A", "price": 1, "per": "month", "basis": "hourly"}, ".basis", "WL-TAR-005"),
        ({"capacity": "A", "price": 1, "per": "month", "basis": "contracted"}, "", "WL-TAR-003"),
        ({"capacity": "A", "price": 1, "per": "month", "kw": 3}, ".kw", "WL-TAR-033"),
        (
            {"capacity": "A", "price": 1, "per": "month", "ratchet_percent": 80},
            ".ratchet_percent",
            "WL-TAR-033",
        ),
        (
            {"capacity": "A", "price": 1, "per": "month", "interval_minutes": 20},
            ".interval_minutes",
            "WL-TAR-033",
        ),
        ({"capacity": "A", "price": 1, "per": "month", "months": 0}, ".months", "WL-TAR-004"),
        ({"capacity": "A", "price": 1, "per": "month", "months": 1.5}, ".months", "WL-TAR-004"),
        (
            {"capacity": "A", "price": 1, "per": "month", "different_days": "no"},
            ".different_days",
            "WL-TAR-004",
        ),
        ({"tax": "A"}, "", "WL-TAR-003"),
        ({"tax": "A", "percent": 5, "per_kwh": 1}, ".per_kwh", "WL-TAR-034"),
        ({"tax": "A", "per_kwh": 1, "on": "all"}, ".on", "WL-TAR-034"),
        ({"tax": "A", "percent": 5, "when": {"days": "mon"}}, ".when", "WL-TAR-034"),
        ({"tax": "A", "percent": 5, "on": ["B"]}, ".on", "WL-TAR-030"),
        ({"tax": "A", "percent": 5, "on": [3]}, ".on", "WL-TAR-030"),
        ({"cap": "A", "on": "all"}, "", "WL-TAR-003"),
        ({"cap": "A", "per_kwh": 1, "per": "year"}, ".per", "WL-TAR-034"),
        ({"discount": "A", "amount": 5}, "", "WL-TAR-003"),
        ({"discount": "A", "percent": 150}, ".percent", "WL-TAR-004"),
    ],
)
def test_each_wrong_line_is_named_with_its_place(line: object, where: str, code: str) -> None:
    assert (f"versions.0.import.0{where}", code) in problems(lines(line))


def test_a_cap_cannot_work_on_a_tier() -> None:
    tier = {"tier": "T", "per": "month", "blocks": [{"price": 1}]}

    assert problems(lines(tier, {"cap": "C", "per_kwh": 1, "on": "T"})) == [
        ("versions.0.import.1.on", "WL-TAR-031")
    ]


def test_steps_of_power_rise_and_stand_for_the_price() -> None:
    steps = [{"up_to_kw": 5, "price": 1}, {"up_to_kw": 2, "price": 1}, {"price": 3}]
    line = {"capacity": "C", "per": "month", "price": 1, "steps": steps}

    assert problems(lines(line)) == [
        ("versions.0.import.0.price", "WL-TAR-034"),
        ("versions.0.import.0.steps.1", "WL-TAR-032"),
    ]
    assert problems(lines({**line, "price": None, "steps": []})) == [
        ("versions.0.import.0.steps", "WL-TAR-003")
    ]


def test_names_are_unique_on_a_side() -> None:
    assert problems(lines(E, {"tax": "E", "percent": 1})) == [("versions.0.import.1.tax", "WL-TAR-010")]


def test_lines_refer_to_lines_before_them_only() -> None:
    assert problems(lines({"tax": "V", "percent": 1, "on": ["E"]}, E)) == [
        ("versions.0.import.0.on", "WL-TAR-030")
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], [("", "WL-TAR-001")]),
        ({}, [("", "WL-TAR-003"), ("", "WL-TAR-003")]),
        ({"id": "Home!", "versions": []}, [("id", "WL-TAR-008"), ("versions", "WL-TAR-003")]),
        ({"id": "t", "versions": {}}, [("versions", "WL-TAR-001")]),
        ({"id": "t", "versions": [3]}, [("versions.0", "WL-TAR-001")]),
        ({"id": "t", "versions": [{"from": "2026-01-01"}]}, [("versions.0", "WL-TAR-003")]),
        ({"id": "t", "versions": [{"import": [E]}]}, [("versions.0", "WL-TAR-003")]),
        (
            {"id": "t", "versions": [{"from": "2026-02-30", "import": [E]}]},
            [("versions.0.from", "WL-TAR-006")],
        ),
        (
            {"id": "t", "versions": [{"from": "0001-01-01", "import": [E]}]},
            [("versions.0.from", "WL-TAR-006")],
        ),
        (
            {"id": "t", "currency": "euro", "versions": [{"from": "2026-01-01", "import": [E]}]},
            [("currency", "WL-TAR-008")],
        ),
        (lines(E, rounding={"line": 0}), [("versions.0.rounding.line", "WL-TAR-004")]),
        (lines(E, netting="both"), [("versions.0.netting", "WL-TAR-005")]),
        (lines(E, netting={"period": "week"}), [("versions.0.netting.period", "WL-TAR-005")]),
        (lines(*[{"tax": str(n), "percent": 1} for n in range(70)]), [("versions.0.import", "WL-TAR-040")]),
        (lines(E, day_types={"series": "s"}), [("versions.0.day_types", "WL-TAR-003")]),
        (
            lines(E, day_types={"series": "s", "codes": {"a": 1, "b": 1}}),
            [("versions.0.day_types.codes", "WL-TAR-034")],
        ),
        (
            lines(E, day_types={"dates": {"a": ["2026-01-32"]}, "otherwise": "b"}),
            [("versions.0.day_types.dates.a.0", "WL-TAR-006")],
        ),
        (
            lines(E, day_types={"dates": {"a": ["2026-01-02"], "c": ["2026-01-02"]}, "otherwise": "b"}),
            [("versions.0.day_types.dates.c", "WL-TAR-034")],
        ),
        (
            lines(E, day_types={"dates": {"a": []}, "otherwise": "b", "starts": "06:10"}),
            [("versions.0.day_types.starts", "WL-TAR-011")],
        ),
    ],
)
def test_each_wrong_tariff_is_named_with_its_place(data: Any, expected: list[tuple[str, str]]) -> None:
    assert problems(data) == expected


def test_versions_follow_each_other() -> None:
    data = lines(E)
    data["versions"] += [{"from": "2025-01-01", "import": [E]}, {"from": "2025-01-01", "import": [E]}]

    assert problems(data) == [("versions.1.from", "WL-TAR-007"), ("versions.2.from", "WL-TAR-007")]


# gaps and overlaps


def timed(**when: object) -> dict[str, Any]:
    return {"energy": f"E{len(str(when))}{when}"[:60], "price": 1, "when": when}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([{"hours": "07:00-23:00"}, {"hours": "23:00-07:00"}], None),
        ([{"hours": ["06:00-08:00", "22:00-24:00"]}, {"hours": ["00:00-06:00", "08:00-22:00"]}], None),
        (
            [{"hours": "07:00-23:00"}, {"hours": "23:15-07:00"}],
            "no energy line prices Monday 1 January from 23:00 to 23:15",
        ),
        (
            [{"days": "mon-fri"}, {"days": "sat"}],
            "no energy line prices Sunday 1 January from 00:00 to 24:00",
        ),
        ([{"days": "mon-fri", "holidays": "exclude"}, {"days": ["sat", "sun", "holiday"]}], None),
        (
            [{"days": "mon-fri"}, {"days": ["sat", "sun", "holiday"]}],
            "both price Monday 1 January from 00:00 to 24:00 (a holiday)",
        ),
        (
            [{"days": "weekdays", "holidays": "exclude"}, {"days": "weekend"}],
            "prices Monday 1 January from 00:00 to 24:00 (a holiday)",
        ),
        ([{"months": "4-9"}, {"months": "10-3"}], None),
        (
            [{"months": "april-september"}, {"months": ["oct-dec", 1, 2]}],
            "no energy line prices Monday 1 March",
        ),
        ([{"dates": "03-01..10-31"}, {"dates": "11-01..02-29"}], None),
        ([{"dates": "03-01..10-31"}, {"dates": "11-01..02-28"}], "no energy line prices Monday 29 February"),
    ],
)
def test_every_minute_is_priced_by_exactly_one_line(
    rules: list[dict[str, Any]], expected: str | None
) -> None:
    texts = []
    try:
        tariff(*(timed(**rule) for rule in rules))
    except TariffProblems as found:
        texts = [one.text for one in found.problems]

    assert len(texts) == (expected is not None)
    assert all(expected in text for text in texts if expected)


def test_a_list_of_conditions_holds_when_any_of_them_does() -> None:
    valley = {"energy": "F3", "price": 1, "when": [{"days": ["sun", "holiday"]}, {"hours": "23:00-07:00"}]}
    middle = {
        "energy": "F2",
        "price": 1,
        "when": {"days": "mon-sat", "holidays": "exclude", "hours": "07:00-23:00"},
    }
    wide = {**middle, "when": {"days": "mon-sat", "hours": "07:00-23:00"}}

    assert len(tariff(valley, middle).versions[0].imports) == 2
    assert problems(lines(valley, wide)) == [("versions.0.import.1", "WL-TAR-014")]
    assert problems(lines({**valley, "when": []})) == [("versions.0.import.0.when", "WL-TAR-011")]
    assert problems(lines({**valley, "when": [{"days": "sun"}, 5]})) == [
        ("versions.0.import.0.when.1", "WL-TAR-001")
    ]


def test_otherwise_fills_what_is_left_once() -> None:
    rest = {"energy": "R", "price": 1, "when": "otherwise"}

    assert tariff(timed(hours="07:00-08:00"), rest).versions[0].imports[1].name == "R"
    assert problems(lines(timed(days="mon"), rest, {**rest, "energy": "S"})) == [
        ("versions.0.import.2.when", "WL-TAR-015")
    ]
    assert problems(lines(timed(days="mon"), timed(days="mon-tue"), rest)) == [
        ("versions.0.import.1", "WL-TAR-014")
    ]


def test_groups_are_looked_at_by_themselves() -> None:
    grid = [{**timed(days="mon-sat"), "group": "grid"}]

    assert problems(lines(E, *grid)) == [("versions.0.import", "WL-TAR-013")]
    assert tariff(E, {"energy": "G", "group": "grid", "price": 1}).versions[0].imports[1].name == "G"


def test_each_kind_of_day_must_be_priced() -> None:
    kinds = {"series": "tempo", "codes": {"blue": 1, "white": 2, "red": 3}}

    with pytest.raises(TariffProblems, match="kind 'red'"):
        tariff(timed(day_types=["blue", "white"]), day_types=kinds)


# hostile input


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["2026-01-01", "all"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "versions",
                    "from",
                    "import",
                    "energy",
                    "price",
                    "when",
                    "hours",
                    "tier",
                    "blocks",
                    "per",
                    "on",
                    "tax",
                    "percent",
                    "capacity",
                    "day_types",
                    "dates",
                    "series",
                    "codes",
                    "netting",
                    "cap",
                    "per_kwh",
                    "formula",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(_JSON)
@settings(parent=UNDER_LOAD, max_examples=300)
def test_anything_is_a_tariff_or_refused(data: Any) -> None:
    for candidate in (
        data,
        {"id": "t", "versions": [{"from": "2026-01-01", "import": data}]},
        lines(data, data),
    ):
        try:
            parse_tariff(candidate)
        except TariffProblems as found:
            assert found.problems  # noqa: PT017 - either way is fine


def test_deep_nesting_and_giant_numbers_are_refused_plainly() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]

    assert problems({**lines(E), "x": deep}) == [("x", "WL-TAR-002")]
    assert problems(lines({"energy": "E", "price": 10**6000})) == [
        ("versions.0.import.0.price", "WL-TAR-004")
    ]


def test_periods_are_words() -> None:
    assert [str(per) for per in Per] == ["day", "month", "year"]
