"""What may be changed of a device, by its own reports and by people; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hub.errors import Refused
from hub.model.device import Device, DeviceInfo
from hub.model.series import Role


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
