"""Devices, series and the discovery inbox: rows ↔ model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from hub.model.device import Device, DeviceInfo
from hub.model.series import Behaviour, Direction, Role, Series, SeriesInfo, SeriesNo
from hub.model.units import Quantity
from hub.storage import tables

_IGNORED_SOURCES = "discovery.ignored_sources"


def load_devices(conn: sa.Connection) -> list[Device]:
    """Every registered device."""
    columns = tables.devices.c
    rows = conn.execute(sa.select(tables.devices).order_by(columns.created_ms, columns.id)).mappings()
    return [_device(row) for row in rows]


def load_series(conn: sa.Connection) -> list[Series]:
    """Every registered series, by number."""
    rows = conn.execute(sa.select(tables.series).order_by(tables.series.c.no)).mappings()
    return [_series(row) for row in rows]


def read_series(conn: sa.Connection, number: int) -> Series | None:
    """One series by its number; None where it is gone."""
    row = conn.execute(sa.select(tables.series).where(tables.series.c.no == number)).mappings().first()
    return None if row is None else _series(row)


def save_device(conn: sa.Connection, device: Device) -> None:
    """Insert a device or replace its row."""
    values = asdict(device) | {"role": device.role.value}
    found = conn.execute(
        sa.update(tables.devices).where(tables.devices.c.id == device.id).values(values)
    ).rowcount
    if not found:
        conn.execute(sa.insert(tables.devices).values(values))


def insert_series(
    conn: sa.Connection, device_id: str, infos: Sequence[SeriesInfo], units: Sequence[str], created_ms: int
) -> list[Series]:
    """Register series of a device and return them with their new numbers."""
    made: list[Series] = []
    for info, unit in zip(infos, units, strict=True):
        values = {
            "device_id": device_id,
            "key": info.key,
            "quantity": info.quantity.value,
            "unit": unit,
            "behaviour": info.behaviour.value,
            "direction": info.direction.value,
            "name": info.name,
            "register_width": info.register_width,
            "resolution": info.resolution,
            "physical_limit": info.physical_limit,
            "interval_ms": info.interval_ms,
            "sent_unit": info.unit or "",
            "in_balance": True,
            "created_ms": created_ms,
        }
        key = conn.execute(sa.insert(tables.series).values(values)).inserted_primary_key
        assert key is not None
        made.append(_series(values | {"no": key[0]}))
    return made


def update_series(conn: sa.Connection, series: Series) -> None:
    """Save what people may change of a series."""
    names = ("name", "register_width", "resolution", "physical_limit", "in_balance")
    values = {name: getattr(series, name) for name in names}
    conn.execute(sa.update(tables.series).where(tables.series.c.no == series.no).values(values))


def delete_device(conn: sa.Connection, device_id: str) -> None:
    """Forget a device and its series; their readings stay under numbers that nobody names any more."""
    conn.execute(sa.delete(tables.series).where(tables.series.c.device_id == device_id))
    conn.execute(sa.delete(tables.devices).where(tables.devices.c.id == device_id))


def load_inbox(conn: sa.Connection) -> list[dict[str, Any]]:
    """Rows of the inbox with ``device`` and ``series`` as model objects."""
    rows = conn.execute(sa.select(tables.inbox).order_by(tables.inbox.c.first_ms)).mappings()
    return [
        {
            "device": device_info(row["info"]),
            "entry_id": row["entry_id"],
            "domain": row["domain"],
            "series": [series_info(one) for one in row["series"]],
            "sample": row["sample"],
            "first_ms": row["first_ms"],
            "last_ms": row["last_ms"],
            "count": row["count"],
            "state": row["state"],
        }
        for row in rows
    ]


def save_inbox(conn: sa.Connection, device_id: str, values: dict[str, Any]) -> None:
    """Insert or replace one item; ``info`` and ``series`` are given as plain JSON."""
    conn.execute(sa.delete(tables.inbox).where(tables.inbox.c.device_id == device_id))
    conn.execute(sa.insert(tables.inbox).values(values | {"device_id": device_id}))


def delete_inbox(conn: sa.Connection, device_id: str) -> None:
    """Take an item out of the inbox."""
    conn.execute(sa.delete(tables.inbox).where(tables.inbox.c.device_id == device_id))


def load_setting(conn: sa.Connection, key: str) -> Any:
    """JSON value of a setting, ``None`` where it was never set."""
    return conn.execute(sa.select(tables.settings.c.value).where(tables.settings.c.key == key)).scalar()


def save_setting(conn: sa.Connection, key: str, value: Any) -> None:
    """Insert or replace a setting."""
    conn.execute(sa.delete(tables.settings).where(tables.settings.c.key == key))
    conn.execute(sa.insert(tables.settings).values(key=key, value=value))


def load_ignored_sources(conn: sa.Connection) -> set[str]:
    """Entries whose discoveries nobody wants to see."""
    return set(load_setting(conn, _IGNORED_SOURCES) or ())


def save_ignored_sources(conn: sa.Connection, sources: set[str]) -> None:
    """Replace the list of :func:`load_ignored_sources`."""
    save_setting(conn, _IGNORED_SOURCES, sorted(sources))


def device_info(plain: dict[str, Any]) -> DeviceInfo:
    """From the JSON of :func:`plain_device`."""
    return DeviceInfo(**plain | {"role": Role(plain["role"]) if plain.get("role") else None})


def series_info(plain: dict[str, Any]) -> SeriesInfo:
    """From the JSON of :func:`plain_series`."""
    return SeriesInfo(
        **plain
        | {
            "quantity": Quantity(plain["quantity"]),
            "behaviour": Behaviour(plain["behaviour"]),
            "direction": Direction(plain["direction"]),
        }
    )


def plain_device(info: DeviceInfo) -> dict[str, Any]:
    """As JSON."""
    return asdict(info) | {"role": info.role.value if info.role else None}


def plain_series(info: SeriesInfo) -> dict[str, Any]:
    """As JSON."""
    return asdict(info) | {
        "quantity": info.quantity.value,
        "behaviour": info.behaviour.value,
        "direction": info.direction.value,
    }


def _device(row: Any) -> Device:
    return Device(**{name: row[name] for name in Device.__slots__} | {"role": Role(row["role"])})


def _series(row: Any) -> Series:
    return Series(
        no=SeriesNo(row["no"]),
        device_id=row["device_id"],
        key=row["key"],
        quantity=Quantity(row["quantity"]),
        unit=row["unit"],
        behaviour=Behaviour(row["behaviour"]),
        direction=Direction(row["direction"]),
        name=row["name"],
        register_width=row["register_width"],
        resolution=row["resolution"],
        physical_limit=row["physical_limit"],
        interval_ms=row["interval_ms"],
        in_balance=bool(row["in_balance"]),
        sent_unit=row["sent_unit"],
    )
