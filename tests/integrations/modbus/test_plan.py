"""Few reads, none across forbidden holes, every value exactly once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from integrations.modbus.decode import DECODES, word_count
from integrations.modbus.plan import Block, block_of, plan_reads, split
from integrations.modbus.registers import Register

REGISTERS = st.lists(
    st.builds(
        Register,
        key=st.just("x"),
        address=st.integers(0, 300),
        kind=st.sampled_from(["input", "holding"]),
        decode=st.sampled_from(DECODES),
    ),
    min_size=1,
    max_size=40,
)


def at(address: int, decode: str = "float32", kind: str = "input") -> Register:
    return Register("x", address, kind, decode)


def spans(blocks: list[Block]) -> list[tuple[str, int, int]]:
    return [(block.kind, block.start, block.count) for block in blocks]


def test_neighbours_are_read_together_and_holes_are_not() -> None:
    registers = [at(0x34), at(0), at(2), at(4), at(0x46), at(0x48)]
    assert spans(plan_reads(registers, max_gap=0, max_block=125)) == [
        ("input", 0, 6),
        ("input", 0x34, 2),
        ("input", 0x46, 4),
    ]


def test_allowed_gap_joins_blocks_of_one_kind() -> None:
    registers = [at(0), at(4), at(8, kind="holding")]
    assert spans(plan_reads(registers, max_gap=2, max_block=125)) == [("holding", 8, 2), ("input", 0, 6)]


def test_block_ends_at_its_limit() -> None:
    registers = [at(2 * n) for n in range(10)]
    assert spans(plan_reads(registers, max_gap=0, max_block=8)) == [
        ("input", 0, 8), ("input", 8, 8), ("input", 16, 4)
    ]  # fmt: skip


@given(REGISTERS, st.integers(0, 20), st.integers(1, 125))
def test_every_value_is_planned_once_and_no_block_breaks_a_rule(
    registers: list[Register], max_gap: int, max_block: int
) -> None:
    blocks = plan_reads(registers, max_gap=max_gap, max_block=max_block)
    planned = [register for block in blocks for register in block.registers]
    order = sorted(registers, key=lambda one: (one.kind, one.address, one.end))
    assert planned == order
    for block in blocks:
        assert block.count <= max(max_block, *(word_count(one.decode) for one in block.registers))
        covered = {n for one in block.registers for n in range(one.address, one.end)}
        holes = [n for n in range(block.start, block.start + block.count) if n not in covered]
        runs = "".join(
            "h" if n in holes else " " for n in range(block.start, block.start + block.count)
        ).split()
        assert all(len(run) <= max_gap for run in runs)


@given(REGISTERS)
def test_splitting_ends_at_single_values_and_loses_none(registers: list[Register]) -> None:
    one_kind = [register for register in registers if register.kind == registers[0].kind]
    waiting, singles = [block_of(one_kind)], []
    while waiting:
        block = waiting.pop()
        if len(block.registers) > 1:
            waiting.extend(split(block))
        else:
            singles.append(block.registers[0])
            assert block.count == word_count(block.registers[0].decode)
    assert len(singles) == len(one_kind)


@given(REGISTERS)
def test_each_value_finds_its_words_in_the_answer(registers: list[Register]) -> None:
    for block in plan_reads(registers, max_gap=3, max_block=125):
        words = list(range(block.start, block.start + block.count))
        for register in block.registers:
            assert list(block.words_of(register, words)) == list(range(register.address, register.end))
