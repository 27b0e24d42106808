"""The flows of a period as a graph without loops: sources, the battery, the house, its devices; and per device.

At every node that is neither a beginning nor an end, what comes in goes out, to the mWh. The battery is one node
between the sources and the house, so energy from the grid through the battery back into the grid is no loop:
import and export are two nodes. Cost and CO2 flow along: export carries what its energy cost, its earnings are
told apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hub.energy.exact import Ints, priced, spread
from hub.energy.figures import (
    Money,
    carbon_rows,
    complete_share,
    export_money,
    kg,
    kwh_text,
    money_rows,
    wh,
)
from hub.energy.site_balance import RESIDUALS, Source, UseKind
from hub.energy.site_sums import SiteSums
from hub.energy.stock import CARRIED
from hub.model.series import Role

HOME: Final = "home"
BATTERY: Final = "battery"


@dataclass(frozen=True, slots=True)
class Node:
    """``device`` is empty for what is no device; ``kind`` says which column of the picture it stands in."""

    id: str
    kind: str
    device: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Energy from node to node in mWh, with what it cost (1e-14 of the currency) and its CO2 (ng).

    ``unpriced_mwh`` and ``uncounted_mwh`` of it have no price, or no carbon intensity, yet.
    """

    source: str
    target: str
    energy_mwh: int
    cost: int
    co2: int
    unpriced_mwh: int
    uncounted_mwh: int


def flow_graph(sums: SiteSums) -> tuple[tuple[Node, ...], tuple[Link, ...]]:
    """Nodes and links of one bucket (the first). Links of nothing are left out, and nodes without links."""
    graph = _Graph(sums)
    graph.from_grid()
    graph.from_sun()
    graph.from_elsewhere()
    graph.from_battery()
    graph.into_devices()
    met = {end for link in graph.links for end in (link.source, link.target)}
    return tuple(node for node in graph.nodes.values() if node.id in met), tuple(graph.links)


class _Graph:
    """Targets of sources are the export (row 0), the battery (row 1) and the house (all others)."""

    def __init__(self, sums: SiteSums) -> None:
        self._sums = sums
        self.nodes: dict[str, Node] = {}
        self.links: list[Link] = []
        for node in (Node("export", "export"), Node(BATTERY, "battery"), Node(HOME, "home")):
            self.nodes[node.id] = node
        self._targets = (("export", [0]), (BATTERY, [1]), (HOME, list(range(2, len(sums.uses)))))

    def from_grid(self) -> None:
        """Every grid meter gives its part of what the grid fed; cost and CO2 go along."""
        sums = self._sums
        givers = [(f"grid:{sums.meters[row].device}", row) for row in sums.rows(Role.GRID)]
        along = (sums.bought, sums.emitted, sums.unpriced_grid_mwh, sums.uncounted_grid_mwh)
        self._share(givers, Source.GRID, "grid", along)

    def from_sun(self) -> None:
        """Roofs, and devices that feed in."""
        sums = self._sums
        producers = [
            (f"solar:{meter.device}", row)
            for row, meter in enumerate(sums.meters)
            if meter.role not in (Role.GRID, Role.BATTERY)
        ]
        self._share(producers, Source.SOLAR, "solar", None)

    def from_elsewhere(self) -> None:
        """What no meter shows, by its reason."""
        sums = self._sums
        givers = [(reason.value, -1 - at) for at, reason in enumerate(RESIDUALS)]
        nothing = np.zeros_like(sums.cost)
        unpriced = sums.unpriced_mwh - sums.unpriced_grid_mwh - sums.unpriced_stock_mwh
        uncounted = sums.uncounted_mwh - sums.uncounted_grid_mwh - sums.uncounted_stock_mwh
        self._share(givers, Source.OTHER, "not_measured", (nothing, nothing, unpriced, uncounted))

    def from_battery(self) -> None:
        """Out of the battery: to export and house, lost, and what stays there or was there before."""
        sums, fed = self._sums, self._sums.fed_mwh[Source.BATTERY, :, 0]
        along = (
            sums.cost - sums.bought, sums.co2 - sums.emitted, sums.unpriced_stock_mwh, sums.uncounted_stock_mwh,
        )  # fmt: skip
        for target, rows in (self._targets[0], self._targets[2]):
            self._link(BATTERY, target, fed[rows].sum(), *(column[rows, 0].sum() for column in along))
        lost, change = sums.lost[:, 0], sums.change[:, 0]
        at = [1 + CARRIED.index(name) for name in ("cost", "co2", "unpriced", "uncounted")]
        self._add(Node("battery_loss", "loss"))
        self._link(BATTERY, "battery_loss", lost[0], *(lost[row] for row in at))
        self._add(Node("opening_stock", "stock"))
        self._link("opening_stock", BATTERY, sums.opening_mwh[0], 0, 0, 0, 0)
        stored = [int(change[0]), *(int(change[row]) for row in at)]
        self._add(Node("stored", "stock"))
        self._add(Node("from_stock", "stock"))
        if stored[0] >= 0:
            self._link(BATTERY, "stored", *stored)
        else:
            self._link("from_stock", BATTERY, *(-value for value in stored))

    def into_devices(self) -> None:
        """Down the tree of meters; what a meter uses itself is a node of its own where others are behind it."""
        sums = self._sums
        children: dict[str, list[str]] = {}
        rows: dict[str, list[int]] = {}
        for meter in sums.meters:
            if meter.role is not Role.GRID:
                children.setdefault(meter.parent or HOME, []).append(meter.device)
        for row, use in enumerate(sums.uses):
            if use.device:
                rows.setdefault(use.device, []).append(row)
        for device in children.get(HOME, []):
            self._down(HOME, device, children, rows)
        self._add(Node("not_measured", "not_measured"))
        self._use(HOME, "not_measured", [len(sums.uses) - 1])

    def _down(
        self, above: str, device: str, children: Mapping[str, Sequence[str]], rows: Mapping[str, list[int]]
    ) -> None:
        behind = children.get(device, ())
        inside = list(_below(device, children, rows))
        name = f"device:{device}"
        self._add(Node(name, "device", device))
        self._use(above, name, inside)
        if not behind:
            return
        for row in rows.get(device, ()):
            missing = self._sums.uses[row].kind is UseKind.MISSING_CHILD
            own = f"{'missing' if missing else 'own'}:{device}"
            self._add(Node(own, "missing_child" if missing else "own_use", device))
            self._use(name, own, [row])
        for child in behind:
            self._down(name, child, children, rows)

    def _use(self, above: str, name: str, rows: list[int]) -> None:
        sums = self._sums
        energy = sums.fed_mwh[:, rows, 0].sum()
        along = (sums.cost, sums.co2, sums.unpriced_mwh, sums.uncounted_mwh)
        self._link(above, name, energy, *(column[rows, 0].sum() for column in along))

    def _share(
        self,
        givers: Iterable[tuple[str, int]],
        source: Source,
        kind: str,
        carried: tuple[Ints, Ints, Ints, Ints] | None,
    ) -> None:
        """Share what a source fed among its givers, target by target; all sums stay exact."""
        sums = self._sums
        named = [(name, row) for name, row in givers if self._given(row)]
        if not named:
            return
        rest = np.array([[self._given(row)] for _, row in named])
        for name, row in named:
            self._add(Node(name, kind, sums.meters[row].device if row >= 0 else ""))
        for target, rows in self._targets:
            energy = np.array([sums.fed_mwh[source, rows, 0].sum()])
            parts = spread(energy, rest, rest.sum(axis=0))
            rest = rest - parts
            along = [np.zeros_like(parts)] * 4
            if carried is not None:
                along = [priced(np.array([one[rows, 0].sum()]), parts, energy) for one in carried]
            for at, (name, _) in enumerate(named):
                self._link(name, target, parts[at, 0], *(column[at, 0] for column in along))

    def _given(self, row: int) -> int:
        sums = self._sums
        return int(sums.give_mwh[row, 0]) if row >= 0 else int(sums.residual_mwh[-1 - row, 0])

    def _add(self, node: Node) -> None:
        self.nodes.setdefault(node.id, node)

    def _link(self, source: str, target: str, energy: Any, *along: Any) -> None:
        if energy:
            cost, co2, unpriced, uncounted = (int(amount) for amount in along)
            self.links.append(Link(source, target, int(energy), cost, co2, unpriced, uncounted))


def _below(
    device: str, children: Mapping[str, Sequence[str]], rows: Mapping[str, list[int]]
) -> Iterable[int]:
    yield from rows.get(device, ())
    for child in children.get(device, ()):
        yield from _below(child, children, rows)


def flows_json(sums: SiteSums, now_ms: int) -> dict[str, Any]:
    """The graph of one bucket; energy in Wh, cost as text, CO2 in kg."""
    nodes, links = flow_graph(sums)
    return {
        "nodes": [{"id": node.id, "kind": node.kind, "device": node.device} for node in nodes],
        "links": [
            {
                "source": link.source,
                "target": link.target,
                "energy": wh(link.energy_mwh),
                "cost": Money(link.cost, link.unpriced_mwh).text(),
                "pending_kwh": kwh_text(link.unpriced_mwh),
                "co2": kg(link.co2) if link.co2 or not link.uncounted_mwh else None,
            }
            for link in links
        ],
        "earned": export_money(sums, 0).text(),
        "complete": complete_share(sums, 0, now_ms),
    }


# --- devices


def devices_json(sums: SiteSums, now_ms: int) -> dict[str, Any]:
    """Use, sources, cost and CO2 of every device, and the lines that make them the whole site, of one bucket."""
    behind: dict[str, list[int]] = {}
    for at, use in enumerate(sums.uses):
        if use.device:
            behind.setdefault(use.device, []).append(at)
    devices = [
        {
            "device": meter.device,
            "role": meter.role.value,
            "parent": meter.parent,
            "metered": wh(sums.shown_take_mwh[row, 0]) if sums.seen[row, 0] else None,
            **_part(sums, behind[meter.device], told=bool(sums.seen[row, 0])),
            "quality": sums.quality(0, [row], now_ms).as_json(),
        }
        for row, meter in enumerate(sums.meters)
        if meter.device in behind
    ]
    return {
        "devices": devices,
        "not_measured": _part(sums, [len(sums.uses) - 1]),
        "export": {
            **_part(sums, [0]),
            "earned": export_money(sums, 0).text(),
        },
        "battery_loss": _stock_part(sums.lost),
        "stock_change": _stock_part(sums.change),
        "total": {"cost": money_rows(sums)[0], "co2": carbon_rows(sums)[0]},
        "complete": complete_share(sums, 0, now_ms),
    }


def _part(sums: SiteSums, rows: list[int], *, told: bool = True) -> dict[str, Any]:
    """Rows of the uses as one line."""
    fed = sums.fed_mwh[:, rows, 0].sum(axis=1)
    energy = int(fed.sum())
    pending = int(sums.unpriced_mwh[rows, 0].sum())
    uncounted = int(sums.uncounted_mwh[rows, 0].sum())
    co2 = int(sums.co2[rows, 0].sum())
    return {
        "energy": wh(energy) if told or energy else None,
        "sources": {source.name.lower(): wh(fed[source]) for source in Source},
        "cost": Money(int(sums.cost[rows, 0].sum()), pending).text(),
        "pending_kwh": kwh_text(pending),
        "co2": kg(co2) if co2 or not uncounted else None,
    }


def _stock_part(column: Ints) -> dict[str, Any]:
    energy, _, cost, co2, pending, uncounted = (int(amount) for amount in column[:, 0])
    return {
        "energy": wh(energy),
        "cost": Money(cost, max(pending, 0)).text(),
        "pending_kwh": kwh_text(pending),
        "co2": kg(co2) if co2 or not uncounted else None,
    }
