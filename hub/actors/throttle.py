"""A brake on guessing: so many tries at once, then one per minute, per key (an address, an account)."""

from __future__ import annotations

from collections import OrderedDict

from hub.errors import RetryLater


class TooManyTries(RetryLater):
    """Slow down (HTTP 429 with Retry-After)."""


class Throttle:
    """Token buckets by key; the least recently used ones are forgotten beyond ``max_keys``.

    Args:
        burst: tries that are free after a quiet time.
        every_s: one more try becomes free after this time.
    """

    def __init__(self, burst: int = 10, every_s: float = 60.0, max_keys: int = 20_000) -> None:
        self._burst = burst
        self._every_s = every_s
        self._max_keys = max_keys
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def take(self, keys: tuple[str, ...], now_s: float) -> None:
        """Count one try under each key; ``now_s`` is monotonic.

        Raises:
            TooManyTries: ``WL-AUTH-031``; nothing was counted.
        """
        wait_s = max(self._wait_s(key, now_s) for key in keys)
        if wait_s > 0:
            raise TooManyTries(
                "WL-AUTH-031",
                f"too many tries; the next one is possible in {wait_s:.0f} s",
                hint="wait, then try again",
                retry_after_s=wait_s,
            )
        for key in keys:
            self._full_at_s[key] = max(self._full_at_s.get(key, now_s), now_s) + self._every_s
            self._full_at_s.move_to_end(key)
        while len(self._full_at_s) > self._max_keys:
            self._full_at_s.popitem(last=False)

    def give_back(self, keys: tuple[str, ...]) -> None:
        """Take one counted try back: it was a good one."""
        for key in keys:
            if key in self._full_at_s:
                self._full_at_s[key] -= self._every_s

    def _wait_s(self, key: str, now_s: float) -> float:
        used_s = self._full_at_s.get(key, now_s) - now_s
        return used_s - (self._burst - 1) * self._every_s
