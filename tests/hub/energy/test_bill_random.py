"""Made-up contracts of any shape: the engine bills what a plain reading of their text gives, slot by slot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.energy.bill import bill, needed_ms
from hub.energy.tariff import parse_tariff
from hub.energy.usage import Calendar, PriceColumn, Usage
from tests.hub.energy.streams import UNDER_LOAD
from tests.hub.energy.tariffs import SLOT_MS, midnight

ZONES = ["Europe/Paris", "Australia/Lord_Howe", "America/New_York", "Asia/Kathmandu"]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
PRICES = st.integers(-5000, 40_000).map(lambda value: f"{value / 100_000:.5f}")


# contracts


def clock(quarter: int) -> str:
    return f"{quarter // 4:02d}:{quarter % 4 * 15:02d}"


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    start = draw(st.integers(0, 95))
    found: dict[str, Any] = {"hours": f"{clock(start)}-{clock((start + draw(st.integers(1, 95))) % 96)}"}
    if draw(st.booleans()):
        found["days"] = draw(st.lists(st.sampled_from(DAYS), min_size=1, unique=True))
    if draw(st.booleans()):
        found["holidays"] = draw(st.sampled_from(["exclude", "only"]))
    return found


@st.composite
def sides(draw: st.DrawFn) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [
        {"energy": "A", "price": draw(PRICES), "when": draw(st.lists(conditions(), min_size=1, max_size=3))},
        {"energy": "B", "formula": "spot * 1.05 + 0.01", "when": "otherwise"},
    ]
    per_kwh = ["A", "B"]
    for number in range(draw(st.integers(0, 5))):
        name = f"L{number}"
        kind = draw(
            st.sampled_from(["energy", "tier", "standing", "duty", "cap", "floor", "percent", "discount"])
        )
        per = draw(st.sampled_from(["day", "month", "year"]))
        some = draw(st.lists(st.sampled_from([line_name(line) for line in lines]), min_size=1, unique=True))
        limit = draw(st.integers(1, 60))
        named = [one for one in some if one in per_kwh] or ["A"]
        blocks = [{"up_to_kwh": limit, "price": draw(PRICES)}, {"price": draw(PRICES)}]
        percent = draw(st.sampled_from([5, 21, "7.5"]))
        made: dict[str, dict[str, Any]] = {
            "energy": {"energy": name, "group": name, "price": draw(PRICES)},
            "tier": {"tier": name, "per": per, "prorate": draw(st.booleans()), "blocks": blocks},
            "standing": {"standing": name, "price": draw(PRICES), "per": per},
            "duty": {"tax": name, "per_kwh": draw(PRICES), "when": draw(conditions())},
            "cap": {"cap": name, "per_kwh": draw(PRICES), "on": named},
            "floor": {"floor": name, "per_kwh": draw(PRICES), "on": named},
            "percent": {"tax": name, "percent": percent, "on": draw(st.sampled_from(["all", some]))},
            "discount": {"discount": name, "percent": 10, "on": some},
        }
        line = made[kind]
        lines.append(line)
        if kind in ("energy", "duty", "cap", "floor"):
            per_kwh.append(name)
    return lines


def line_name(line: dict[str, Any]) -> str:
    kinds = ("energy", "tier", "standing", "tax", "cap", "floor", "discount")
    return str(next(line[kind] for kind in kinds if kind in line))


# the plain reading


@dataclass(frozen=True, slots=True)
class Slot:
    """One quarter hour: energy in mWh, its price of the market (None: not known)."""

    local: datetime
    taken: int
    spot: int | None
    holiday: bool

    def meets(self, when: dict[str, Any]) -> bool:
        start, end = (int(one[:2]) * 60 + int(one[3:]) for one in when["hours"].split("-"))
        minute = self.local.hour * 60 + self.local.minute
        inside = start <= minute < end if start < end else minute >= start or minute < end
        free = {"exclude": not self.holiday, "only": self.holiday}.get(when.get("holidays", ""), True)
        return inside and free and DAYS[self.local.weekday()] in when.get("days", DAYS)


@dataclass(slots=True)
class Reading:
    """The bill of one side and version over ``slots[low:high]``, in whole cents by line."""

    lines: list[dict[str, Any]]
    slots: list[Slot]
    low: int
    high: int
    found: list[tuple[str, int]] = field(default_factory=list)

    def bill(self) -> list[tuple[str, int]]:
        for line in self.lines:
            if "tier" in line:
                self.tier(line)
            elif "standing" in line:
                self.add(line, Fraction(line["price"]) * self.length(line["per"], self.low, self.high))
            elif "percent" in line:
                names = [name for name, _ in self.found] if line.get("on", "all") == "all" else line["on"]
                base = sum(cents for name, cents in self.found if name in names)
                sign = -1 if "discount" in line else 1
                self.add(line, sign * Fraction(base, 100) * Fraction(line["percent"]) / 100)
            else:
                priced = [(slot, self.price(line, slot)) for slot in self.slots[self.low : self.high]]
                self.add(line, sum((Fraction(s.taken, 10**6) * p for s, p in priced if p), Fraction(0)))
        return self.found

    def price(self, line: dict[str, Any], slot: Slot) -> Fraction | None:
        """Price per kWh of a line in a slot; None where it is not known, 0 where it does not hold."""
        if "cap" in line or "floor" in line:
            parts = [self.price(one, slot) for one in self.lines if line_name(one) in line["on"]]
            if any(part is None for part in parts):
                return None
            total = sum((part or Fraction(0) for part in parts), Fraction(0))
            holding = any(self.holds(one, slot) for one in self.lines if line_name(one) in line["on"])
            choose: Callable[..., Fraction] = min if "cap" in line else max
            return choose(total, Fraction(line["per_kwh"])) - total if holding else Fraction(0)
        if not self.holds(line, slot):
            return Fraction(0)
        if "formula" in line:
            exact = (
                None
                if slot.spot is None
                else Fraction(slot.spot, 10**8) * Fraction(105, 100) + Fraction(1, 100)
            )
            return None if exact is None else Fraction(round(exact * 10**8), 10**8)
        return Fraction(line["price"] if "price" in line else line["per_kwh"])

    def holds(self, line: dict[str, Any], slot: Slot) -> bool:
        if "cap" in line or "floor" in line:
            return any(self.holds(one, slot) for one in self.lines if line_name(one) in line["on"])
        when = line.get("when")
        if when == "otherwise":
            return not any(slot.meets(one) for one in self.lines[0]["when"])
        return when is None or any(slot.meets(one) for one in (when if isinstance(when, list) else [when]))

    def tier(self, line: dict[str, Any]) -> None:
        limit = Fraction(line["blocks"][0]["up_to_kwh"])
        sums = [Fraction(0), Fraction(0)]
        reached: dict[object, Fraction] = {}
        for number in range(self.low if line["prorate"] else 0, self.high):
            slot = self.slots[number]
            key = self.period(line["per"], slot.local)
            most = round(limit * 10**6 * (self.share(line["per"], key) if line["prorate"] else 1)) / Fraction(
                10**6
            )
            before = reached.get(key, Fraction(0))
            reached[key] = before + Fraction(slot.taken, 10**6)
            if number >= self.low:
                first = min(reached[key], most) - min(before, most)
                sums[0] += first
                sums[1] += reached[key] - before - first
        for block, amount in zip(line["blocks"], sums, strict=True):
            self.add(line, amount * Fraction(block["price"]))

    def period(self, per: str, local: datetime) -> tuple[int, ...]:
        return {
            "day": (local.year, local.month, local.day),
            "month": (local.year, local.month),
            "year": (local.year,),
        }[per]

    def share(self, per: str, key: object) -> Fraction:
        """Which part of a period the stretch covers, by days."""
        inside = {
            one.local.date() for one in self.slots[self.low : self.high] if self.period(per, one.local) == key
        }
        first = min(inside)
        return Fraction(len(inside), self.days(per, first))

    def length(self, per: str, low: int, high: int) -> Fraction:
        dates = {one.local.date() for one in self.slots[low:high]}
        return sum((Fraction(1, self.days(per, day)) for day in dates), Fraction(0))

    def days(self, per: str, day: date) -> int:
        start = {"day": day, "month": day.replace(day=1), "year": day.replace(month=1, day=1)}[per]
        following = start + timedelta(days={"day": 1, "month": 32, "year": 367}[per])
        end = {
            "day": following,
            "month": following.replace(day=1),
            "year": following.replace(month=1, day=1),
        }[per]
        return (end - start).days

    def add(self, line: dict[str, Any], amount: Fraction) -> None:
        size = abs(amount) * 100
        cents = size.numerator // size.denominator
        cents += 2 * (size - cents) >= 1
        self.found.append((line_name(line), -cents if amount < 0 else cents))


@given(
    zone=st.sampled_from(ZONES),
    start=st.dates(date(2026, 3, 2), date(2026, 11, 20)),
    lengths=st.tuples(st.integers(1, 6), st.integers(0, 6)),
    lines=st.tuples(sides(), sides()),
    seed=st.integers(0, 10**6),
)
@settings(parent=UNDER_LOAD, max_examples=25)
def test_any_contract_is_billed_as_it_reads(
    zone: str, start: date, lengths: tuple[int, int], lines: tuple[list[dict[str, Any]], ...], seed: int
) -> None:
    change, last = start + timedelta(days=lengths[0]), start + timedelta(days=sum(lengths))
    free = frozenset({start, change + timedelta(days=1)})
    versions = [{"from": "2026-01-01", "import": lines[0]}, {"from": change.isoformat(), "import": lines[1]}]
    tariff, calendar = parse_tariff({"id": "t", "versions": versions}), Calendar(zone, free)
    low_ms, high_ms = midnight(start.isoformat(), zone), midnight(last.isoformat(), zone)
    first_ms = needed_ms(tariff, calendar, low_ms, high_ms)[0]
    chance = np.random.default_rng(seed)
    count = (high_ms - first_ms) // SLOT_MS
    usage = Usage.measured(first_ms, chance.integers(0, 400_000, count))
    spot = PriceColumn(first_ms, chance.integers(-(10**7), 4 * 10**7, count), chance.random(count) < 0.95)
    spot.price_e8[~spot.known] = 0
    slots = []
    for number in range(count):
        local = datetime.fromtimestamp((first_ms + number * SLOT_MS) // 1000, UTC).astimezone(ZoneInfo(zone))
        price = int(spot.price_e8[number]) if spot.known[number] else None
        slots.append(Slot(local, int(usage.import_mwh[number]), price, local.date() in free))
    borders = [(one - first_ms) // SLOT_MS for one in (low_ms, midnight(change.isoformat(), zone), high_ms)]
    expected = Reading(lines[0], slots, borders[0], borders[1]).bill()
    if borders[1] < borders[2]:
        expected += Reading(lines[1], slots, borders[1], borders[2]).bill()

    found = bill(tariff, usage, {"spot": spot}, calendar, low_ms, high_ms)

    assert [(line.component, line.amount_e8 // 10**6) for line in found.lines] == expected
