"""What a user may write for a Modbus device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from hub.plugins.api import (
    Behaviour,
    Direction,
    Quantity,
    Role,
    WattlineError,
    device_name,
    duration_s,
    host_name,
    series_key,
    whole,
)
from integrations.modbus.decode import DECODES, word_count
from integrations.modbus.mapping import series_of
from integrations.modbus.registers import MAX_BLOCK, registers_of, template_names


def keyed(value: object) -> str:
    """A series key, as it will stand in ids."""
    try:
        key = series_key(value if isinstance(value, str) else "")
    except WattlineError as error:
        raise vol.Invalid(error.message) from error
    if key != value:
        raise vol.Invalid(f"expected a key of a-z, 0-9 and _, such as {key}")
    return key


class RegisterSchema(vol.Schema):
    """One register; what depends on two keys is checked here."""

    def __call__(self, data: Any) -> Any:
        entry: dict[str, Any] = super().__call__(data)  # type: ignore[no-untyped-call]  # voluptuous
        if entry["address"] + word_count(entry["decode"]) > 65536:
            raise vol.Invalid("the value ends behind register 65535", path=["address"])
        try:
            series_of(registers_of([entry], {})[0])
        except WattlineError as error:
            raise vol.Invalid(f"{error.message}; {error.hint}", path=["unit"]) from error
        return entry


REGISTER = RegisterSchema(
    {
        vol.Required("key"): keyed,
        vol.Required("address"): vol.All(whole, vol.Range(min=0, max=65535)),
        vol.Optional("type", default="holding"): vol.In(["input", "holding"]),
        vol.Optional("decode", default="uint16"): vol.In(list(DECODES)),
        vol.Optional("scale", default=1.0): vol.All(
            vol.Any(float, int), vol.Coerce(float), vol.Range(min=-1e9, max=1e9)
        ),
        vol.Optional("unit"): str,
        vol.Optional("quantity"): vol.In([one.value for one in Quantity]),
        vol.Optional("behaviour"): vol.In([one.value for one in Behaviour]),
        vol.Optional("direction"): vol.In([one.value for one in Direction]),
        vol.Optional("sentinel"): vol.Any("auto", [whole], whole),
    }
)


class EntrySchema(vol.Schema):
    """The whole entry; what depends on several keys is checked here."""

    def __call__(self, data: Any) -> Any:
        entry: dict[str, Any] = super().__call__(data)  # type: ignore[no-untyped-call]  # voluptuous
        if ("template" in entry) == ("registers" in entry):
            raise vol.Invalid("give either a template or registers", path=["template"])
        if "registers" in entry:
            _check_keys_differ(entry["registers"])
        return entry


def _check_keys_differ(registers: list[Mapping[str, Any]]) -> None:
    seen: set[str] = set()
    for index, register in enumerate(registers):
        if register["key"] in seen:
            raise vol.Invalid(f"key {register['key']} stands twice", path=["registers", index, "key"])
        seen.add(register["key"])


SCHEMA = EntrySchema(
    {
        vol.Required("host"): host_name,
        vol.Optional("port", default=502): vol.All(whole, vol.Range(min=1, max=65535)),
        vol.Optional("unit"): vol.All(whole, vol.Range(min=0, max=255)),
        vol.Optional("template"): vol.In(template_names()),
        vol.Optional("registers"): vol.All([REGISTER], vol.Length(min=1, max=500)),
        vol.Optional("id"): device_name,
        vol.Optional("name"): device_name,
        vol.Optional("role"): vol.In([role.value for role in Role]),
        vol.Optional("area"): str,
        vol.Optional("interval", default=10.0): vol.All(duration_s, vol.Range(min=0.1, max=86400)),
        vol.Optional("timeout", default=3.0): vol.All(duration_s, vol.Range(min=0.05, max=60)),
        vol.Optional("connect_delay"): vol.All(duration_s, vol.Range(min=0, max=30)),
        vol.Optional("framer", default="tcp"): vol.In(["tcp", "rtu_over_tcp"]),
        vol.Optional("word_order"): vol.In(["big", "little"]),
        vol.Optional("max_block"): vol.All(whole, vol.Range(min=1, max=MAX_BLOCK)),
        vol.Optional("max_gap"): vol.All(whole, vol.Range(min=0, max=MAX_BLOCK - 1)),
        vol.Optional("reversed", default=False): bool,
    }
)
"""``reversed`` is for a meter that sees its energy from the other side, such as the two-way meter of a solar
plant wired as a consumer: powers change their sign, import and export change places. Without
``unit`` the template's unit is taken, else 1."""
