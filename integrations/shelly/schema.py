"""What a user may write for a Shelly device."""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

import voluptuous as vol

from hub.plugins.api import Role, WattlineError, device_id

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h)?", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}


@runtime_checkable
class Revealing(Protocol):
    """A secret that shows itself only when asked."""

    def reveal(self) -> str:
        """The text."""


def duration_s(value: object) -> float:
    """``10``, ``0.5``, ``"5s"``, ``"500ms"``, ``"1min"`` → seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise vol.Invalid('expected seconds, or text such as "5s", "500ms" or "1min"')
    return float(found[1]) * _SECONDS[found[2] or "s"]


def whole(value: object) -> int:
    """A whole number or its decimal text (keys of a YAML mapping may be either)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return int(value)
    raise vol.Invalid("expected a whole number")


def host_name(value: object) -> str:
    """A host name or address without scheme, port or path; IPv6 with or without brackets."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._:\[\]-]{1,253}", value, re.ASCII):
        return value.strip("[]")
    raise vol.Invalid("expected a host name or an IP address, without port or path")


def named(value: object) -> str:
    """A device name that an id can be made of."""
    try:
        device_id(value if isinstance(value, str) else "")
    except WattlineError as error:
        raise vol.Invalid(error.message) from error
    return str(value)


def password(value: object) -> str | Revealing:
    """A text, or a secret that reveals one. Never part of an error message."""
    if isinstance(value, str | Revealing):
        return value
    raise vol.Invalid("expected a text; quote it, or use !secret")


_ROLE = vol.In([role.value for role in Role])

SCHEMA = vol.Schema(
    {
        vol.Required("host"): host_name,
        vol.Optional("port", default=80): vol.All(whole, vol.Range(min=1, max=65535)),
        vol.Optional("transport", default="auto"): vol.In(["auto", "http", "websocket"]),
        vol.Optional("interval", default=10.0): vol.All(duration_s, vol.Range(min=0.1, max=3600)),
        vol.Optional("timeout", default=5.0): vol.All(duration_s, vol.Range(min=0.05, max=60)),
        vol.Optional("password"): password,
        vol.Optional("id"): named,
        vol.Optional("name"): named,
        vol.Optional("role"): _ROLE,
        vol.Optional("area"): str,
        vol.Optional("reversed", default=False): bool,
        vol.Optional("channels", default=dict): {
            vol.All(whole, vol.Range(min=0, max=9999)): {
                vol.Optional("name"): named,
                vol.Optional("role"): _ROLE,
                vol.Optional("area"): str,
            }
        },
    }
)
"""``role`` belongs to channel 0, ``channels`` says what the others are. ``interval`` is the distance of full
status reads; a websocket brings changes between them. ``reversed`` turns the sign of powers and
swaps the import and export registers, for clamps put on the other way round and for solar behind a plug."""
