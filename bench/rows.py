"""What a benchmark is given and what it gives back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    ``floor`` is the same thing done by bare code, in the same unit; ``floor_name`` says by which. ``target``
    is met when ``ours`` is at least (``higher``) or at most (``lower``) the target; ``above_floor`` compares
    ``ours - floor`` with the target instead. ``cpu_us`` is CPU time of the hub process (all its threads) per
    ``cpu_per``, and ``floor_cpu_us`` that of the floor: they say the same on a busy machine, within a third.
    """

    name: str
    ours: float
    unit: str
    better: Better = "higher"
    floor: float | None = None
    floor_name: str = ""
    target: float | None = None
    above_floor: bool = False
    cpu_us: float | None = None
    floor_cpu_us: float | None = None
    cpu_per: str = "value"
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours as a multiple of the floor."""
        return self.ours / self.floor if self.floor else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none, or no floor to compare with."""
        if self.target is None or (self.above_floor and self.floor is None):
            return None
        measured = self.ours - (self.floor or 0.0) if self.above_floor else self.ours
        return measured >= self.target if self.better == "higher" else measured <= self.target


@dataclass(slots=True)
class Context:
    """Settings of one run. ``quick`` asks for shorter measurements; ``shared`` keeps what several need."""

    root: Path
    quick: bool = False
    shared: dict[str, object] = field(default_factory=dict)

    @contextmanager
    def directory(self, name: str) -> Iterator[Path]:
        """A directory that is gone afterwards."""
        path = Path(mkdtemp(prefix=f"{name}-", dir=self.root))
        try:
            yield path
        finally:
            rmtree(path, ignore_errors=True)
