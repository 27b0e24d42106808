"""Answers about energy → the JSON of the API and the columns of its exports; figures come from ``hub.energy``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from hub.actors.energy_months import HOUR_FLOWS, Hours
from hub.actors.energy_requests import EnergySums, MediaFound
from hub.energy.asked import Asked
from hub.energy.calendar import Buckets, label_of
from hub.energy.figures import (
    FLOWS,
    Money,
    carbon_rows,
    comparison_json,
    energies,
    house_uses,
    kg,
    kwh_text,
    money_rows,
    self_sufficiency,
    summary_json,
    wh,
)
from hub.energy.flows import devices_json
from hub.energy.sessions import Session
from hub.energy.site_balance import Source
from hub.energy.site_sums import SiteSums
from hub.model.quality import Quality
from web.energy_table import Column
from web.serialize import shares_text

SOURCES = tuple(source.name.lower() for source in Source)


def head(zone: str, currency: str, asked: Asked) -> dict[str, Any]:
    """What every answer says of itself: the period, its zone, and the units."""
    found: dict[str, Any] = {
        "period": asked.period,
        "start": _label(zone, asked.start_ms),
        "end": _label(zone, asked.end_ms),
        "time_zone": zone,
        "unit": {"energy": "Wh", "power": "W", "money": currency, "co2": "kg"},
    }
    return found | ({"note": asked.note} if asked.note else {})


def _label(zone: str, ts_ms: int) -> str:
    return label_of(zone, ts_ms).replace(".000", "")


def summary(found: EnergySums, zone: str) -> dict[str, Any]:
    """Figures of the whole range."""
    result = summary_json(found.whole, 0, found.now_ms)
    if result["peak"] is not None:
        result["peak"]["start"] = _label(zone, result["peak"].pop("ts"))
    return result


def compared(mine: EnergySums, other: EnergySums, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Another period beside the first, and whether the difference means anything."""
    return {**figures, **comparison_json(mine.whole, other.whole, mine.now_ms)}


def balance(found: EnergySums, zone: str, resolution: str) -> dict[str, Any]:
    """Columns with one entry per bucket."""
    sums, grid = found.sums, found.grid
    result: dict[str, Any] = {
        "resolution": resolution,
        "buckets": list(grid.label),
        "flows": {name: energies(sums, name) for name in FLOWS},
        "use_from": _fed(sums, house_uses(sums)),
        "export_from": _fed(sums, [0]),
        "charge_from": _fed(sums, [1]),
        "devices": _device_columns(sums),
        **_money_columns(sums),
        "self_sufficiency": self_sufficiency(sums),
        "quality": [None if one is None else one.as_json() for one in _qualities(found)],
        "total": summary(found, zone),
    }
    if found.partial:
        result["partial"] = [grid.label[at] for at in found.partial]
    return result


def _fed(sums: SiteSums, rows: Sequence[int]) -> dict[str, list[float | None]]:
    told = (sums.seen.sum(axis=0) > 0).tolist()
    parts = sums.fed_mwh[:, list(rows)].sum(axis=1)
    return {
        name: [wh(value) if known else None for value, known in zip(parts[source], told, strict=True)]
        for source, name in enumerate(SOURCES)
    }


def _device_columns(sums: SiteSums) -> dict[str, list[float | None]]:
    """What each device uses itself, without the meters behind it."""
    rows: dict[str, list[int]] = {}
    for at, use in enumerate(sums.uses):
        if use.device:
            rows.setdefault(use.device, []).append(at)
    result = {}
    for row, meter in enumerate(sums.meters):
        if meter.device in rows:
            used = sums.fed_mwh[:, rows[meter.device]].sum(axis=(0, 1))
            seen = (sums.seen[row] > 0).tolist()
            result[meter.device] = [
                wh(value) if known else None for value, known in zip(used, seen, strict=True)
            ]
    return result


def _money_columns(sums: SiteSums) -> dict[str, Any]:
    told = (sums.seen.sum(axis=0) > 0).tolist()
    money = [one if known else None for one, known in zip(money_rows(sums), told, strict=True)]
    carbon = [one if known else None for one, known in zip(carbon_rows(sums), told, strict=True)]
    names = ("import", "export", "net", "pending_kwh", "export_pending_kwh")
    return {
        "cost": {name: [None if one is None else one[name] for one in money] for name in names},
        "co2": [None if one is None else one["kg"] for one in carbon],
    }


def _qualities(found: EnergySums) -> list[Quality | None]:
    """Of all meters; None where a bucket has not begun."""
    sums, rows = found.sums, range(len(found.sums.meters))
    return [
        sums.quality(at, rows, found.now_ms) if start_ms < found.now_ms else None
        for at, start_ms in enumerate(sums.start_ms.tolist())
    ]


def balance_table(found: EnergySums) -> list[Column]:
    """One row per bucket; energy in Wh, power of nothing, quality at the end."""
    sums = found.sums
    money = _money_columns(sums)
    return [
        Column("start", found.grid.start_ms.tolist(), "time", found.grid.label),
        *(Column(f"{name}_wh", energies(sums, name)) for name in FLOWS),
        *(Column(f"use_from_{name}_wh", cells) for name, cells in _fed(sums, house_uses(sums)).items()),
        *(Column(f"{name}_wh", cells) for name, cells in _device_columns(sums).items()),
        Column("cost", money["cost"]["net"]),
        Column("pending_kwh", money["cost"]["pending_kwh"]),
        Column("co2_kg", money["co2"]),
        Column("quality", [_quality_text(one) for one in _qualities(found)], "text"),
    ]


def _quality_text(quality: Quality | None) -> str | None:
    if quality is None:
        return None
    return shares_text(quality.as_json())


def devices_table(found: EnergySums, names: Mapping[str, str]) -> list[Column]:
    """One row per device, then the rest of the site; energy in Wh."""
    lines = devices_json(found.whole, found.now_ms)
    nothing: dict[str, Any] = {"device": None, "role": None, "parent": None, "metered": None, "quality": {}}
    rest = ("not_measured", "export", "battery_loss", "stock_change")
    rows = [*lines["devices"], *({**nothing, "role": name, "sources": {}, **lines[name]} for name in rest)]
    quality = [shares_text(row["quality"]) for row in rows]
    return [
        Column("device", [row["device"] for row in rows], "text"),
        Column("name", [names.get(row["device"] or "", "") for row in rows], "text"),
        Column("role", [row["role"] for row in rows], "text"),
        Column("parent", [row["parent"] for row in rows], "text"),
        Column("metered_wh", [row["metered"] for row in rows]),
        Column("energy_wh", [row["energy"] for row in rows]),
        *(Column(f"from_{name}_wh", [row["sources"].get(name) for row in rows]) for name in SOURCES),
        Column("cost", [row["cost"] for row in rows]),
        Column("pending_kwh", [row["pending_kwh"] for row in rows]),
        Column("co2_kg", [row["co2"] for row in rows]),
        Column("quality", quality, "text"),
    ]


def heatmap(hours: Sequence[Hours], flow: str, asked: Asked) -> dict[str, Any]:
    """Energy of every day, and the mean power of every hour of the week, of what was known."""
    row = HOUR_FLOWS.index(flow)
    labels = [label for month in hours for label in month.buckets.label]
    energy, seen, start_ms, end_ms = (
        np.concatenate(parts) if parts else np.empty(0, np.int64)
        for parts in zip(
            *((one.flows_mwh[row], one.seen, one.buckets.start_ms, one.buckets.end_ms) for one in hours),
            strict=True,
        )
    )
    inside = (start_ms >= asked.start_ms) & (start_ms < asked.end_ms)
    days: dict[str, list[int]] = {}
    week = np.zeros((2, 7, 24), np.int64)
    for at in np.flatnonzero(inside).tolist():
        label = labels[at]
        day = days.setdefault(label[:10], [0, 0])
        day[0] += int(energy[at])
        day[1] += int(seen[at])
        if seen[at]:
            moment = datetime.fromisoformat(label)
            week[:, moment.weekday(), moment.hour] += int(energy[at]), int(end_ms[at] - start_ms[at])
    return {
        "flow": flow,
        "days": {
            "date": list(days),
            "energy": [wh(total) if known else None for total, known in days.values()],
        },
        "hours": [
            [round(int(total) * 3600 / int(length), 3) if length else None
             for total, length in zip(week[0, day], week[1, day], strict=True)]
            for day in range(7)
        ],
    }  # fmt: skip


def session(one: Session, zone: str) -> dict[str, Any]:
    """A charging session."""
    return {
        "device": one.device,
        "start": _label(zone, one.start_ms),
        "end": _label(zone, one.end_ms),
        "energy": wh(one.energy_mwh),
        "sources": {name: wh(part) for name, part in zip(SOURCES, one.fed_mwh, strict=True)},
        "solar_share": round(one.solar_share, 6),
        "cost": Money(one.cost, one.unpriced_mwh).text(),
        "pending_kwh": kwh_text(one.unpriced_mwh),
        "co2": kg(one.co2) if one.co2 or not one.uncounted_mwh else None,
        "peak_power": round(one.peak_w, 3),
        "running": one.running,
    }


def media(found: MediaFound, resolution: str) -> dict[str, Any]:
    """Gas, water and heat by buckets; volumes in m3, energy in Wh."""
    return {
        "resolution": resolution,
        "buckets": list(found.grid.label),
        "meters": [
            {
                "device": one.meter.device,
                "medium": one.meter.medium,
                "volume": None if one.meter.medium == "heat" else _known(one.amount, one.known, 1e6),
                "energy": None if one.energy_mwh is None else _known(one.energy_mwh, one.known, 1000),
                "quality": _media_quality(one, found.grid, found.now_ms),
            }
            for one in found.media
        ],
        "heat_pumps": [
            {
                "device": one.device,
                "heat": wh(one.heat_mwh),
                "electricity": wh(one.electric_mwh),
                "cop": one.cop,
            }
            for one in found.heat_pumps
        ],
    }


def _known(values: Any, known: Any, divisor: float) -> list[float | None]:
    return [int(one) / divisor if told else None for one, told in zip(values, known.tolist(), strict=True)]


def _media_quality(one: Any, grid: Buckets, now_ms: int) -> list[dict[str, object] | None]:
    borders = zip(grid.start_ms.tolist(), grid.end_ms.tolist(), strict=True)
    return [
        one.quality(at, start_ms, min(end_ms, now_ms)).as_json() if start_ms < now_ms else None
        for at, (start_ms, end_ms) in enumerate(borders)
    ]
