"""Bodies → rows of a batch, fast.

Slices in which every line is ordinary are read by :mod:`integrations.influx_line.columns`, others line by line:
senders repeat the same measurement and tags for ever, so a line costs a split, one look-up of its head, and
one look-up and one ``float`` a field. Whatever is not plain (new heads, escapes, quotes, signs, anything
that does not convert) is left to :mod:`integrations.influx_line.grammar`, which decides by the letter.
``float`` takes more than line protocol allows (``nan``, ``1_000``, ``+1``): each of these goes there too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hub.plugins.api import NO_TIME, Intake, ReadingBatch, Refused
from integrations.influx_line.bodies import MAX_LINE_CHARS, Slice
from integrations.influx_line.columns import LARGEST_PLAIN, read_columns
from integrations.influx_line.grammar import Line, LineError, parse_line
from integrations.influx_line.heads import Handles, Heads
from integrations.influx_line.precision import MAX_TS_MS, Precision

EXACT_LINES_PER_SLICE = 500
"""Lines read by the grammar between two breaths of the event loop: about 15 ms of work."""

MAX_FAULTS = 1_000
"""Faults of one request that are kept with their reason; more of them are counted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A line, or a field of it, that is not stored. ``parsed`` is false where the line is no line."""

    number: int
    code: str
    reason: str
    parsed: bool = False


@dataclass(slots=True)
class Outcome:
    """What reading said besides the rows: faults (the first ones in full), and text or boolean fields left out."""

    faults: list[Fault] = field(default_factory=list)
    more_faults: int = 0
    left_out: int = 0

    def add(self, fault: Fault) -> None:
        """Keep a fault, or only count it where there are many."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)
        else:
            self.more_faults += 1

    def merge(self, other: Outcome) -> None:
        """Add what the next lines said."""
        for fault in other.faults:
            self.add(fault)
        self.more_faults += other.more_faults
        self.left_out += other.left_out


class LineReader:
    """Turns lines into rows; what it learns of heads is kept in :class:`Heads`."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads

    async def read(
        self, part: Slice, first: int, precision: Precision, batch: ReadingBatch, intake: Intake
    ) -> Outcome:
        """Append the rows of some lines to ``batch``; ``first`` is the number of the first line.

        Raises:
            RetryLater: a new series could not be registered now.
        """
        start = len(batch)
        columns = part.plain and part.cut is None
        if columns and read_columns(part.text, first, precision, batch, self._heads.current(intake)):
            return Outcome()
        left: Iterable[tuple[int, str]] = enumerate(part.lines, first)
        if part.plain:
            left = self._read_plain(part.lines, first, precision, batch, intake)
        exact = [(number, line) for number, line in left if _is_data(line)]
        if not exact:
            return Outcome()
        known = len(batch) > start
        outcome = await self._read_exactly(exact, precision, batch, intake)
        if known:
            _sort_by_line(batch, start)
        return outcome

    def _read_plain(
        self, lines: Sequence[str], first: int, precision: Precision, batch: ReadingBatch, intake: Intake
    ) -> list[tuple[int, str]]:
        """Rows of all plain lines with known heads; the others come back."""
        left: list[tuple[int, str]] = []
        heads, times, per = self._heads.current(intake), precision.times, precision.per
        series, stamps, values, items = batch.series, batch.ts_ms, batch.values, batch.item
        for number, line in enumerate(lines, first):
            mark = len(series)
            try:
                head, fields, *stamp = line.split(" ")
                if stamp:
                    (digits,) = stamp
                    ts_ms = int(digits) * times // per
                    if not digits.isdigit() or len(digits) > 19 or ts_ms > MAX_TS_MS:
                        raise ValueError
                else:
                    ts_ms = NO_TIME
                handles = heads[head]
                pairs = dict([pair.split("=") for pair in fields.split(",")])
                for key, text in pairs.items():
                    handle = handles[key]
                    if text[-1] == "i":
                        text = text[:-1]
                        if not text.isdigit():
                            raise ValueError
                    value = float(text)
                    if "_" in text or text < "-" or not -LARGEST_PLAIN < value < LARGEST_PLAIN:
                        raise ValueError
                    if handle.factor != 1.0 or handle.offset != 0.0:
                        value = round(value * handle.factor + handle.offset, 6)
                    series.append(handle.no)
                    stamps.append(ts_ms)
                    values.append(value)
                    items.append(number)
            except (ValueError, KeyError, IndexError):
                del series[mark:], stamps[mark:], values[mark:], items[mark:]
                if line:
                    left.append((number, line))
        return left

    async def _read_exactly(
        self, left: Sequence[tuple[int, str]], precision: Precision, batch: ReadingBatch, intake: Intake
    ) -> Outcome:
        outcome = Outcome()
        parsed: list[tuple[int, Line, int]] = []
        for count, (number, line) in enumerate(left, 1):
            if count % EXACT_LINES_PER_SLICE == 0:
                await asyncio.sleep(0)
            try:
                if len(line) > MAX_LINE_CHARS:
                    raise LineError("line too long")
                read = parse_line(line)
                parsed.append((number, read, _ts_ms(read, precision)))
            except LineError as error:
                outcome.add(Fault(number, "WL-ING-052", str(error)))
        handles = self._heads.current(intake)
        refused = await self._heads.register([line for _, line, _ in parsed], handles, intake)
        for number, read, ts_ms in parsed:
            _append(number, read, ts_ms, handles, refused, batch, outcome)
        return outcome


def _append(
    number: int,
    line: Line,
    ts_ms: int,
    handles: Handles,
    refused: Mapping[tuple[str, str], Refused],
    batch: ReadingBatch,
    outcome: Outcome,
) -> None:
    known = handles.get(line.head, {})
    for name, value in line.fields.items():
        if value is None:
            outcome.left_out += 1
        elif name in known:
            batch.add(known[name], ts_ms, value, number)
        else:
            error = refused[line.head, name]
            reason = f"field {name[:64]!r}: {error.message}"
            outcome.add(Fault(number, error.code, reason, parsed=True))


def _ts_ms(line: Line, precision: Precision) -> int:
    if line.ticks is None:
        return NO_TIME
    ts_ms = precision.ts_ms(line.ticks)
    if not -MAX_TS_MS <= ts_ms <= MAX_TS_MS:
        raise LineError("time outside range")
    return ts_ms


def _is_data(line: str) -> bool:
    start = line.lstrip(" \t\r")
    return bool(start) and start[0] != "#"


def _sort_by_line(batch: ReadingBatch, start: int) -> None:
    """Rows from ``start`` in the order of their lines: without times the order of arrival is the time."""
    order = sorted(range(start, len(batch)), key=batch.item.__getitem__)
    for column in (batch.series, batch.ts_ms, batch.item):
        column[start:] = [column[row] for row in order]
    batch.values[start:] = [batch.values[row] for row in order]
