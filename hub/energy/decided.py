"""What the counter state machine says: intervals of energy, what was ignored, and what it leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hub.energy.slots import Int64
from hub.energy.windows import Bools
from hub.model.quality import Flag


class Why(StrEnum):
    """Why a change of the register was not booked."""

    JUMP = "jump"
    """it rose faster than physics allows, and stayed"""
    FALL = "fall"
    """it fell to a value that is neither near zero nor explained by its width, and stayed"""
    WAITING = "waiting"
    """the readings that decide have not come yet"""
    LIMIT = "limit"
    """a single value or amount beyond what the series allows"""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Energy kept aside: between readings ``opening`` and ``closing``, ``amount`` steps if the latter is right."""

    opening: int
    closing: int
    amount: int
    why: Why


@dataclass(frozen=True, slots=True)
class Decided:
    """What the machine made of the readings (positions are positions in its input).

    ``opening`` and ``closing`` readings bound an interval whose energy is ``amount`` steps; stretches without
    an interval have unknown energy. ``suspect`` readings were ignored; ``doubtful`` and ``estimated`` mark
    readings whose *time before* is suspect or estimated though they were taken over. ``flags`` are
    (reading, flag). ``good`` is the last accepted reading; while ``pending``, later readings may still change
    what stands after it. ``doubts`` is what only a person can decide, or readings to come.
    """

    opening: Int64
    closing: Int64
    amount: Int64
    suspect: Bools
    doubtful: tuple[int, ...]
    estimated: tuple[int, ...]
    flags: tuple[tuple[int, Flag], ...]
    good: int
    pending: bool
    doubts: tuple[Doubt, ...] = ()
