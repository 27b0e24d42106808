"""What may be asked about the energy of the site; answered by :class:`hub.actors.energy_desk.EnergyDesk`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from hub.actors.energy_months import Hours
from hub.energy.calendar import Buckets
from hub.energy.media import HeatPump, MediumSums
from hub.energy.sessions import Session
from hub.energy.setup_check import Finding
from hub.energy.site_slots import SiteSlots
from hub.energy.site_sums import SiteSums
from hub.runtime.actor import Request

T = TypeVar("T")


class EnergyRequest(Request[T]):
    """A question about the energy of the site; ``[start_ms, end_ms)`` of each is UTC epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class EnergySums:
    """Sums by the buckets of ``grid`` and of the whole range; ``partial`` are buckets that the range cuts."""

    grid: Buckets
    sums: SiteSums
    whole: SiteSums
    partial: tuple[int, ...]
    now_ms: int


@dataclass(frozen=True, slots=True)
class MediaFound:
    """Gas, water and heat by buckets, and how well heat pumps did over the whole range."""

    grid: Buckets
    media: tuple[MediumSums, ...]
    heat_pumps: tuple[HeatPump, ...]
    now_ms: int


@dataclass(frozen=True, slots=True)
class GetEnergySums(EnergyRequest[EnergySums]):
    """Balance, allocation, cost and CO2 by buckets. Raises Refused for an absurd range or resolution."""

    start_ms: int
    end_ms: int
    resolution: str


@dataclass(frozen=True, slots=True)
class GetSiteSlots(EnergyRequest[SiteSlots]):
    """The columns of the site as they were measured."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class GetEnergyHours(EnergyRequest[list[Hours]]):
    """Flows by local hour, of the months that touch the range."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class GetSessions(EnergyRequest[tuple[Session, ...]]):
    """Charging sessions of the cars; of one charger where ``device`` is named."""

    start_ms: int
    end_ms: int
    device: str | None = None


@dataclass(frozen=True, slots=True)
class GetMedia(EnergyRequest[MediaFound]):
    """Gas, water and heat by buckets."""

    start_ms: int
    end_ms: int
    resolution: str


@dataclass(frozen=True, slots=True)
class CheckSetup(EnergyRequest[tuple[Finding, ...]]):
    """Likely faults of roles, signs and trees."""

    start_ms: int
    end_ms: int


AnyEnergyRequest = EnergyRequest[Any]
