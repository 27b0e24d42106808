"""Readings of a series as its active corrections leave them; asked like those of :mod:`hub.storage.readings`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from hub.energy.corrections import Correction, corrected
from hub.energy.slots import Readings
from hub.storage.codec import Columns
from hub.storage.corrections import active_corrections
from hub.storage.merging import taken
from hub.storage.readings import END_OF_TIME_MS, read_after, read_before, read_columns

_WIDEN = 4


@dataclass(frozen=True, slots=True)
class CorrectedReadings:
    """Readings of one series on one connection; without corrections they are the stored ones."""

    conn: sa.Connection
    series: int
    corrections: tuple[Correction, ...]

    @classmethod
    def of(cls, conn: sa.Connection, series: int) -> CorrectedReadings:
        """With the corrections that hold now."""
        return cls(conn, series, active_corrections(conn, series))

    def columns(self, start_ms: int, end_ms: int) -> Columns:
        """Readings in ``[start_ms, end_ms)``, ascending. Raises as :func:`read_columns`."""
        stored = read_columns(self.conn, self.series, start_ms, end_ms)
        return self._corrected(stored, start_ms, end_ms)

    def before(self, ts_ms: int, count: int) -> Columns:
        """The last ``count`` readings before ``ts_ms``, ascending. Raises as :func:`read_columns`."""

        def fetch(number: int) -> tuple[Columns, bool]:
            stored = read_before(self.conn, self.series, ts_ms, number)
            whole = len(stored.ts_ms) < number
            first_ms = -END_OF_TIME_MS if whole else int(stored.ts_ms[0])
            return self._corrected(stored, first_ms, ts_ms), whole

        columns = self._enough(fetch, count)
        return taken(columns, slice(max(len(columns.ts_ms) - count, 0), None))

    def after(self, ts_ms: int, count: int) -> Columns:
        """The first ``count`` readings after ``ts_ms``, ascending. Raises as :func:`read_columns`."""

        def fetch(number: int) -> tuple[Columns, bool]:
            stored = read_after(self.conn, self.series, ts_ms, number)
            whole = len(stored.ts_ms) < number
            end_ms = END_OF_TIME_MS if whole else int(stored.ts_ms[-1]) + 1
            return self._corrected(stored, ts_ms + 1, end_ms), whole

        return taken(self._enough(fetch, count), slice(0, count))

    def page(self, start_ms: int, end_ms: int, limit: int) -> Columns:
        """The first ``limit`` readings in ``[start_ms, end_ms)``. Raises as :func:`read_columns`."""

        def fetch(number: int) -> tuple[Columns, bool]:
            stored = read_columns(self.conn, self.series, start_ms, end_ms, limit=number)
            whole = len(stored.ts_ms) < number
            until_ms = end_ms if whole else int(stored.ts_ms[-1]) + 1
            return self._corrected(stored, start_ms, until_ms), whole

        return taken(self._enough(fetch, limit), slice(0, limit))

    def _enough(self, fetch: Callable[[int], tuple[Columns, bool]], count: int) -> Columns:
        """Fetch more stored readings until enough of them are left, or there are no more."""
        number = count
        while True:
            columns, whole = fetch(number)
            if whole or not self.corrections or len(columns.ts_ms) >= count:
                return columns
            number *= _WIDEN

    def _corrected(self, stored: Columns, start_ms: int, end_ms: int) -> Columns:
        if not self.corrections:
            return stored
        made = corrected(Readings(*stored), self.corrections, start_ms, end_ms)
        return Columns(made.ts_ms, made.value, made.flags)
