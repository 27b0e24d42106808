"""Blocks of a tier and steps of a capacity charge: limits that rise, the last one open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hub.energy.components import Block
from hub.energy.fields import Faults, Fields

_MAX_BLOCKS: Final = 20
_MILLI_PER_KILO: Final = 1_000_000


def parse_blocks(fields: Fields, key: str, limits: tuple[str, ...]) -> tuple[Block, ...]:
    """The blocks under ``key``, none where it is absent; ``limits`` are the keys of a limit in kWh or kW.

    A second key of limits is one that counts per day of the period.
    """
    items, place = fields.items(key, most=_MAX_BLOCKS), fields.faults.at(key)
    if not items and fields.data.get(key) == []:
        place.add("WL-TAR-003", "there is no block", hint="{price: 0.055}")
    blocks = tuple(_block(item, place.at(index), limits) for index, item in enumerate(items))
    _check(blocks, place, limits)
    return blocks


def _block(item: object, faults: Faults, limits: tuple[str, ...]) -> Block:
    if not isinstance(item, Mapping):
        faults.add("WL-TAR-001", "a block must be a mapping", hint=f"{{{limits[0]}: 200, price: 0.04}}")
        return Block(0, 0)
    fields = Fields(item, faults, (*limits, "price"))
    fields.need("price")
    there = [key for key in limits if fields.has(key)]
    if len(there) > 1:
        faults.add("WL-TAR-034", "a block has one limit", hint=f"remove {' or '.join(there)}")
    limit = int(fields.number(there[0], low=0, places=6) * _MILLI_PER_KILO) if there else None
    return Block(fields.price("price"), limit, there[:1] == list(limits[1:]) and bool(there))


def _check(blocks: Sequence[Block], faults: Faults, keys: tuple[str, ...]) -> None:
    limits = [block.limit_mwh for block in blocks]
    if not limits:
        return
    if limits[-1] is not None:
        hint = f"leave {keys[0]} out of it"
        faults.at(len(limits) - 1).add("WL-TAR-032", "the last block has a limit", hint=hint)
    for index, limit in enumerate(limits[:-1]):
        before = limits[index - 1] if index else 0
        if limit is None:
            text = "only the last block may be without a limit"
            faults.at(index).add("WL-TAR-032", text, hint=f"add {keys[0]}")
        elif before is not None and limit <= before:
            faults.at(index).add("WL-TAR-032", "limits must rise from block to block", hint="sort the blocks")
    if len({block.per_day for block in blocks[:-1]}) > 1:
        text = "limits of one tier are all per day or none is"
        faults.add("WL-TAR-034", text, hint="use one of the two keys")
