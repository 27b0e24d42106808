"""The energy of a metering point: slots of its registers, as long as each was installed, times their factors.

Nothing of it is stored: it follows from the slots of the registers whenever it is asked for. Of a slot in which a
register came or went only its own part counts: by the cut of its stream where a closing or opening value is known,
else by the straight line between the readings around that instant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import sqlalchemy as sa

from hub.energy.corrections import Span
from hub.energy.installations import FOR_EVER_MS, Cut, Installation, multiplied, together
from hub.energy.slots import SLOT_MS, SlotColumns
from hub.errors import Refused
from hub.model.series import Behaviour, Direction, Series
from hub.storage import slots
from hub.storage.metering import InstallationRow, load_installations
from hub.storage.rederive import FIRST_MS, Stream
from hub.storage.scaled import register_at

SeriesOf = Callable[[int], Series | None]
FAMILIES = ("delta", "quality")


def read_point(
    conn: sa.Connection, point: str, series_of: SeriesOf, start_ms: int, end_ms: int
) -> dict[Direction, SlotColumns]:
    """Slots of a metering point that begin in ``[start_ms, end_ms)``, by direction of its registers.

    Args:
        conn: of a read or write job.
        point: id of the metering point.
        series_of: series by number; registers that were removed are left out.
        start_ms: on a slot border.
        end_ms: exclusive.

    ``delta`` counts mWh for energy (also gas with a calorific value), else steps of the register's quantity.
    Registers without a direction count as import.
    """
    parts: dict[Direction, list[SlotColumns]] = {}
    for row in load_installations(conn, point=point):
        series = series_of(row.installation.series)
        if series is None or row.installation.from_ms >= end_ms or row.installation.end_ms <= start_ms:
            continue
        direction = Direction.EXPORT if series.direction is Direction.EXPORT else Direction.IMPORT
        rows = installed_slots(conn, series, row.installation, start_ms, end_ms)
        parts.setdefault(direction, []).append(rows)
    return {direction: together(found) for direction, found in parts.items()}


def installed_slots(
    conn: sa.Connection, series: Series, installed: Installation, start_ms: int, end_ms: int
) -> SlotColumns:
    """Slots of one register in ``[start_ms, end_ms)``, as far as it was installed, times its factor."""
    multiplier = installed.multiplier
    # a factor is rounded on the running total, which begins with the installation
    first_ms = start_ms if multiplier == 1 else max(installed.from_ms - installed.from_ms % SLOT_MS, FIRST_MS)
    first_ms = max(first_ms, installed.from_ms - installed.from_ms % SLOT_MS)
    last_ms = min(end_ms, installed.end_ms)
    stored = slots.read(conn, [series.no], slots.SLOT, first_ms, last_ms, FAMILIES)[series.no]
    rows = _own_part(conn, series, installed, stored)
    rows = replace(rows, delta=multiplied(np.where(rows.has_delta, rows.delta, 0), multiplier))
    return rows.take((rows.start_ms >= start_ms) & (rows.start_ms < end_ms))


def _own_part(
    conn: sa.Connection, series: Series, installed: Installation, stored: SlotColumns
) -> SlotColumns:
    """Stored rows with those that a border of the installation cuts reduced to its side."""
    borders = [at for at in (installed.from_ms, installed.end_ms) if at % SLOT_MS and at < FOR_EVER_MS]
    shared = sorted({at - at % SLOT_MS for at in borders} & set(stored.start_ms.tolist()))
    if not shared:
        return stored
    stream = _cut_at(Stream.of(conn, series), borders)
    within = Span(installed.from_ms, installed.end_ms)
    parts = [stored.take(~np.isin(stored.start_ms, shared))]
    parts += [stream.derived(at, at + SLOT_MS, within).derived.slots for at in shared]
    joined = SlotColumns.joined(parts)
    return joined.take(np.argsort(joined.start_ms, kind="stable"))


def _cut_at(stream: Stream, borders: Sequence[int]) -> Stream:
    """The stream cut at more instants, at the register on the straight line between the readings around them."""
    known = {cut.at_ms for cut in stream.cuts}
    added = []
    for at_ms in borders:
        if at_ms not in known:
            value = _register_at(stream, at_ms)
            added.append(Cut(at_ms, value, value, swap=False))
    return replace(stream, cuts=tuple(sorted((*stream.cuts, *added), key=lambda cut: cut.at_ms)))


def _register_at(stream: Stream, at_ms: int) -> float | None:
    """None where nothing is to be shared out."""
    return register_at(stream.readings, at_ms) if stream.series.behaviour is Behaviour.COUNTER else None


def unit_of(installed: Installation, series: Series) -> str:
    """Unit of what a register counts at its point: ``Wh``, or that of its volume."""
    return "Wh" if installed.calorific_value is not None else series.unit


def point_unit(rows: Sequence[InstallationRow], series_of: SeriesOf) -> str:
    """Unit of a point's amounts.

    Raises:
        Refused: ``WL-MET-002``, its registers count different things, or some gas has no calorific value.
    """
    units = {
        unit_of(row.installation, series)
        for row in rows
        if (series := series_of(row.installation.series)) is not None
    }
    if len(units) > 1:
        raise Refused(
            "WL-MET-002",
            f"registers of one metering point count one thing, not {' and '.join(sorted(units))}",
            where="series",
            hint="give every gas register a calorific value, or none; make another point for another quantity",
        )
    return units.pop() if units else "Wh"
