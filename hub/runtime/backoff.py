"""Exponential back-off with full jitter: many clients of one broken server must not come back together."""

from __future__ import annotations

import random


class Backoff:
    """Waiting times that grow with each failure.

    The n-th wait is drawn evenly from ``floor_s`` to ``min(cap_s, base_s * factor**n)`` ("full jitter", as in
    the AWS architecture note on exponential back-off and jitter).

    Args:
        base_s: upper end of the first wait.
        cap_s: no wait is longer.
        factor: growth per failure.
        floor_s: no wait is shorter.
        rng: source of chance; pass a seeded one for repeatable tests.

    Raises:
        ValueError: for bounds that contradict each other.
    """

    def __init__(
        self,
        base_s: float = 1.0,
        cap_s: float = 60.0,
        *,
        factor: float = 2.0,
        floor_s: float = 0.0,
        rng: random.Random | None = None,
    ) -> None:
        if not 0 < base_s <= cap_s or factor < 1 or not 0 <= floor_s <= base_s:
            raise ValueError(f"base {base_s} s, cap {cap_s} s, factor {factor}, floor {floor_s} s do not fit")
        self._base_s = base_s
        self._cap_s = cap_s
        self._factor = factor
        self._floor_s = floor_s
        self._rng = rng or random.Random()
        self._ceiling_s = base_s
        self._attempts = 0

    @property
    def attempts(self) -> int:
        """Failures since the last :meth:`reset`."""
        return self._attempts

    @property
    def ceiling_s(self) -> float:
        """Upper end of the next wait in seconds."""
        return self._ceiling_s

    def next_s(self) -> float:
        """Seconds to wait now; the next call may answer more."""
        wait_s = self._rng.uniform(self._floor_s, self._ceiling_s)
        self._attempts += 1
        # multiplied step by step: factor**n would overflow after some thousand failures
        self._ceiling_s = min(self._ceiling_s * self._factor, self._cap_s)
        return wait_s

    def reset(self) -> None:
        """It worked: start small again."""
        self._ceiling_s = self._base_s
        self._attempts = 0
