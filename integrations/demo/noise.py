"""Random numbers by place instead of by turn: the same index gives the same number, whatever was drawn before.

A simulation that is built on them can begin at any instant and agrees with one that began years earlier.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S11 = (np.uint64(bits) for bits in (27, 30, 31, 11))
_UNIT = 1.0 / (1 << 53)


@lru_cache(maxsize=256)
def _key(seed: int, stream: str) -> np.uint64:
    digest = blake2b(f"{seed}/{stream}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


class Noise:
    """Streams of noise of one seed; a stream is a name."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def uniform(self, stream: str, index: Int64) -> Float64:
        """In [0, 1), one per index (finaliser of SplitMix64)."""
        word = index.astype(np.uint64) * _GOLDEN + _key(self._seed, stream)
        word = (word ^ (word >> _S30)) * _MIX_1
        word = (word ^ (word >> _S27)) * _MIX_2
        word ^= word >> _S31
        return np.asarray((word >> _S11).astype(np.float64) * _UNIT)

    def normal(self, stream: str, index: Int64) -> Float64:
        """Mean 0, deviation 1 (Box and Muller)."""
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform(stream, index)))
        return np.asarray(radius * np.cos(2.0 * np.pi * self.uniform(stream + "'", index)))

    def smooth(self, stream: str, minute: Int64, period_min: float) -> Float64:
        """Noise of deviation 1 that wanders within ``period_min``; ``minute`` ascends."""
        place = minute / period_min
        knot = np.floor(place).astype(np.int64)
        first = int(knot[0])
        values = self.normal(stream, np.arange(first, int(knot[-1]) + 2, dtype=np.int64))
        return blended(values, knot - first, place - knot)

    def weather(self, stream: str, day: Int64, memory: float) -> Float64:
        """Noise of deviation 1 by day, of which ``memory`` (0…1) is left the day after."""
        weights = memory ** np.arange(_MEMORY_DAYS)
        weights /= np.sqrt((weights**2).sum())
        drawn = self.normal(
            stream, np.arange(int(day[0]) - _MEMORY_DAYS + 1, int(day[-1]) + 1, dtype=np.int64)
        )
        return np.convolve(drawn, weights)[_MEMORY_DAYS - 1 : _MEMORY_DAYS - 1 + len(day)]


_MEMORY_DAYS = 20


def blended(values: Float64, at: Int64, share: Float64) -> Float64:
    """Between ``values[at]`` and the next by ``share`` (0…1), without edges and without losing variance."""
    weight = share * share * (3.0 - 2.0 * share)
    mixed = values[at] * (1.0 - weight) + values[at + 1] * weight
    return np.asarray(mixed / np.sqrt(weight**2 + (1.0 - weight) ** 2))
