"""Register maps: what stands where in a device. Data in ``templates/*.yaml`` or in the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from integrations.modbus.decode import not_available, word_count

TEMPLATES = Path(__file__).with_name("templates")

MAX_BLOCK = 125
"""Registers that one read may ask for (Modbus application protocol 1.1b3, functions 3 and 4)."""


@dataclass(frozen=True, slots=True)
class Register:
    """One value of a device.

    ``address`` is the 0-based address of the PDU, not the 3xxxx/4xxxx number of a manual. ``kind`` is
    ``input`` (function 4) or ``holding`` (function 3). ``value = raw * scale`` in ``unit``. A raw value in
    ``sentinels`` means that the device has no value now.
    """

    key: str
    address: int
    kind: str
    decode: str
    scale: float = 1.0
    unit: str | None = None
    quantity: str | None = None
    behaviour: str | None = None
    direction: str | None = None
    sentinels: frozenset[int] = frozenset()

    @property
    def end(self) -> int:
        """First address behind this value."""
        return self.address + word_count(self.decode)


@dataclass(frozen=True, slots=True)
class Template:
    """A register map and how its device likes to be asked."""

    name: str
    registers: tuple[Register, ...]
    maker: str = ""
    model: str = ""
    kind: str = "meter"
    unit: int = 1
    max_block: int = MAX_BLOCK
    max_gap: int = 0
    connect_delay_s: float = 0.0
    word_order: str = "big"


def template_names() -> list[str]:
    """Names that ``template:`` may have."""
    return sorted(path.stem for path in TEMPLATES.glob("*.yaml"))


@cache
def load_template(name: str) -> Template:
    """Read a template that comes with the integration. ``name`` is one of :func:`template_names`."""
    from ruamel.yaml import YAML

    data: Mapping[str, Any] = YAML(typ="safe", pure=True).load(TEMPLATES / f"{name}.yaml")
    return Template(
        name=name,
        registers=registers_of(data["registers"], data.get("defaults", {})),
        maker=data.get("maker", ""),
        model=data.get("model", ""),
        kind=data.get("kind", "meter"),
        unit=data.get("unit", 1),
        max_block=data.get("max_block", MAX_BLOCK),
        max_gap=data.get("max_gap", 0),
        connect_delay_s=data.get("connect_delay", 0.0),
        word_order=data.get("word_order", "big"),
    )


def registers_of(entries: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]) -> tuple[Register, ...]:
    """Entries of a map, each with ``defaults`` where it says nothing."""
    return tuple(_register({**defaults, **entry}) for entry in entries)


def _register(entry: Mapping[str, Any]) -> Register:
    decode = entry["decode"]
    return Register(
        key=entry["key"],
        address=entry["address"],
        kind=entry["type"],
        decode=decode,
        scale=entry.get("scale", 1.0),
        unit=entry.get("unit"),
        quantity=entry.get("quantity"),
        behaviour=entry.get("behaviour"),
        direction=entry.get("direction"),
        sentinels=_sentinels(entry.get("sentinel"), decode),
    )


def _sentinels(wish: int | str | Sequence[int] | None, decode: str) -> frozenset[int]:
    """``auto`` is the usual "no value" of the format; numbers are taken as they are."""
    if wish is None:
        return frozenset()
    if wish == "auto":
        usual = not_available(decode)
        return frozenset() if usual is None else frozenset({usual})
    return frozenset({wish} if isinstance(wish, int) else (int(one) for one in wish))
