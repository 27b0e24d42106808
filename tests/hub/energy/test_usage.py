"""Usage on a grid of slots."""

from __future__ import annotations

import numpy as np
import pytest

from hub.energy.usage import Usage
from hub.errors import Refused
from tests.hub.energy.tariffs import SLOT_MS


def test_another_grid_keeps_what_it_holds_and_knows_no_more() -> None:
    usage = Usage.measured(10 * SLOT_MS, [1, 2, 3], [4, 5, 6])

    wider = usage.grid(8 * SLOT_MS, 6)

    assert wider.import_mwh.tolist() == [0, 0, 1, 2, 3, 0]
    assert wider.export_known.tolist() == [False, False, True, True, True, False]
    assert wider.measured_ms.tolist() == [0, 0, SLOT_MS, SLOT_MS, SLOT_MS, 0]
    assert usage.grid(12 * SLOT_MS, 1).import_mwh.tolist() == [3]
    assert usage.grid(20 * SLOT_MS, 2).import_known.tolist() == [False, False]


def test_grids_that_do_not_fit_are_refused() -> None:
    with pytest.raises(Refused, match="quarter hour"):
        Usage.measured(0, [1]).grid(1, 1)


def test_columns_of_measured_usage_are_its_own() -> None:
    usage = Usage.measured(0, np.array([1, 2]))
    usage.late_ms[0] = 5

    assert usage.estimated_ms.tolist() == [0, 0]
