"""Which of a device's powers is its power now."""

from __future__ import annotations

import pytest

from hub.actors.board import LatestBoard
from hub.actors.live import live_view
from hub.actors.registry import Registry
from hub.energy.balance import Flow
from hub.model.device import Device
from hub.model.series import Role, Series, SeriesNo, known_series
from hub.model.units import STORED_UNIT

NOW_MS = 1_764_000_000_000


def flows(role: Role, **powers: float | None) -> dict[str, float]:
    """What the live balance makes of one device with these newest powers."""
    registry, board = Registry(), LatestBoard()
    registry.put_device(Device("m", "m", "test", role=role))
    for number, (key, value) in enumerate(powers.items()):
        info = known_series(key)
        unit = STORED_UNIT[info.quantity]
        registry.put(Series(SeriesNo(number), "m", key, info.quantity, unit, info.behaviour, info.direction))
        board.cover(number + 1)
        if value is not None:
            board.set(number, NOW_MS - 1000 * number, value, 0)
    view = live_view(registry, board, NOW_MS)
    return {
        flow.value: view.balance.flow_mw(flow) / 1000
        for flow in Flow
        if flow is not Flow.NOT_MEASURED and view.balance.flow_mw(flow)
    }


@pytest.mark.parametrize(
    ("role", "powers", "expected"),
    [
        (Role.GRID, {"power": 700.0, "power_l1": 1.0}, {"import": 700.0}),
        (Role.GRID, {"power_l1": 500.0, "power_l2": -300.0, "power_l3": 100.0}, {"import": 300.0}),
        (Role.GRID, {"power_l1": 500.0, "power_l2": None}, {}),
        (Role.GRID, {"power_import": 0.0, "power_export": 400.0}, {"export": 400.0}),
        (Role.SOLAR, {"power_import": 5.0, "power_export": 905.0}, {"production": 900.0}),
        (Role.SOLAR, {"power_import": 900.0}, {"production": 900.0}),
        (Role.BATTERY, {"power_import": 800.0, "power_export": 0.0}, {"charge": 800.0}),
        (Role.BATTERY, {"power": 800.0}, {"discharge": 800.0}),
        (Role.EV, {"power_import": 800.0, "power_export": 0.0}, {"consumption": 800.0}),
    ],
)
def test_the_power_of_a_device(
    role: Role, powers: dict[str, float | None], expected: dict[str, float]
) -> None:
    assert flows(role, **powers) == expected
