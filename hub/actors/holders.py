"""Who holds the event loop again and again, and so holds up everybody else."""

from __future__ import annotations

from collections import deque

from hub.runtime.watchdog import LoopBlocked

LONG_S = 0.25
BLOCKS = 5
WINDOW_S = 60.0


class LoopHolders:
    """Counts the long blocks of each owner: ``BLOCKS`` of at least ``LONG_S`` within ``WINDOW_S`` are too many."""

    def __init__(self) -> None:
        self._blocks: dict[str, deque[float]] = {}

    def too_many(self, event: LoopBlocked, now_s: float) -> bool:
        """Note a block; True when its owner has now held the loop too often, then the count begins anew."""
        if event.duration_s < LONG_S or not event.label.startswith("plugin:"):
            return False
        blocks = self._blocks.setdefault(event.label, deque(maxlen=BLOCKS))
        blocks.append(now_s)
        if len(blocks) < BLOCKS or now_s - blocks[0] > WINDOW_S:
            return False
        del self._blocks[event.label]
        return True
