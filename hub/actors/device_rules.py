"""What may be changed of a device, by its own reports and by people; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hub.errors import Refused
from hub.model.device import Device, DeviceInfo
from hub.model.names import DEVICE_ID, SERIES_KEY, is_printable, printable
from hub.model.series import Role, SeriesInfo

_TEXTS = ("name", "kind", "maker", "model", "firmware", "serial", "area", "parent")


def told_of_device(info: DeviceInfo) -> DeviceInfo:
    """What an integration says of a device, in texts that can be stored and shown.

    Raises:
        Refused: ``WL-ING-010``, its id is none.
    """
    if not DEVICE_ID.match(info.id):
        raise Refused("WL-ING-010", f"{info.id[:80]!r} is no device id", where="device")
    strange: dict[str, Any] = {
        name: printable(text)
        for name in _TEXTS
        if (text := getattr(info, name)) is not None and not is_printable(text)
    }
    return replace(info, **strange) if strange else info


def told_of_series(info: SeriesInfo) -> SeriesInfo:
    """The same for a series.

    Raises:
        Refused: ``WL-ING-011``, its key is none; ``WL-ING-020``, its unit is no text.
    """
    if not SERIES_KEY.match(info.key):
        raise Refused("WL-ING-011", f"{info.key[:80]!r} is no series key", where="series")
    if info.unit is not None and not is_printable(info.unit):
        raise Refused("WL-ING-020", f"{info.unit[:24]!r} is no unit", where=info.key)
    return info if is_printable(info.name) else replace(info, name=printable(info.name))


def merged(before: Device | None, info: DeviceInfo, entry_id: str, now_ms: int) -> Device:
    """Facts of the hardware follow the device; what a person may edit is only filled, never overwritten."""
    if before is None:
        return Device(
            id=info.id,
            name=info.name or info.id,
            integration=entry_id,
            kind=info.kind,
            maker=info.maker,
            model=info.model,
            firmware=info.firmware,
            serial=info.serial,
            role=info.role or Role.NONE,
            area=info.area,
            parent=info.parent,
            created_ms=now_ms,
        )
    return replace(
        before,
        name=info.name if info.name and before.name == before.id else before.name,
        integration=before.integration or entry_id,
        kind=info.kind or before.kind,
        maker=info.maker or before.maker,
        model=info.model or before.model,
        firmware=info.firmware or before.firmware,
        serial=info.serial or before.serial,
        role=info.role if info.role and before.role is Role.NONE else before.role,
        area=before.area or info.area,
        parent=before.parent or info.parent,
    )


def checked_changes(changes: Mapping[str, str | None]) -> dict[str, Any]:
    """Values of a patch as the model wants them; an unknown field or role is refused."""
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        match name:
            case _ if value is not None and not is_printable(value):
                raise Refused("WL-DEV-001", f"{name} holds what cannot be printed", where=name)
            case "name" if value and len(value) <= 200:
                checked["name"] = value
            case "role" if value in {role.value for role in Role}:
                checked["role"] = Role(value)
            case "area" | "parent":
                checked[name] = value or None
            case _:
                raise Refused(
                    "WL-DEV-001",
                    f"{name} cannot be {value!r}"[:120],
                    where=name,
                    hint="name, role, area and parent can be changed; roles are "
                    + ", ".join(role.value for role in Role),
                )
    return checked
