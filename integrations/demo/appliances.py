"""What single appliances draw, in W per minute of one run. ``variety`` in 0…1 makes no two runs alike."""

from __future__ import annotations

import numpy as np

from integrations.demo.noise import Float64


def _steps(*steps: tuple[float, float]) -> Float64:
    """(minutes, W) one after the other."""
    return np.repeat(
        np.array([power_w for _, power_w in steps], np.float64), [max(round(m), 0) for m, _ in steps]
    )


def _pulsed(power_w: float, minutes: int, period_min: int, on_share: float) -> Float64:
    """A thermostat: full power for a share of each period."""
    return np.where(np.arange(minutes) % period_min < period_min * on_share, power_w, 0.0)


def kettle(variety: float) -> Float64:
    """Water for coffee."""
    return _steps((2 + 2 * variety, 2050.0))


def toaster() -> Float64:
    """Two rounds."""
    return _steps((3, 850.0), (1, 0.0), (2, 850.0))


def hair_dryer(variety: float) -> Float64:
    """A few minutes in the bathroom."""
    return _steps((3 + 6 * variety, 1250.0))


def hob(variety: float) -> Float64:
    """A meal of 30 to 55 minutes on the hob."""
    return np.concatenate([_steps((5, 2900.0)), _pulsed(1900.0, round(25 + 25 * variety), 4, 0.5) + 120.0])


def oven(variety: float) -> Float64:
    """Heats up, then holds its temperature."""
    return np.concatenate([_steps((11, 2500.0)), _pulsed(2500.0, round(30 + 30 * variety), 6, 0.34)])


def lunch(variety: float) -> Float64:
    """Something quick."""
    return np.concatenate([_steps((4, 2000.0)), _pulsed(1500.0, round(12 + 10 * variety), 4, 0.5)])


def dishwasher(variety: float) -> Float64:
    """Two heating phases between long rinsing."""
    return _steps(
        (6, 55.0), (14 + 5 * variety, 1950.0), (38, 70.0), (11 + 4 * variety, 1950.0), (14, 60.0), (25, 6.0)
    )


def washing_machine(variety: float) -> Float64:
    """Heats for 40 or 60 °C, turns, spins."""
    heating = 13 + 14 * variety
    turning = np.where(np.arange(round(42 + 12 * variety)) % 3 == 0, 95.0, 260.0)
    return np.concatenate([_steps((4, 40.0), (heating, 2050.0)), turning, _steps((9, 420.0), (3, 160.0))])


def tumble_dryer(variety: float) -> Float64:
    """A dryer with a heat pump."""
    return _steps((70 + 40 * variety, 540.0), (6, 180.0))


def television(variety: float) -> Float64:
    """An evening."""
    return _steps((95 + 60 * variety, 118.0))


def vacuum(variety: float) -> Float64:
    """Cleaning the house."""
    return _steps((12 + 18 * variety, 720.0))


def desk(variety: float, minutes: int) -> Float64:
    """Computer and two screens."""
    return _steps((minutes, 95.0 + 60.0 * variety))


def car(wanted_wh: float, power_w: float, variety: float) -> Float64:
    """Full power, then the last tenth fades out; no longer than ten hours."""
    minutes = min(round(wanted_wh * 0.93 / power_w * 60.0), 570)
    fading = np.linspace(0.92, 0.2, 12 + round(10 * variety))
    return np.concatenate([np.full(minutes, power_w), power_w * fading])
