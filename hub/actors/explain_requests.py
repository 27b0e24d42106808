"""What may be asked about the making of a figure; :class:`hub.actors.explain_desk.ExplainDesk` answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from hub.energy.explain import USUAL_CHILDREN, Shown
from hub.runtime.actor import Request

METRICS: Final = ("energy", "figure", "device", "bill")
FIGURES: Final = (
    "use", "import", "export", "production", "charge", "discharge", "not_measured", "other_source",
    "self_consumption", "battery_loss", "stock_change", "co2",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class View:
    """Which part of the tree is shown: see :func:`hub.energy.explain.explained`."""

    path: str = ""
    depth: int = 1
    limit: int = USUAL_CHILDREN
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """A part of the tree of the figure of ``[start_ms, end_ms)``; borders inside a slot were moved."""

    metric: str
    name: str
    start_ms: int
    end_ms: int
    shown: Shown

    def as_json(self) -> dict[str, Any]:
        """As the API shows it; times are epoch milliseconds."""
        return {
            "metric": self.metric,
            "name": self.name,
            "start": self.start_ms,
            "end": self.end_ms,
            "node": self.shown.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Explain(Request[Explanation]):
    """Why is this number what it is?

    ``name`` is the series of ``energy``, one of :data:`FIGURES` of ``figure``, a device or a metering point.

    Raises:
        NotFound: an unknown series, device, metering point, tariff or path.
        Refused: ``WL-NRG-011`` what has no amount, ``WL-NRG-012`` a figure nobody knows, ``WL-API-031`` too long,
            ``WL-API-032`` an empty range.
    """

    metric: str
    name: str
    start_ms: int
    end_ms: int
    tariff: str | None = None
    view: View = field(default_factory=View)
