"""Small sums over measured times."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np


def percentile(samples: Sequence[float], share: float) -> float:
    """The value that ``share`` (0 to 100) of the samples do not exceed; NaN without samples."""
    return float(np.percentile(samples, share)) if len(samples) else float("nan")


def median_s(work: Callable[[], object], times: int) -> float:
    """Median duration of several runs in seconds."""
    taken = []
    for _ in range(times):
        begin_s = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin_s)
    return percentile(taken, 50)
