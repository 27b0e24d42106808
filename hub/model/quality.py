"""Quality: which part of a figure's time was measured, and what happened to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag


class Flag(IntFlag):
    """What happened inside a slot, a day or a total."""

    NONE = 0
    RESET = 1
    ROLLOVER = 2
    SWAPPED = 4
    CORRECTED = 8
    GAP = 16
    CONFLICT = 32
    ARCHIVED = 64

    def names(self) -> list[str]:
        """Lower-case names of the set flags, as the API shows them."""
        return [str(flag.name).lower() for flag in Flag if flag.value and flag in self]


class ReadingFlag(IntFlag):
    """Beside each reading; zero for nearly all of them. Only ``LATE`` is stored, the others are a person's word.

    ``ACCEPTED``: good whatever physics says. ``REJECTED``: wrong and ignored, though it looks plausible.
    """

    NONE = 0
    LATE = 1
    ACCEPTED = 2
    REJECTED = 4


@dataclass(frozen=True, slots=True)
class Quality:
    """Shares of time in 0…1; with ``missing`` they sum to 1. Complete = measured + late."""

    measured: float
    late: float
    estimated: float
    suspect: float
    missing: float
    flags: Flag = Flag.NONE

    def as_json(self) -> dict[str, object]:
        """Only what is there: ``{"measured": 1.0}`` for a clean slot."""
        shares: dict[str, object] = {
            name: round(share, 6)
            for name, share in (
                ("measured", self.measured),
                ("late", self.late),
                ("estimated", self.estimated),
                ("suspect", self.suspect),
                ("missing", self.missing),
            )
            if share > 0
        }
        if self.flags:
            shares["flags"] = self.flags.names()
        return shares


def shares(
    duration_ms: int, measured_ms: int, late_ms: int, estimated_ms: int, suspect_ms: int, flags: int = 0
) -> Quality:
    """Shares from times; what the parts leave open is missing. A duration of 0 is wholly missing."""
    if duration_ms <= 0:
        return Quality(0.0, 0.0, 0.0, 0.0, 1.0, Flag(flags))
    known_ms = measured_ms + late_ms + estimated_ms + suspect_ms
    missing_ms = max(duration_ms - known_ms, 0)
    return Quality(
        measured_ms / duration_ms,
        late_ms / duration_ms,
        estimated_ms / duration_ms,
        suspect_ms / duration_ms,
        missing_ms / duration_ms,
        Flag(flags),
    )
