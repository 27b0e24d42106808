"""Why a bill is what it is: lines → months → days → slots → energy x price, fixed charges, peaks, percentages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Final

import numpy as np

from hub.actors.explain_balance import SideTrees, multiplied
from hub.actors.explain_prices import PERCENT, BillAsked, PriceTrees, bill_asked
from hub.actors.explain_series import SeriesTrees, unit_of
from hub.actors.money_points import read_usage
from hub.actors.registry import Registry
from hub.energy.bill import Bill, BillLine, LineSlots, bill, line_slots
from hub.energy.bill_lines import Side
from hub.energy.clock import periods, share_of_period
from hub.energy.components import Basis, Capacity, Component, Discount, Limit, Per, Standing, Tax, Tier
from hub.energy.explain import (
    KWH,
    MINUS,
    MONEY_DIGITS,
    Node,
    Op,
    Timeline,
    Unit,
    rounded,
    with_rest,
    with_rounding,
)
from hub.energy.money import E8, decimal_text
from hub.energy.rating import stretches
from hub.energy.slots import SLOT_MS
from hub.energy.tariff import Version
from hub.energy.usage import Usage
from hub.model.series import Direction

__all__ = ["BillTrees", "bill_asked"]

VALUE_OF_E8: Final = 10 ** (MONEY_DIGITS - 8)
VALUE_OF_E14: Final = 10 ** (MONEY_DIGITS - 14)
KW: Final = Unit("kW", 6)


class BillTrees:
    """The tree of one bill, made of columns that are read once on the connection of ``trees``."""

    def __init__(self, trees: SeriesTrees, registry: Registry, asked: BillAsked) -> None:
        self._trees = trees
        self._registry = registry
        self._asked = asked
        self._prices = PriceTrees(trees, registry, asked)
        self._sides = SideTrees(trees, registry)
        per_phase = asked.tariff.versions[-1].netting.phases == "per_phase"
        self._per_phase = per_phase and bool(asked.meter.phases)
        self._usage: Usage = read_usage(
            trees.conn, asked.meter, asked.from_ms, asked.until_ms, per_phase=per_phase
        )
        given = (
            asked.tariff,
            self._usage,
            self._prices.columns,
            asked.calendar,
            asked.start_ms,
            asked.end_ms,
        )
        self._bill: Bill = bill(*given)
        self._slots = _slots_of(self._bill.lines, line_slots(*given))
        self._money = Unit(asked.tariff.currency, MONEY_DIGITS)

    def bill(self) -> Node:
        """The whole bill; its children are its lines."""
        found = self._bill
        facts: dict[str, Any] = {"tariff": found.tariff, "metering_point": self._asked.point}
        if found.pending_mwh:
            facts["pending_kwh"] = KWH.text(found.pending_mwh)
        return Node(
            "bill", "bill", f"bill of {self._asked.point} by {found.tariff}",
            found.total_e8 * VALUE_OF_E8, self._money,
            formula="its lines", span=(found.start_ms, found.end_ms), quality=found.quality, facts=facts,
            parts=lambda: [self._line(at) for at in range(len(found.lines))],
        )  # fmt: skip

    # --- lines

    def _line(self, at: int) -> Node:
        line = self._bill.lines[at]
        facts: dict[str, Any] = {
            "line": line.component, "side": str(line.side), "charge": str(line.kind),
            "quantity": decimal_text(line.quantity, least=3, most=3), "quantity_unit": line.unit,
        }  # fmt: skip
        if line.pending_mwh:
            facts["pending_kwh"] = KWH.text(line.pending_mwh)
        return Node(
            f"line-{at}", "line", line.component, line.amount_e8 * VALUE_OF_E8, self._money, formula=line.formula,
            span=(line.start_ms, line.end_ms), quality=line.quality, facts=facts,
            parts=lambda: self._line_parts(at, line),
        )  # fmt: skip

    def _line_parts(self, at: int, line: BillLine) -> list[Node]:
        version = self._version(line.start_ms)
        component = _component(version, line)
        slots = self._slots[at]
        if slots is not None:
            nodes = self._priced(version, component, line, slots)
        else:
            match component:
                case Standing(price_e8=price_e8, per=per):
                    nodes = self._fixed(version, line, price_e8, per)
                case Discount(per=Per() as per, fixed_e8=fixed_e8):
                    nodes = self._fixed(version, line, -fixed_e8, per)
                case Capacity():
                    nodes = [self._capacity(version, component, line)]
                case Tax() | Discount():
                    nodes = [self._percent(version, component, at, line)]
                case _:
                    nodes = []
        value = line.amount_e8 * VALUE_OF_E8
        return with_rounding(nodes, value, self._money, "the tariff rounds every line once")

    def _version(self, ts_ms: int) -> Version:
        return stretches(self._asked.tariff, self._asked.calendar.zone, ts_ms, ts_ms + SLOT_MS)[0][0]

    # --- prices per kWh

    def _priced(self, version: Version, component: Component, line: BillLine, slots: LineSlots) -> list[Node]:
        sign = _sign(line)
        energy = slots.energy_mwh.astype(object)
        values = energy * slots.price_e8.astype(object) * (sign * VALUE_OF_E14)
        running = np.concatenate([[0], np.cumsum(values)])

        def rows(start_ms: int, end_ms: int) -> tuple[int, int]:
            low, high = ((ms - slots.first_ms) // SLOT_MS for ms in (start_ms, end_ms))
            return max(low, 0), max(min(high, len(values)), 0)

        def total(start_ms: int, end_ms: int) -> tuple[int, None]:
            low, high = rows(start_ms, end_ms)
            return int(running[high] - running[low]) if high > low else 0, None

        def slot_nodes(start_ms: int, end_ms: int) -> list[Node]:
            low, high = rows(start_ms, end_ms)
            found = low + np.flatnonzero(slots.energy_mwh[low:high])
            return [self._slot(version, component, line, slots, at, int(values[at])) for at in found.tolist()]

        line_of_time = Timeline(self._trees.zone, self._money, total, slot_nodes)
        return line_of_time.parts(line.start_ms, line.end_ms)

    def _slot(
        self, version: Version, component: Component, line: BillLine, slots: LineSlots, at: int, value: int
    ) -> Node:
        slot_ms = slots.first_ms + at * SLOT_MS
        energy_mwh, price_e8 = int(slots.energy_mwh[at]), int(slots.price_e8[at])

        def parts() -> list[Node]:
            factors = [
                self._energy(component, line.side, slot_ms, energy_mwh),
                self._prices.price(version, line.side, component, slot_ms, price_e8, block=slots.block),
            ]
            return factors if _sign(line) > 0 else [*factors, MINUS]

        return Node(
            str(slot_ms), "slot", self._trees.clock(slot_ms), value, self._money, op=Op.PRODUCT,
            formula="kWh x price", span=(slot_ms, slot_ms + SLOT_MS), parts=parts,
        )  # fmt: skip

    def _energy(self, component: Component, side: Side, slot_ms: int, energy_mwh: int) -> Node:
        """The energy of a slot that a line is about: all of it, or the part in its block or under its limit."""
        metered = self._metered(side, slot_ms)
        if metered.value == energy_mwh:
            return metered
        if isinstance(component, Tier | Limit):
            label = "what belongs to another block, or lies beyond the first kWh of the period"
        else:
            label = "set off against what went the other way in the same period"
        rest = Node("limit", "limit", label, energy_mwh, KWH)
        return replace(
            metered, key="energy", value=energy_mwh, parts=lambda: with_rest([metered], rest),
            label=f"part of {metered.label}",
        )  # fmt: skip

    # --- fixed charges, peaks, percentages

    def _fixed(self, version: Version, line: BillLine, price_e8: int, per: Per) -> list[Node]:
        zone, sign = self._asked.calendar.zone, _sign(line)
        price = self._prices.rule(
            version, line.side, line.component, price_e8, Unit(f"{self._money.name}/{per}", 8), f"per {per}"
        )
        nodes = []
        for low_ms, high_ms in periods(zone, line.start_ms, line.end_ms, per):
            share = share_of_period(zone, low_ms, high_ms, line.start_ms, line.end_ms)
            amount = share * price_e8 * sign * VALUE_OF_E8
            text = f"{decimal_text(Fraction(price_e8, E8), least=2, most=8)} per {per}"
            nodes.append(
                Node(
                    str(low_ms), per.value, self._trees.clock(max(low_ms, line.start_ms)),
                    rounded(amount.numerator, amount.denominator), self._money, op=Op.FORMULA,
                    formula=text if share == 1 else f"{text} x {share} of the {per}",
                    span=(max(low_ms, line.start_ms), min(high_ms, line.end_ms)), parts=lambda: [price],
                )
            )  # fmt: skip
        return nodes

    def _capacity(self, version: Version, component: Capacity, line: BillLine) -> Node:
        """Power x price; the peaks that decide lead to their quarters of an hour."""
        amount = line.quantity * line.unit_price * _sign(line) * 10**MONEY_DIGITS

        def parts() -> list[Node]:
            price_unit = Unit(f"{self._money.name}/kW/{component.per}", 8)
            nodes = [
                self._prices.rule(
                    version, line.side, line.component, component.price_e8, price_unit, line.formula
                )
            ]
            if component.basis is Basis.CONTRACTED:
                label = "contracted power"
                power = self._prices.rule(
                    version, line.side, line.component, component.contracted_mw, KW, label
                )
                return [*nodes, replace(power, key="power")]
            return nodes + [
                self._peak(component, line.side, peak.month, peak.start_ms, peak.power_mw)
                for peak in self._bill.peaks
                if peak.start_ms < line.end_ms
            ]

        return Node(
            "capacity", "capacity", f"{decimal_text(line.quantity, least=3, most=6)} {line.unit}",
            rounded(amount.numerator, amount.denominator), self._money, op=Op.FORMULA, formula=line.formula,
            span=(line.start_ms, line.end_ms), parts=parts,
        )  # fmt: skip

    def _peak(self, component: Capacity, side: Side, month: str, start_ms: int, power_mw: int) -> Node:
        count = component.interval_minutes // 15
        end_ms = start_ms + count * SLOT_MS
        return Node(
            f"peak-{month}-{start_ms}", "peak", f"highest power of {month}, {self._trees.clock(start_ms)}",
            power_mw, KW,
            op=Op.FORMULA, formula=f"energy of {component.interval_minutes} minutes as mean power",
            span=(start_ms, end_ms),
            parts=lambda: [self._metered(side, slot_ms) for slot_ms in range(start_ms, end_ms, SLOT_MS)],
        )  # fmt: skip

    def _percent(self, version: Version, component: Tax | Discount, at: int, line: BillLine) -> Node:
        """A share of the lines that it stands on."""
        before = [
            other
            for other in range(at)
            if self._bill.lines[other].side is line.side
            and self._bill.lines[other].start_ms == line.start_ms
            and (component.on is None or self._bill.lines[other].component in component.on)
        ]
        base = sum(self._bill.lines[other].amount_e8 for other in before)
        share = component.share or Fraction(0)
        steps = int(share * 10**10) * (1 if isinstance(component, Tax) else -1)

        def parts() -> list[Node]:
            lines = Node(
                "base", "base", "the lines it stands on", base * VALUE_OF_E8, self._money,
                parts=(lambda: [self._line(other) for other in before]) if before else None,
            )  # fmt: skip
            label = f"{line.component}: {line.formula}"
            return [lines, self._prices.rule(version, line.side, line.component, steps, PERCENT, label)]

        return Node(
            "share", "share", line.formula, base * steps, self._money, op=Op.PRODUCT, formula=line.formula,
            span=(line.start_ms, line.end_ms), parts=parts,
        )  # fmt: skip

    # --- energy of the metering point

    def _metered(self, side: Side, slot_ms: int) -> Node:
        """What the meter counted in a slot on one side of the connection."""
        at = (slot_ms - self._usage.first_ms) // SLOT_MS
        column = self._usage.import_mwh if side is Side.IMPORT else self._usage.export_mwh
        value = int(column[at]) if 0 <= at < len(column) else 0
        meter = self._asked.meter
        if meter.meter is not None and not self._per_phase:
            return self._sides.side(meter.meter, side is Side.IMPORT, slot_ms, value, KWH)
        made = self._phases if meter.meter is not None else self._registers
        return Node(
            f"{self._asked.point}-{side}", "metering_point", f"{self._asked.point} {side}", value, KWH,
            span=(slot_ms, slot_ms + SLOT_MS), parts=lambda: made(side, slot_ms, value),
        )  # fmt: skip

    def _phases(self, side: Side, slot_ms: int, value: int) -> list[Node]:
        nodes = [
            replace(self._sides.counted(phase, side is Side.IMPORT, slot_ms, KWH), key=f"phase-{number}")
            for number, phase in enumerate(self._asked.meter.phases, 1)
        ]
        return with_rest(nodes, Node("limit", "limit", "a phase is not known", value, KWH))

    def _registers(self, side: Side, slot_ms: int, value: int) -> list[Node]:
        """Registers that were installed at the point in this slot, times their factors."""
        nodes = []
        for row, series in self._asked.meter.installed:
            one = row.installation
            exported = series.direction is Direction.EXPORT
            if exported is (side is Side.IMPORT) or one.from_ms >= slot_ms + SLOT_MS or one.end_ms <= slot_ms:
                continue
            unit = unit_of(series)
            plain = one.multiplier == 1
            register = self._trees.slot(series, slot_ms, KWH if plain else unit)
            if register is None:
                continue
            if not plain:
                register = multiplied(self._trees, series, one.from_ms, one.multiplier, register, KWH)
            nodes.append(replace(register, key=f"installation-{row.id}"))
        label = "rounding along the running total, or what lies before or after the installation"
        return with_rest(nodes, Node("rounding", "rounding", label, value, KWH))


def _sign(line: BillLine) -> int:
    return 1 if line.side is Side.IMPORT else -1


def _component(version: Version, line: BillLine) -> Component:
    side = version.imports if line.side is Side.IMPORT else version.exports
    return next(one for one in side if one.name == line.component)


def _slots_of(lines: Sequence[BillLine], slots: Sequence[LineSlots]) -> list[LineSlots | None]:
    """The slots of each line; both are in the order of the bill, and only lines with prices per kWh have some."""
    waiting = list(slots)
    found: list[LineSlots | None] = []
    for line in lines:
        here = bool(waiting) and (waiting[0].component, waiting[0].side, waiting[0].first_ms) == (
            line.component, line.side, line.start_ms,
        )  # fmt: skip
        found.append(waiting.pop(0) if here else None)
    return found
