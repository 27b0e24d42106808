"""Which reads fetch a register map: few requests, but none across a hole that the device may refuse. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from integrations.modbus.registers import Register


@dataclass(frozen=True, slots=True)
class Block:
    """One read request: ``count`` registers from ``start``, and the values it brings."""

    kind: str
    start: int
    count: int
    registers: tuple[Register, ...]

    def words_of(self, register: Register, words: Sequence[int]) -> Sequence[int]:
        """The part of this block's answer that belongs to ``register``."""
        return words[register.address - self.start : register.end - self.start]


def plan_reads(registers: Iterable[Register], *, max_gap: int, max_block: int) -> list[Block]:
    """Merge neighbours into blocks of at most ``max_block`` registers.

    Args:
        registers: the map, in any order.
        max_gap: unlisted registers that a block may cover between two values; 0 = none, for a device that
            answers exception 2 when a hole is read.
        max_block: most registers per request; a single value is never cut, even where it is longer.
    """
    blocks: list[Block] = []
    open_run: list[Register] = []
    for register in sorted(registers, key=lambda one: (one.kind, one.address, one.end)):
        if open_run and not _fits(open_run, register, max_gap, max_block):
            blocks.append(block_of(open_run))
            open_run = []
        open_run.append(register)
    if open_run:
        blocks.append(block_of(open_run))
    return blocks


def block_of(registers: Sequence[Register]) -> Block:
    """The one read that spans these registers of one kind."""
    start = min(register.address for register in registers)
    end = max(register.end for register in registers)
    return Block(registers[0].kind, start, end - start, tuple(registers))


def split(block: Block) -> tuple[Block, Block]:
    """Two smaller reads with the same values, for a device that refused the block. Needs two values."""
    middle = len(block.registers) // 2
    return block_of(block.registers[:middle]), block_of(block.registers[middle:])


def _fits(run: Sequence[Register], register: Register, max_gap: int, max_block: int) -> bool:
    end = max(one.end for one in run)
    return (
        run[0].kind == register.kind
        and register.address - end <= max_gap
        and max(end, register.end) - run[0].address <= max_block
    )
