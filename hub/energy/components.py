"""The lines of a tariff, one class per kind; prices are 1e-8 currency, energy mWh, power mW."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from hub.energy.formula import Formula
from hub.energy.when import ALWAYS, Times


class Kind(StrEnum):
    """What a line charges for."""

    ENERGY = "energy"
    TIER = "tier"
    STANDING = "standing"
    CAPACITY = "capacity"
    TAX = "tax"
    CAP = "cap"
    FLOOR = "floor"
    DISCOUNT = "discount"


class Per(StrEnum):
    """A period of the site's calendar."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Basis(StrEnum):
    """Which power a capacity charge is about."""

    MONTHLY_PEAK = "monthly_peak"
    MEAN_OF_MONTHLY_PEAKS = "mean_of_monthly_peaks"
    BILLING_DEMAND = "billing_demand"
    CONTRACTED = "contracted"


@dataclass(frozen=True, slots=True)
class Energy:
    """A price, or a formula over price series, per kWh; ``when`` is None for *otherwise*."""

    name: str
    group: str = ""
    price_e8: int = 0
    formula: Formula | None = None
    when: Times | None = ALWAYS

    kind = Kind.ENERGY


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a tier, up to ``limit_mwh`` (None: all that is left), which may count per day of the period.

    For a step of a capacity charge the limit is in mW, and the price is for the whole step.
    """

    price_e8: int
    limit_mwh: int | None = None
    per_day: bool = False


@dataclass(frozen=True, slots=True)
class Tier:
    """Blocks per period. With ``prorate`` a period that the bill or a version cuts has limits by its days."""

    name: str
    per: Per
    blocks: tuple[Block, ...]
    when: Times = ALWAYS
    prorate: bool = False

    kind = Kind.TIER


@dataclass(frozen=True, slots=True)
class Standing:
    """A fixed amount per day, month or year, by days where a period is cut."""

    name: str
    price_e8: int
    per: Per

    kind = Kind.STANDING


@dataclass(frozen=True, slots=True)
class Capacity:
    """A price per kW. ``months`` is how far a mean or a ratchet looks; ``top`` how many highest intervals are meant.

    ``ratchet`` is the share of the highest peak of the ``months`` before that is billed at least. With ``steps``
    the price is that of the step in which the power lies, whatever it is inside of it.
    """

    name: str
    price_e8: int
    per: Per
    basis: Basis
    months: int = 12
    minimum_mw: int = 0
    contracted_mw: int = 0
    ratchet: Fraction = Fraction(0)
    when: Times = ALWAYS
    interval_minutes: int = 15
    top: int = 1
    different_days: bool = False
    steps: tuple[Block, ...] = ()

    kind = Kind.CAPACITY


@dataclass(frozen=True, slots=True)
class Tax:
    """A share of earlier lines, or an amount per kWh. ``on`` None means all lines before it."""

    name: str
    share: Fraction | None = None
    per_kwh_e8: int = 0
    on: tuple[str, ...] | None = None
    when: Times = ALWAYS

    kind = Kind.TAX


@dataclass(frozen=True, slots=True)
class Limit:
    """A cap or a floor on the sum of prices per kWh, for the first ``up_to_mwh`` of a period or for all."""

    name: str
    kind: Kind
    per_kwh_e8: int
    on: tuple[str, ...] | None = None
    when: Times = ALWAYS
    up_to_mwh: int | None = None
    per: Per = Per.YEAR


@dataclass(frozen=True, slots=True)
class Discount:
    """A share of earlier lines, an amount per kWh, or a fixed amount per period; taken off."""

    name: str
    share: Fraction | None = None
    per_kwh_e8: int = 0
    fixed_e8: int = 0
    per: Per | None = None
    on: tuple[str, ...] | None = None
    when: Times = ALWAYS

    kind = Kind.DISCOUNT


Component = Energy | Tier | Standing | Capacity | Tax | Limit | Discount
