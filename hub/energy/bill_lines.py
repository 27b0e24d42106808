"""The lines of one side of a bill over one stretch of a version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

import numpy as np

from hub.energy.bill_texts import block_text, capacity_text, formula_text, unit_price
from hub.energy.clock import days_within, period_of, share_of, share_of_period
from hub.energy.components import (
    Basis,
    Block,
    Capacity,
    Component,
    Discount,
    Kind,
    Limit,
    Per,
    Standing,
    Tax,
    Tier,
)
from hub.energy.money import E8, MWH_PER_KWH, Bools, Int64, decimal_text, exact_dot, exact_sum, round_fraction
from hub.energy.peaks import MonthPeak, basis_mw, charge, month_peaks
from hub.energy.rating import Rated, Rating, rate
from hub.energy.slots import SLOT_MS
from hub.energy.tariff import Version
from hub.energy.tiers import countings, split
from hub.energy.usage import Usage
from hub.model.quality import Quality, shares

_MW_PER_KW: Final = 1_000_000
_ZERO: Final = Fraction(0)
_FIXED: Final = Quality(1.0, 0.0, 0.0, 0.0, 0.0)
"""A fixed charge needs no measurement."""


class Side(StrEnum):
    """Which direction of the grid connection a line is about."""

    IMPORT = "import"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line: ``amount_e8`` is ``quantity`` x ``unit_price`` rounded once; negative amounts are yours.

    ``unit_price`` is a mean where prices differ within the line, and is never rounded here.
    ``pending_mwh`` is energy of the line that has no price yet and is not in quantity and amount.
    """

    component: str
    side: Side
    kind: Kind
    start_ms: int
    end_ms: int
    quantity: Fraction
    unit: str
    unit_price: Fraction
    amount_e8: int
    pending_mwh: int
    quality: Quality
    formula: str
    step_e8: int = E8 // 100

    def as_json(self) -> dict[str, Any]:
        """The line as the API sends it; money and energy are decimal text, times epoch milliseconds."""
        return {
            "component": self.component,
            "side": str(self.side),
            "kind": str(self.kind),
            "quantity": decimal_text(self.quantity, least=3, most=3),
            "unit": self.unit,
            "unit_price": decimal_text(self.unit_price, least=4, most=8),
            "amount": amount_text(self.amount_e8, self.step_e8),
            "pending_kwh": kwh_text(self.pending_mwh),
            "quality": self.quality.as_json(),
            "formula": self.formula,
            "start": self.start_ms,
            "end": self.end_ms,
        }


@dataclass(frozen=True, slots=True)
class LineSlots:
    """What the slots of a line with prices per kWh add to it, from ``first_ms`` on.

    Σ ``price_e8`` x ``energy_mwh`` is the line's amount before it is rounded, in 1e-14 currency; an export line
    has the opposite sign. ``block`` counts the blocks of a tier.
    """

    component: str
    side: Side
    first_ms: int
    price_e8: Int64
    energy_mwh: Int64
    block: int = 0


def amount_text(amount_e8: int, step_e8: int) -> str:
    """An amount with the decimals of its rounding step, two at least."""
    places = next(places for places in range(2, 9) if step_e8 % 10 ** (8 - places) == 0)
    return decimal_text(Fraction(amount_e8, E8), least=places, most=8)


def kwh_text(energy_mwh: int) -> str:
    """Energy in kWh with three decimals; ``0`` for none."""
    return decimal_text(Fraction(energy_mwh, MWH_PER_KWH), least=3, most=6) if energy_mwh else "0"


@dataclass(frozen=True, slots=True)
class Stretch:
    """One version over the slots ``[low, high)`` of a wider clock, which running tiers and peaks need.

    ``rating`` is of the stretch alone, ``wide`` of the whole clock. ``usage`` is set off as the version wants it,
    ``metered`` is as it was (for peaks); both lie on the wide clock.
    """

    version: Version
    rating: Rating
    wide: Rating
    usage: Usage
    metered: Usage
    low: int
    high: int
    currency: str

    @property
    def zone(self) -> str:
        return self.rating.clock.zone

    @property
    def start_ms(self) -> int:
        return self.usage.first_ms + self.low * SLOT_MS

    @property
    def end_ms(self) -> int:
        return self.usage.first_ms + self.high * SLOT_MS

    @property
    def rows(self) -> slice:
        return slice(self.low, self.high)

    def quality(self, at: Bools | None = None) -> Quality:
        """Quality of the stretch, or of those of its slots that are marked (all where none is)."""
        slots = self.high - self.low
        count = slots if at is None else int(np.count_nonzero(at)) or slots
        usage = self.usage
        columns = (usage.measured_ms, usage.late_ms, usage.estimated_ms, usage.suspect_ms)
        if at is None or count == slots:
            return shares(count * SLOT_MS, *(int(column[self.rows].sum()) for column in columns))
        weight = at.astype(np.int64)
        return shares(count * SLOT_MS, *(int(np.dot(column[self.rows], weight)) for column in columns))


@dataclass(slots=True)
class SideLines:
    """The lines of one side, as they come to be: later ones read the amounts of earlier ones."""

    stretch: Stretch
    side: Side
    components: Sequence[Component]
    lines: list[BillLine] = field(default_factory=list)
    peaks: list[MonthPeak] = field(default_factory=list)
    slots: list[LineSlots] = field(default_factory=list)
    rated: dict[str, Rated] = field(default_factory=dict)
    pending: dict[str, Bools] = field(default_factory=dict)

    @property
    def usage_mwh(self) -> Int64:
        return self.stretch.usage.import_mwh if self.side is Side.IMPORT else self.stretch.usage.export_mwh

    @property
    def sign(self) -> int:
        return 1 if self.side is Side.IMPORT else -1

    @property
    def energy(self) -> Int64:
        """Of the stretch alone."""
        return self.usage_mwh[self.stretch.rows]

    def build(self) -> None:
        """All lines in the order of the tariff."""
        for line in self.components:
            one = rate(line, self.stretch.rating, self.components, self.rated)
            if one is not None:
                self.rated[line.name] = one
                self._priced(line, one)
                continue
            match line:
                case Tier():
                    self._tier(line)
                case Standing():
                    self._fixed(line.name, Kind.STANDING, line.price_e8, line.per)
                case Capacity():
                    self._capacity(line)
                case Tax(share=Fraction()) | Discount(share=Fraction()):
                    self._percent(line)
                case Discount(per=Per() as per):
                    self._fixed(line.name, Kind.DISCOUNT, -line.fixed_e8, per)

    def pending_at(self) -> Bools:
        """Slots of the stretch with energy that some line cannot price."""
        result = np.zeros(self.stretch.high - self.stretch.low, np.bool_)
        for at in self.pending.values():
            result |= at
        return result & (self.energy > 0)

    def _priced(self, line: Component, rated: Rated) -> None:
        """A line with a price per kWh of each slot."""
        price, holds, unknown = rated.price_e8, rated.holds, rated.unknown
        energy = self._first_part(line) if isinstance(line, Limit) else self.energy
        if isinstance(line, Limit):  # quantity: what the limit worked on
            holds = holds & (price != 0)
        counted = np.where(holds, energy, 0)
        self._keep(line.name, price, counted)
        self._add(
            line.name,
            line.kind,
            quantity=Fraction(exact_sum(counted), MWH_PER_KWH),
            unit="kWh",
            amount=Fraction(exact_dot(price, counted), E8 * MWH_PER_KWH),
            unit_price=unit_price(line),
            pending=unknown,
            quality=self.stretch.quality(rated.holds | unknown),
            formula=formula_text(line),
        )

    def _keep(self, name: str, price_e8: Int64, energy_mwh: Int64, block: int = 0) -> None:
        self.slots.append(LineSlots(name, self.side, self.stretch.start_ms, price_e8, energy_mwh, block))

    def _first_part(self, line: Limit) -> Int64:
        """The energy that a cap or floor is about: all of it, or the first of each period."""
        if line.up_to_mwh is None:
            return self.energy
        blocks = (Block(0, line.up_to_mwh), Block(0))
        parts = countings(self.stretch.wide.clock, line.per, blocks, prorate=False)
        holds, _ = self.stretch.wide.when(line.when)
        return split(np.where(holds, self.usage_mwh, 0), parts, 2)[0][self.stretch.rows]

    def _tier(self, line: Tier) -> None:
        stretch, rows = self.stretch, self.stretch.rows
        holds, unknown = stretch.wide.when(line.when)
        energy = np.where(holds, self.usage_mwh, 0)
        if line.prorate:
            parts = countings(stretch.rating.clock, line.per, line.blocks, prorate=True)
            by_block = split(energy[rows], parts, len(line.blocks))
        else:
            parts = countings(stretch.wide.clock, line.per, line.blocks, prorate=False)
            by_block = [column[rows] for column in split(energy, parts, len(line.blocks))]
        for number, (block, column) in enumerate(zip(line.blocks, by_block, strict=True)):
            quantity = Fraction(exact_sum(column), MWH_PER_KWH)
            self._keep(line.name, np.full(len(column), block.price_e8), column, number)
            self._add(
                line.name,
                Kind.TIER,
                quantity=quantity,
                unit="kWh",
                amount=quantity * block.price_e8 / E8,
                unit_price=Fraction(block.price_e8, E8),
                pending=unknown[rows],
                quality=stretch.quality(holds[rows] | unknown[rows]),
                formula=block_text(line, number),
            )

    def _fixed(self, name: str, kind: Kind, price_e8: int, per: Per) -> None:
        quantity = share_of(self.stretch.zone, self.stretch.start_ms, self.stretch.end_ms, per)
        price = Fraction(price_e8, E8)
        text = f"{decimal_text(price, least=2, most=8)} per {per}"
        self._add(
            name,
            kind,
            quantity=quantity,
            unit=str(per),
            amount=quantity * price,
            unit_price=price,
            formula=text,
        )

    def _capacity(self, line: Capacity) -> None:
        stretch, clock = self.stretch, self.stretch.wide.clock
        metered = stretch.metered
        energy, known = (
            (metered.import_mwh, metered.import_known)
            if self.side is Side.IMPORT
            else (metered.export_mwh, metered.export_known)
        )
        holds, _ = stretch.wide.when(line.when)
        peaks = month_peaks(line, clock, energy, known & holds)
        months = np.unique(stretch.rating.clock.month).tolist()
        lengths = [self._length(line.per, month) for month in months]
        powers = [basis_mw(line, month, peaks) for month in months]
        part = Fraction(1, 12) if line.per is Per.YEAR else Fraction(1)
        total = sum(
            (charge(line, power) * part * long for power, long in zip(powers, lengths, strict=True)), _ZERO
        )
        kilowatts = sum(
            (power / _MW_PER_KW * long for power, long in zip(powers, lengths, strict=True)), _ZERO
        )
        unit = "day" if line.per is Per.DAY else "month"
        whole = lengths == [1] and line.per is not Per.DAY
        self._add(
            line.name,
            Kind.CAPACITY,
            quantity=sum(lengths, _ZERO) if line.steps else kilowatts,
            unit=unit if line.steps else "kW" if whole else f"kW·{unit}",
            amount=total,
            unit_price=None if line.steps else Fraction(line.price_e8, E8) * part,
            quality=_FIXED if line.basis is Basis.CONTRACTED else stretch.quality(),
            formula=capacity_text(line),
        )
        if line.basis is not Basis.CONTRACTED:
            self.peaks.extend(peaks[one].highest for one in sorted(peaks) if one <= months[-1])

    def _length(self, per: Per, month: int) -> Fraction:
        """Days of a month that lie in the stretch, or the part of the month that does, by days."""
        stretch = self.stretch
        first = int(np.searchsorted(stretch.rating.clock.month, month))
        first_ms = stretch.start_ms + first * SLOT_MS
        low_ms, high_ms = period_of(stretch.zone, first_ms, Per.MONTH)
        if per is Per.DAY:
            return days_within(stretch.zone, max(low_ms, stretch.start_ms), min(high_ms, stretch.end_ms))
        return share_of_period(stretch.zone, low_ms, high_ms, stretch.start_ms, stretch.end_ms)

    def _percent(self, line: Tax | Discount) -> None:
        names = line.on if line.on is not None else tuple(self.pending)
        base_e8 = sum(one.amount_e8 for one in self.lines if one.component in names)
        share = (line.share or Fraction(0)) * (1 if isinstance(line, Tax) else -1)
        pending = np.zeros(self.stretch.high - self.stretch.low, np.bool_)
        for name in names:
            pending |= self.pending[name]
        which = "all lines before" if line.on is None else ", ".join(line.on)
        base = Fraction(base_e8, E8)
        self._add(
            line.name,
            line.kind,
            quantity=base,
            unit=self.stretch.currency,
            amount=base * share * self.sign,
            unit_price=share,
            pending=pending,
            quality=self.stretch.quality(),
            formula=f"{decimal_text(abs(share) * 100, least=0, most=8)} % of {which}",
        )

    def _add(
        self,
        name: str,
        kind: Kind,
        *,
        quantity: Fraction,
        unit: str,
        amount: Fraction,
        unit_price: Fraction | None,
        formula: str,
        pending: Bools | None = None,
        quality: Quality = _FIXED,
    ) -> None:
        version = self.stretch.version
        if pending is None:
            pending = np.zeros(self.stretch.high - self.stretch.low, np.bool_)
        self.pending[name] = pending
        if unit_price is None:
            unit_price = amount / quantity if quantity else Fraction(0)
        steps = round_fraction(self.sign * amount * E8 / version.line_step_e8, version.rounding)
        self.lines.append(
            BillLine(
                component=name,
                side=self.side,
                kind=kind,
                start_ms=self.stretch.start_ms,
                end_ms=self.stretch.end_ms,
                quantity=quantity,
                unit=unit,
                unit_price=unit_price,
                amount_e8=steps * version.line_step_e8,
                pending_mwh=exact_sum(self.energy[pending]),
                quality=quality,
                formula=formula,
                step_e8=version.line_step_e8,
            )
        )
