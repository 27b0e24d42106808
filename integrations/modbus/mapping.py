"""From options and a register map to a device, its series, and values out of answers. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hub.plugins.api import (
    Behaviour,
    DeviceInfo,
    Direction,
    Options,
    Quantity,
    Role,
    SeriesInfo,
    conversion,
    device_id,
    known_series,
)
from integrations.modbus.decode import number, scaled
from integrations.modbus.plan import Block
from integrations.modbus.registers import Register, Template, load_template, registers_of

_SIGNED = (Quantity.POWER, Quantity.REACTIVE_POWER)  # currents are magnitudes in most meters
_COUNTED = (Quantity.ENERGY, Quantity.REACTIVE_ENERGY, Quantity.GAS, Quantity.WATER, Quantity.HEAT)


@dataclass(frozen=True, slots=True)
class Meter:
    """A configured device with everything that polling needs."""

    device: DeviceInfo
    template: Template
    unit: int
    little: bool
    interval_s: float

    @property
    def series(self) -> list[SeriesInfo]:
        """What each register of the map means, in the order of the map."""
        return [series_of(register, self.interval_s) for register in self.template.registers]

    def values(self, block: Block, words: Sequence[int]) -> Iterator[tuple[Register, float | None]]:
        """Values of a block in the unit of each register; None where the device says it has none.

        A value is None for a sentinel, NaN and infinity.
        """
        for register in block.registers:
            raw = number(block.words_of(register, words), register.decode, little=self.little)
            value = None if raw in register.sentinels else scaled(raw, register.scale)
            yield register, value if value is not None and math.isfinite(value) else None


def series_of(register: Register, interval_s: float | None = None) -> SeriesInfo:
    """What a register means: its key says it, unless ``quantity``, ``behaviour`` or ``direction`` say else.

    Raises:
        Refused: the unit does not measure the quantity.
    """
    if register.quantity is None:
        info = known_series(register.key, unit=register.unit, kind=register.behaviour)
    else:
        info = _of_quantity(register, Quantity(register.quantity))
    conversion(info.quantity, info.unit)
    return replace(
        info,
        direction=Direction(register.direction) if register.direction else info.direction,
        interval_ms=None if interval_s is None else round(interval_s * 1000),
    )


def _of_quantity(register: Register, quantity: Quantity) -> SeriesInfo:
    by_key = known_series(register.key)
    usual = Behaviour.COUNTER if quantity in _COUNTED else Behaviour.GAUGE
    behaviour = Behaviour(register.behaviour) if register.behaviour else usual
    return replace(by_key, quantity=quantity, behaviour=behaviour, unit=register.unit)


def meter_of(options: Options) -> Meter:
    """The device that validated options describe.

    Its id is ``id``, else made of ``name``, else ``<template>-<unit>`` (``modbus-<unit>`` for own registers).
    """
    template = _template_of(options)
    unit = options.get("unit", template.unit)
    if options.get("reversed", False):
        template = replace(template, registers=tuple(map(_from_other_side, template.registers)))
    role = options.get("role")
    device = DeviceInfo(
        id=device_id(options.get("id") or options.get("name") or f"{template.name}-{unit}"),
        name=options.get("name", ""),
        kind=template.kind,
        maker=template.maker,
        model=template.model,
        role=Role(role) if role else None,
        area=options.get("area"),
    )
    return Meter(
        device=device,
        template=template,
        unit=unit,
        little=template.word_order == "little",
        interval_s=options["interval"],
    )


def _template_of(options: Options) -> Template:
    if "template" in options:
        template = load_template(options["template"])
    else:
        template = Template("modbus", registers_of(options["registers"], {}))
    return replace(
        template,
        word_order=options.get("word_order", template.word_order),
        max_block=options.get("max_block", template.max_block),
        max_gap=options.get("max_gap", template.max_gap),
        connect_delay_s=options.get("connect_delay", template.connect_delay_s),
    )


def _from_other_side(register: Register) -> Register:
    """The register as seen from the other side of the meter."""
    if "_import" in register.key:
        return replace(register, key=register.key.replace("_import", "_export"))
    if "_export" in register.key:
        return replace(register, key=register.key.replace("_export", "_import"))
    return replace(register, scale=-register.scale) if series_of(register).quantity in _SIGNED else register
