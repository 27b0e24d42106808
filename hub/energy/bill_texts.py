"""How a line was counted, in words, and the price that all its slots have."""

from __future__ import annotations

from fractions import Fraction

from hub.energy.components import Basis, Capacity, Component, Discount, Energy, Kind, Limit, Tax, Tier
from hub.energy.money import E8, MWH_PER_KWH, decimal_text


def unit_price(line: Component) -> Fraction | None:
    """The price that all slots of a line have; None where it has to be a mean."""
    match line:
        case Energy(formula=None):
            return Fraction(line.price_e8, E8)
        case Tax():
            return Fraction(line.per_kwh_e8, E8)
        case Discount():
            return -Fraction(line.per_kwh_e8, E8)
        case _:
            return None


def formula_text(line: Component) -> str:
    """The formula or the rule of a line with a price per kWh."""
    match line:
        case Energy(formula=None):
            return f"{decimal_text(Fraction(line.price_e8, E8), least=2, most=8)} per kWh"
        case Energy(formula=formula):
            return formula.text if formula else ""
        case Tax() | Discount():
            return f"{decimal_text(Fraction(line.per_kwh_e8, E8), least=2, most=8)} per kWh"
        case Limit():
            word = "at most" if line.kind is Kind.CAP else "at least"
            price = decimal_text(Fraction(line.per_kwh_e8, E8), least=2, most=8)
            which = "all lines before" if line.on is None else ", ".join(line.on)
            return f"{word} {price} per kWh of {which}{_first_text(line)}"
        case _:
            return ""


def _first_text(line: Limit) -> str:
    if line.up_to_mwh is None:
        return ""
    return (
        f", first {decimal_text(Fraction(line.up_to_mwh, MWH_PER_KWH), least=0, most=6)} kWh per {line.per}"
    )


def block_text(line: Tier, number: int) -> str:
    """From where to where a block of a tier reaches."""
    block = line.blocks[number]
    low = line.blocks[number - 1].limit_mwh if number else 0
    per = f"kWh a day, counted per {line.per}" if line.blocks[0].per_day else f"kWh per {line.per}"
    start = decimal_text(Fraction(low or 0, MWH_PER_KWH), least=0, most=6)
    if block.limit_mwh is None:
        return f"above {start} {per}"
    return f"{start} to {decimal_text(Fraction(block.limit_mwh, MWH_PER_KWH), least=0, most=6)} {per}"


def capacity_text(line: Capacity) -> str:
    """Price and basis of a capacity line."""
    price = f"{decimal_text(Fraction(line.price_e8, E8), least=2, most=8)} per kW and {line.per}"
    if line.steps:
        price = f"{len(line.steps)} steps per {line.per}"
    match line.basis:
        case Basis.CONTRACTED:
            return f"{price}, contracted power"
        case Basis.MEAN_OF_MONTHLY_PEAKS:
            return f"{price}, mean of the peaks of {line.months} months"
        case Basis.BILLING_DEMAND:
            ratchet = decimal_text(line.ratchet * 100, least=0, most=8)
            return (
                f"{price}, billing demand, at least {ratchet} % of the highest of {line.months} months before"
            )
        case Basis.MONTHLY_PEAK:
            highest = f"mean of the {line.top} highest" if line.top > 1 else "peak of the month"
            return f"{price}, {highest}"
