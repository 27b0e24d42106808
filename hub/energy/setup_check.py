"""Does the house look wired as it is configured? Faults of roles, signs and trees, named from some days of slots.

A hypothesis is tried by turning the columns as it says and balancing again: where the energy that has no
explanation all but goes away, it is proposed, with the numbers of both. Nothing is changed by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final

import numpy as np

from hub.energy.site_balance import RESIDUALS, Residual, balance
from hub.energy.site_meters import CONSUMERS
from hub.energy.site_slots import SiteSlots
from hub.energy.slots import Int64
from hub.model.series import Role

LEAST_MWH: Final = 1_000_000
"""1 kWh: less says nothing."""
LEAST_SLOTS: Final = 24
BAD_SHARE: Final = 0.02
"""A fiftieth of what flows without an explanation is a fault, for meters that are out of step do not count."""
CURED: Final = 0.25
"""A hypothesis must leave less than this of the unexplained energy."""
_HARMLESS: Final = (Residual.METER_SKEW, Residual.MISSING_METER)
SAME_SHARE: Final = 0.02
EXCESS_SHARE: Final = 0.05
ONE_SIDED: Final = 20
STANDBY_MWH: Final = 50_000
"""200 W in a quarter of an hour: an inverter at night draws less."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One likely fault. ``evidence`` is in Wh unless its name says otherwise."""

    code: str
    devices: tuple[str, ...]
    text: str
    suggestion: str
    evidence: dict[str, float] = field(default_factory=dict)


def check_setup(site: SiteSlots) -> tuple[Finding, ...]:
    """What looks wrong about a site, the gravest first; nothing where all is well or too little is known."""
    found: list[Finding] = []
    for look in (
        _no_grid,
        _swapped_grid,
        _signs,
        _battery_signs,
        _inside,
        _same,
        _larger,
        _backwards,
        _silent,
    ):
        found += look(site)
    return tuple(found)


def _no_grid(site: SiteSlots) -> Iterator[Finding]:
    if site.meters and not site.rows(Role.GRID):
        yield Finding(
            "no_grid_meter", (), "No device has the role of the grid meter",
            "Give the meter at the connection of the house the role grid",
            {"energy_of_others": _wh(int(site.give_mwh.sum() + site.take_mwh.sum()))},
        )  # fmt: skip


def _swapped_grid(site: SiteSlots) -> Iterator[Finding]:
    for row in site.rows(Role.GRID):
        before, after, whole = _tried(site, _turned(site, row))
        if _cures(before, after, whole):
            yield Finding(
                "grid_swapped", (site.meters[row].device,), "Import and export look swapped",
                "Exchange the two registers of the meter, or turn the sign of its power",
                {"unexplained": _wh(before), "unexplained_if_swapped": _wh(after),
                 "import": _total(site.give_mwh, row), "export": _total(site.take_mwh, row)},
            )  # fmt: skip


def _signs(site: SiteSlots) -> Iterator[Finding]:
    """A roof that mostly takes, or a consumer that mostly gives."""
    for row, meter in enumerate(site.meters):
        give, take = int(site.give_mwh[row].sum()), int(site.take_mwh[row].sum())
        evidence = {"given": _wh(give), "taken": _wh(take)}
        if meter.role is Role.SOLAR and _mostly(site.take_mwh[row], give):
            yield Finding(
                "wrong_sign", (meter.device,), "The solar meter shows use instead of production",
                "Turn its sign: production is above zero", evidence,
            )  # fmt: skip
        elif meter.role in CONSUMERS and _mostly(site.give_mwh[row], take):
            yield Finding(
                "wrong_sign", (meter.device,), "A consumer shows production instead of use",
                "Turn its sign, or give it the role solar if it is a panel", evidence,
            )  # fmt: skip


def _mostly(wrong: Int64, right: int) -> bool:
    """Whether a device shows nearly only the wrong side, and more than a standby under snow would."""
    whole = int(wrong.sum())
    return whole > LEAST_MWH and whole > ONE_SIDED * right and int(wrong.max()) > STANDBY_MWH


def _battery_signs(site: SiteSlots) -> Iterator[Finding]:
    for row in site.rows(Role.BATTERY):
        before, after, whole = _tried(site, _turned(site, row))
        against, along = _charge_against(site, row)
        by_charge = against > LEAST_MWH and against > 4 * along
        by_balance = _cures(before, after, whole) and not along > 4 * against
        if by_charge or by_balance:
            yield Finding(
                "battery_sign", (site.meters[row].device,), "Charging and discharging look swapped",
                "Turn the sign of the battery: discharging is above zero",
                {"unexplained": _wh(before), "unexplained_if_turned": _wh(after),
                 "moved_against_its_charge": _wh(against), "moved_with_its_charge": _wh(along)},
            )  # fmt: skip


def _inside(site: SiteSlots) -> Iterator[Finding]:
    """A roof behind a consumer's meter that does not say so: what it makes is missing there and counted twice."""
    for solar in site.rows(Role.SOLAR):
        if site.meters[solar].parent is not None:
            continue
        for row, meter in enumerate(site.meters):
            if meter.role not in CONSUMERS or _is_behind(site, row, site.meters[solar].device):
                continue
            before, after, whole = _tried(site, _hung(site, solar, meter.device), with_use=True)
            if _cures(before, after, whole) and before > site.give_mwh[solar].sum() * 0.5:
                yield Finding(
                    "solar_inside_meter", (site.meters[solar].device, meter.device),
                    "The solar meter is inside the house meter",
                    f"Set {meter.device} as the parent of {site.meters[solar].device}",
                    {"unexplained": _wh(before), "unexplained_if_inside": _wh(after),
                     "production": _total(site.give_mwh, solar), "metered": _total(site.take_mwh, row)},
                )  # fmt: skip


def _same(site: SiteSlots) -> Iterator[Finding]:
    """Two meters of one kind that show the same in every slot count one thing twice."""
    for one, other in combinations(range(len(site.meters)), 2):
        first, second = site.meters[one], site.meters[other]
        related = first.device == second.parent or second.device == first.parent
        if related or _kind(first.role) != _kind(second.role):
            continue
        both = site.known[one] & site.known[other]
        a, b = (_net(site, row)[both] for row in (one, other))
        moved, apart = int(np.abs(a).sum()), int(np.abs(a - b).sum())
        steady = len(np.unique(a)) < LEAST_SLOTS // 2
        if both.sum() < LEAST_SLOTS or moved < LEAST_MWH or steady or apart > SAME_SHARE * moved:
            continue
        yield Finding(
            "same_twice", (first.device, second.device), "Two meters count the same",
            "Take the role away from one, or make one the parent of the other",
            {"first": _wh(moved), "second": _wh(int(np.abs(b).sum())), "difference": _wh(apart)},
        )  # fmt: skip


def _larger(site: SiteSlots) -> Iterator[Finding]:
    """Meters that show more than the meter that should contain them."""
    for row, meter in enumerate(site.meters):
        behind = [at for at, one in enumerate(site.meters) if one.parent == meter.device]
        if not behind or meter.role not in CONSUMERS:
            continue
        known = site.known[row] & site.known[behind].all(axis=0)
        whole = _net(site, row)[known]
        parts = np.stack([_net(site, at)[known] for at in behind]).sum(axis=0)
        excess, size = int(np.maximum(parts - whole, 0).sum()), int(np.abs(whole).sum())
        if excess > max(LEAST_MWH // 2, EXCESS_SHARE * size):
            children = tuple(site.meters[at].device for at in behind)
            yield Finding(
                "submeter_larger", (meter.device, *children), "Sub-meters show more than their parent",
                f"Check that they really hang behind {meter.device}, and the factors of their transformers",
                {"parent": _wh(size), "sub_meters": _wh(int(parts.sum())), "excess": _wh(excess)},
            )  # fmt: skip


def _backwards(site: SiteSlots) -> Iterator[Finding]:
    for row, meter in enumerate(site.meters):
        wrong = int(site.wrong_mwh[row].sum())
        if wrong > LEAST_MWH // 10:
            yield Finding(
                "wrong_sign", (meter.device,), "A register that should only rise counted backwards",
                "Declare it as a signed amount, or turn its sign", {"backwards": _wh(wrong)},
            )  # fmt: skip


def _silent(site: SiteSlots) -> Iterator[Finding]:
    if not site.count or not site.known.any():
        return
    for row, meter in enumerate(site.meters):
        if not site.known[row].any():
            yield Finding(
                "silent", (meter.device,), "A device of the balance sent nothing",
                "Look after its connection, or take its role away", {"slots": float(site.count)},
            )  # fmt: skip


# --- trying


def _tried(site: SiteSlots, other: SiteSlots, *, with_use: bool = False) -> tuple[int, int, int]:
    """Unexplained energy as it is and as it would be, and what flows; ``with_use`` counts use that none measures."""
    before, whole = _unexplained(site, with_use)
    return before, _unexplained(other, with_use)[0], whole


def _unexplained(site: SiteSlots, with_use: bool) -> tuple[int, int]:
    closed = balance(site)
    reasons = [at for at, reason in enumerate(RESIDUALS) if reason not in _HARMLESS]
    open_use = int(closed.used_mwh[-1].sum()) if with_use else 0
    return int(closed.residual_mwh[reasons].sum()) + open_use, int(closed.sources_mwh.sum())


def _cures(before: int, after: int, whole: int) -> bool:
    return before > max(LEAST_MWH, BAD_SHARE * whole) and after < CURED * before


def _turned(site: SiteSlots, row: int) -> SiteSlots:
    give, take = site.give_mwh.copy(), site.take_mwh.copy()
    give[row], take[row] = site.take_mwh[row], site.give_mwh[row]
    return replace(site, give_mwh=give, take_mwh=take)


def _hung(site: SiteSlots, row: int, parent: str) -> SiteSlots:
    meters = list(site.meters)
    meters[row] = replace(meters[row], parent=parent)
    return replace(site, meters=tuple(meters))


def _is_behind(site: SiteSlots, row: int, device: str) -> bool:
    """Whether a meter hangs behind a device, over however many others."""
    parents = {meter.device: meter.parent for meter in site.meters}
    at = site.meters[row].parent
    while at is not None and at != device:
        at = parents.get(at)
    return at is not None


def _charge_against(site: SiteSlots, row: int) -> tuple[int, int]:
    """Energy that moved against the state of charge, and with it, where that moved by at least half a percent."""
    rise = np.diff(site.soc, prepend=np.nan)
    net = _net(site, row)
    with np.errstate(invalid="ignore"):
        clear = np.abs(rise) >= 0.5
        against = clear & (np.sign(rise) * np.sign(net) < 0)
        along = clear & (np.sign(rise) * np.sign(net) > 0)
    return int(np.abs(net[against]).sum()), int(np.abs(net[along]).sum())


def _net(site: SiteSlots, row: int) -> Int64:
    net: Int64 = site.take_mwh[row] - site.give_mwh[row]
    return net


def _kind(role: Role) -> str:
    return "consumer" if role in CONSUMERS else role.value


def _total(columns: Int64, row: int) -> float:
    return _wh(int(columns[row].sum()))


def _wh(mwh: int) -> float:
    return mwh / 1000


def findings_json(found: Sequence[Finding]) -> list[dict[str, object]]:
    """Findings as the API shows them."""
    return [
        {
            "code": one.code,
            "devices": list(one.devices),
            "text": one.text,
            "suggestion": one.suggestion,
            "evidence": one.evidence,
        }
        for one in found
    ]
