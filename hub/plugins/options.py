"""Validators that the options of many integrations need; they speak to the person who writes the YAML.

Each takes a value as YAML gives it, returns it as the integration wants it, and raises ``voluptuous.Invalid``
with a sentence that says what was expected.
"""

from __future__ import annotations

import re
from typing import Protocol, runtime_checkable

import voluptuous as vol

from hub.errors import WattlineError
from hub.model.names import device_id

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
    """A whole number, or its text in decimal or hexadecimal (``0x34``); keys of a mapping may be either."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,20}|0[xX][0-9a-fA-F]{1,16}", value, re.ASCII):
        return int(value, 0) if value[:2].lower() == "0x" else int(value)
    raise vol.Invalid("expected a whole number such as 52 or 0x34")


def host_name(value: object) -> str:
    """A host name or address without scheme, port or path; IPv6 with or without brackets, with or without zone."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._:\[\]%-]{1,253}", value, re.ASCII):
        return value.strip("[]")
    raise vol.Invalid("expected a host name or an IP address, without port or path")


def device_name(value: object) -> str:
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
