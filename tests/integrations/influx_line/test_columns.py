"""Reading a slice by columns against reading it by the letter."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.plugins.api import NO_TIME, ReadingBatch, SeriesHandle
from integrations.influx_line.columns import read_columns
from integrations.influx_line.grammar import parse_line
from integrations.influx_line.heads import Handles
from integrations.influx_line.precision import MAX_TS_MS, MS, NS, US, Precision

HEADS = ("m", "m,id=1", "other,room=hall")
NAMES = ("power", "energy", "kWh", "größe")
NUMBERS = (
    "1",
    "-2.5",
    ".5",
    "5.",
    "1e3",
    "1E-2",
    "12i",
    "-7i",
    "99999999999999999i",
    "0.1",
    "1234567.1234567",
)
ODD = (
    *(
        "",
        "-",
        "1-2",
        "1.5i",
        "i",
        "+1",
        "nan",
        "1_000",
        "e5",
        "1e400",
        "9999999999999999999i",
        "12u",
        "t",
        '"x"',
    ),
    *("1=2", "1=power=2", "1,2", "١", "1\\", "--1i", "1 2"),
)
STAMPS = ("1764000000000", "0", "17", "000017", "9223372036854775807")
ODD_STAMPS = ("-5", "", "x", "99999999999999999999", "1.5", "١", "1 2")


def known() -> Handles:
    handles = Handles()
    for at, head in enumerate(HEADS):
        found = {
            name: SeriesHandle(at * 10 + n, (1.0, 1.0, 1000.0, 1.0)[n], (0.0, 0.0, 0.0, -273.15)[n])
            for n, name in enumerate(NAMES)
        }
        handles.learn(head, found)
    return handles


def one_line(
    values: tuple[str, ...], stamps: tuple[str, ...], heads: tuple[str, ...], names: tuple[str, ...]
) -> st.SearchStrategy[str]:
    pairs = st.lists(
        st.builds("{}={}".format, st.sampled_from(names), st.sampled_from(values)), min_size=1, max_size=4
    )
    tail = st.sampled_from(stamps)
    return st.builds(lambda head, fields, stamp: f"{head} {','.join(fields)}{stamp}",
                     st.sampled_from(heads), pairs, tail)  # fmt: skip


TIMED = tuple(f" {stamp}" for stamp in STAMPS)
ORDINARY = one_line(NUMBERS, TIMED, HEADS, NAMES)
UNTIMED = one_line(NUMBERS, ("",), HEADS, NAMES)
ANY = one_line(
    (*NUMBERS, *ODD),
    (*TIMED, "", *(f" {stamp}" for stamp in ODD_STAMPS)),
    (*HEADS, "new", "m,id=1,", "m\\ x", "#m", ""),
    (*NAMES, "new", "a\\,b", ""),
)
LISTS = st.one_of(*(st.lists(one, min_size=1, max_size=6) for one in (ORDINARY, UNTIMED, ANY)))


def by_the_letter(
    lines: list[str], precision: Precision, handles: Handles
) -> list[tuple[int, int, float, int]]:
    """Rows of the lines; raises where a line is none or not known."""
    rows = []
    for number, line in enumerate(lines, 7):
        read = parse_line(line)
        ts_ms = NO_TIME if read.ticks is None else precision.ts_ms(read.ticks)
        for name, value in read.fields.items():
            assert value is not None
            handle = handles[read.head][name]
            rows.append((handle.no, ts_ms, handle.stored(value), number))
    return rows


@settings(max_examples=1_000, deadline=None)
@example(["m power=1=energy=2 1"], MS)
@example(["m power,1=energy 1"], MS)
@example(["m power=1,power=2 1", "m energy=3 2"], MS)
@example(["m power=1", "m energy=2 1 2"], MS)
@example(["m power=1 9223372036854775807"], Precision(3_600_000, 1))
@given(LISTS, st.sampled_from((MS, NS, US, Precision(3_600_000, 1))))
def test_what_is_read_by_columns_reads_the_same_by_the_letter(lines: list[str], precision: Precision) -> None:
    handles, batch = known(), ReadingBatch("test", 0)

    if not read_columns("\n".join(lines), 7, precision, batch, handles):
        assert not len(batch)
        return

    rows = list(zip(batch.series, batch.ts_ms, batch.values, batch.item, strict=True))
    assert rows == by_the_letter(lines, precision, handles)
    assert all(ts_ms == NO_TIME or 0 <= ts_ms <= MAX_TS_MS for ts_ms in batch.ts_ms)
    assert all(
        type(column[0]) in (int, float) for column in (batch.series, batch.ts_ms, batch.values, batch.item)
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(ORDINARY, min_size=1, max_size=8))
def test_ordinary_lines_are_read_by_columns_unless_a_field_comes_twice(lines: list[str]) -> None:
    handles, batch = known(), ReadingBatch("test", 0)
    twice = False
    for line in lines:
        names = [pair.split("=")[0] for pair in line.split(" ")[1].split(",")]
        twice |= len(set(names)) < len(names)

    assert read_columns("\n".join(lines) + "\n", 0, NS, batch, handles) is not twice


def test_a_line_that_is_none_leaves_nothing_behind() -> None:
    batch = ReadingBatch("test", 0)
    assert not read_columns("m power=1 1\nm power=x 2", 0, MS, batch, known())
    assert not len(batch)
