"""Sums of a site → the figures that people read: energy in Wh, shares, money as text, CO2 in kg, and how sure.

Nothing is known is told as None, never as 0: energy of a role of which no meter was heard, money of energy whose
price is not known yet (*pending*).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any, Final

import numpy as np

from hub.energy.exact import Ints
from hub.energy.site_balance import RESIDUALS, Source, UseKind
from hub.energy.site_meters import CONSUMERS
from hub.energy.site_sums import SiteSums
from hub.energy.slots import SLOT_MS
from hub.energy.stock import CARRIED
from hub.model.quality import Quality
from hub.model.series import Role

COMPARABLE_SHARE: Final = 0.95
"""Below this share of complete time no saving is told."""
FLOWS: Final = (
    "use", "import", "export", "production", "charge", "discharge", "battery_loss", "stock_change",
    "not_measured", "other_source",
)  # fmt: skip
_ROLE_OF: Final = {
    "import": Role.GRID, "export": Role.GRID, "production": Role.SOLAR, "charge": Role.BATTERY,
    "discharge": Role.BATTERY, "battery_loss": Role.BATTERY, "stock_change": Role.BATTERY,
}  # fmt: skip
_ENOUGH: Final = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in 1e-14 of the currency, and the mWh that have no price yet."""

    amount: int
    pending_mwh: int

    def text(self) -> str | None:
        """Exact decimal text; None where nothing has a price yet and something waits for one."""
        return None if self.pending_mwh and not self.amount else money_text(self.amount)


def money_text(amount: int) -> str:
    """1e-14 of the currency → exact decimal text with at least two decimals: ``12.34``, ``0.0312``."""
    exact = _ENOUGH.scaleb(Decimal(int(amount)), -14)
    text = f"{exact:f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole or '0'}.{decimals:<02}"


def kwh_text(mwh: int) -> str:
    """mWh → kWh as exact decimal text."""
    text = f"{_ENOUGH.scaleb(Decimal(int(mwh)), -6):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def wh(mwh: Any) -> float:
    """mWh → Wh."""
    return int(mwh) / 1000


def kg(ng: Any) -> float:
    """ng → kg."""
    return int(ng) / 1e12


def house_uses(sums: SiteSums) -> list[int]:
    """Rows of what is used in the house: all but export and charging."""
    return [at for at, use in enumerate(sums.uses) if use.kind not in (UseKind.EXPORT, UseKind.CHARGE)]


def flow_mwh(sums: SiteSums, name: str) -> Ints:
    """One of :data:`FLOWS`, per bucket."""
    fed = sums.fed_mwh
    match name:
        case "use":
            return np.asarray(fed[:, house_uses(sums)].sum(axis=(0, 1)))
        case "import":
            return np.asarray(fed[Source.GRID].sum(axis=0))
        case "production":
            return np.asarray(fed[Source.SOLAR].sum(axis=0))
        case "discharge":
            return np.asarray(fed[Source.BATTERY].sum(axis=0))
        case "other_source":
            return np.asarray(fed[Source.OTHER].sum(axis=0))
        case "export":
            return np.asarray(fed[:, 0].sum(axis=0))
        case "charge":
            return np.asarray(fed[:, 1].sum(axis=0))
        case "not_measured":
            return np.asarray(fed[:, -1].sum(axis=0))
        case "battery_loss":
            return np.asarray(sums.lost[0])
        case _:
            return np.asarray(sums.change[0])


def meters_of(sums: SiteSums, name: str) -> list[int]:
    """Rows of the devices that tell a flow; all of them for what follows from all."""
    role = _ROLE_OF.get(name)
    if role is None:
        return list(range(len(sums.meters)))
    rows = sums.rows(role)
    if name == "production" and not rows:
        return [at for at in sums.rows(*CONSUMERS) if sums.give_mwh[at].any()]
    return rows


def is_told(sums: SiteSums, name: str) -> Any:
    """Per bucket, whether any meter of a flow was heard."""
    rows = meters_of(sums, name)
    return sums.seen[rows].sum(axis=0) > 0


def energies(sums: SiteSums, name: str) -> list[float | None]:
    """A flow in Wh per bucket, None where no meter of it was heard."""
    told = is_told(sums, name).tolist()
    return [wh(value) if known else None for value, known in zip(flow_mwh(sums, name), told, strict=True)]


def quality_of(sums: SiteSums, bucket: int, name: str, now_ms: int) -> Quality:
    """How well the meters of a flow are known in a bucket."""
    return sums.quality(bucket, meters_of(sums, name), now_ms)


def complete_share(sums: SiteSums, bucket: int, now_ms: int) -> float:
    """Share of the time of all meters that was measured or came late."""
    quality = sums.quality(bucket, range(len(sums.meters)), now_ms)
    return round(quality.measured + quality.late, 6)


def export_money(sums: SiteSums, bucket: int) -> Money:
    """What export earned; below zero, as on a bill."""
    return Money(-int(sums.revenue[bucket]), int(sums.unsold_mwh[bucket]))


def money_rows(sums: SiteSums) -> list[dict[str, Any]]:
    """Per bucket the cost of the grid, earnings of export, and their sum; ``pending_kwh`` waits for its price."""
    columns = (
        (sums.seen > 0).any(axis=0),
        sums.import_cost,
        _pending(sums.unpriced_mwh, sums, "unpriced"),
        sums.revenue,
        sums.unsold_mwh,
    )
    return [_money_row(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _money_row(told: bool, cost: int, pending: int, revenue: int, unsold: int) -> dict[str, Any]:
    if not told:
        return {"import": None, "export": None, "net": None, "pending_kwh": "0", "export_pending_kwh": "0"}
    bought, sold = Money(cost, pending), Money(-revenue, unsold)
    texts = bought.text(), sold.text()
    known = [one.amount for one, text in zip((bought, sold), texts, strict=True) if text is not None]
    return {
        "import": texts[0],
        "export": texts[1],
        "net": money_text(sum(known)) if texts[0] is not None else None,
        "pending_kwh": kwh_text(pending),
        "export_pending_kwh": kwh_text(unsold),
    }


def carbon_rows(sums: SiteSums) -> list[dict[str, Any]]:
    """Per bucket the CO2 of the grid's energy in kg, and the energy whose carbon intensity is not known."""
    columns = (
        (sums.seen > 0).any(axis=0), sums.import_co2, _pending(sums.uncounted_mwh, sums, "uncounted"),
    )  # fmt: skip
    return [
        {"kg": kg(emitted) if emitted or (told and not pending) else None, "pending_kwh": kwh_text(pending)}
        for told, emitted, pending in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _pending(column: Ints, sums: SiteSums, what: str) -> Ints:
    """What went into the battery counts once: charging is a use, and comes out again as others."""
    row = 1 + CARRIED.index(what)
    pending: Ints = np.maximum(column.sum(axis=0) + sums.lost[row] + sums.change[row] - column[1], 0)
    return pending


def self_sufficiency(sums: SiteSums) -> list[float | None]:
    """Per bucket the share of the use that did not come from the grid, neither at once nor through a battery."""
    rows = house_uses(sums)
    used = sums.fed_mwh[:, rows].sum(axis=(0, 1))
    foreign = sums.from_grid_mwh[rows].sum(axis=0) + sums.fed_mwh[Source.OTHER, rows].sum(axis=0)
    return [
        round(min(max(1 - part / whole, 0.0), 1.0), 6) if whole else None
        for part, whole in zip(foreign.tolist(), used.tolist(), strict=True)
    ]


def self_consumption(sums: SiteSums, bucket: int) -> float | None:
    """Share of the production that was not exported, neither at once nor through a battery."""
    produced = int(sums.fed_mwh[Source.SOLAR, :, bucket].sum())
    if not produced:
        return None
    stored = int(sums.fed_mwh[Source.BATTERY, 0, bucket])
    from_grid = int(sums.from_grid_mwh[0, bucket]) - int(sums.fed_mwh[Source.GRID, 0, bucket])
    away = int(sums.fed_mwh[Source.SOLAR, 0, bucket]) + max(stored - from_grid, 0)
    return round(min(max(1 - away / produced, 0.0), 1.0), 6)


def peak_json(sums: SiteSums, bucket: int) -> dict[str, Any] | None:
    """The largest import of a quarter of an hour as a mean power, and when it began (epoch ms)."""
    energy = int(sums.peak_mwh[bucket])
    if not energy:
        return None
    return {"power": energy * 3_600_000 / SLOT_MS / 1000, "ts": int(sums.peak_ms[bucket])}


def residuals_json(sums: SiteSums, bucket: int) -> dict[str, float]:
    """Sources that no meter shows, by reason, and use that none shows; only those that are there, in Wh."""
    found = {
        reason.value: wh(sums.residual_mwh[at, bucket])
        for at, reason in enumerate(RESIDUALS)
        if sums.residual_mwh[at, bucket]
    }
    missing = [at for at, use in enumerate(sums.uses) if use.kind is UseKind.MISSING_CHILD]
    hidden = int(sums.fed_mwh[:, missing, bucket].sum()) if missing else 0
    if hidden:
        found[UseKind.MISSING_CHILD.value] = wh(hidden)
    if open_mwh := int(flow_mwh(sums, "not_measured")[bucket]):
        found["not_measured"] = wh(open_mwh)
    if opening := int(sums.opening_mwh[bucket]):
        found["opening_stock"] = wh(opening)
    return found


def summary_json(sums: SiteSums, bucket: int, now_ms: int) -> dict[str, Any]:
    """All figures of one bucket."""
    return {
        "figures": {
            name: {
                "energy": energies(sums, name)[bucket],
                "quality": quality_of(sums, bucket, name, now_ms).as_json(),
            }
            for name in FLOWS
        },
        "self_sufficiency": self_sufficiency(sums)[bucket],
        "self_consumption": self_consumption(sums, bucket),
        "cost": money_rows(sums)[bucket],
        "co2": carbon_rows(sums)[bucket],
        "peak": peak_json(sums, bucket),
        "residuals": residuals_json(sums, bucket),
        "complete": complete_share(sums, bucket, now_ms),
    }


def comparison_json(mine: SiteSums, other: SiteSums, now_ms: int) -> dict[str, Any]:
    """Whether two whole periods may be compared, and the differences (this less that) where they may."""
    shares = complete_share(mine, 0, now_ms), complete_share(other, 0, now_ms)
    why = _why_not(shares)
    result: dict[str, Any] = {"comparable": why is None, "why": why}
    if why is None:
        result["change"] = {
            name: round(a - b, 3) + 0.0  # whole mWh, and no negative zero
            for name in FLOWS
            if (a := energies(mine, name)[0]) is not None and (b := energies(other, name)[0]) is not None
        }
    return result


def _why_not(shares: Sequence[float]) -> str | None:
    names = ("this period", "the other period")
    low = [
        f"{name} is {share:.0%} complete"
        for name, share in zip(names, shares, strict=True)
        if share < COMPARABLE_SHARE
    ]
    return f"{' and '.join(low)}; {COMPARABLE_SHARE:.0%} is needed" if low else None
