"""Why a kWh from the grid emitted what it did in a slot: the stored mean of the series, or the factor of the site."""

from __future__ import annotations

from typing import Final

import numpy as np

from hub.actors.energy_months import Layout
from hub.actors.explain_series import SeriesTrees
from hub.actors.registry import Registry
from hub.energy.explain import Node, Stored, Unit
from hub.energy.slots import SLOT_MS
from hub.storage import slots

CO2: Final = Unit("kg", 12)
INTENSITY: Final = Unit("kg/kWh", 6)


class CarbonTrees:
    """Carbon intensities of one layout, on the connection of ``trees``."""

    def __init__(self, trees: SeriesTrees, registry: Registry, layout: Layout | None) -> None:
        self._trees = trees
        self._registry = registry
        self._layout = layout

    def intensity(self, slot_ms: int, carbon_mg: int) -> Node:
        """The row, or the line of the configuration, that tells the intensity of a slot."""
        return Node(
            "intensity", "carbon_intensity", "CO2 of a kWh from the grid", carbon_mg, INTENSITY,
            span=(slot_ms, slot_ms + SLOT_MS), stored=self._source(slot_ms, carbon_mg),
        )  # fmt: skip

    def _source(self, slot_ms: int, carbon_mg: int) -> Stored:
        layout = self._layout
        series = None if layout is None or layout.carbon is None else self._registry.by_no(layout.carbon)
        if series is not None:
            conn = self._trees.conn
            rows = slots.read(conn, [series.no], slots.SLOT, slot_ms, slot_ms + SLOT_MS, ("gauge",))
            mean = float(rows[series.no].mean[0]) if len(rows[series.no]) else float("nan")
            if np.isfinite(mean) and int(np.rint(mean * 1000)) == carbon_mg:
                row = {
                    "series": series.public_id, "resolution": slots.SLOT, "start": slot_ms, "mean": mean,
                }  # fmt: skip
                return Stored("energy_metrics", row)
        return Stored("configuration", {"key": "site.co2_factor", "value": carbon_mg / 1000})
