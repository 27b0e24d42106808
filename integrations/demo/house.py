"""The simulated house: pure, exact and without a beginning that matters.

Inside, powers are whole milliwatts (steps of 0.1 W) that hold for a minute, energies whole millijoules. At every
instant import + production + discharge = export + charge + consumption, exactly. Days are simulated one by one;
what one hands to the next (registers, charge of the battery) is kept, so that a range asked for alone equals the
same range of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from threading import Lock

import numpy as np

from integrations.demo.battery import Battery
from integrations.demo.noise import Float64, Int64, Noise
from integrations.demo.site import MINUTES_PER_DAY, Site
from integrations.demo.sky import sky_of
from integrations.demo.uses import MEASURED, Uses

FLOWS = ("import", "export", "production", "charge", "discharge", "consumption", *MEASURED)
"""Energies that are counted, in this order."""

_ROW = {name: row for row, name in enumerate(FLOWS)}
_GRID_ROWS = np.array([_ROW["import"], _ROW["export"], _ROW["consumption"]])
_MJ_PER_MWH = 3600
_STEP_MW = 100
_CACHED_DAYS = 4
_TREMBLE_SHARE = 0.035


@dataclass(frozen=True, slots=True)
class Columns:
    """Readings of the whole house at times ``ts_ms``; ``values`` by public id (``grid.power``).

    Powers in W are means since the row before (over one step), signs by role: grid import, production,
    discharge and consumption are above zero. Registers in Wh, to the mWh. ``consumption_w`` is what the whole
    house used, which no meter of it shows.
    """

    ts_ms: Int64
    values: dict[str, Float64]
    consumption_w: Float64


@dataclass(frozen=True, slots=True)
class _State:
    """What one day hands to the next: registers in mJ in the order of :data:`FLOWS`, and the battery's mJ."""

    energy_mj: Int64
    stored_mj: int


@dataclass(frozen=True, slots=True)
class _Day:
    """One UTC day: mW per flow and minute, mJ at each minute's beginning and the day's end."""

    power_mw: Int64
    energy_mj: Int64
    stored_mj: Int64
    temperature: Float64
    voltage: Float64
    tremble_mw: Int64
    """Per minute three amplitudes by which the house flickers within it; their sum over the minute is zero."""


class House:
    """One house; several threads may ask it, one after the other."""

    def __init__(self, seed: int, site: Site) -> None:
        self.site = site
        self._noise = Noise(seed)
        self._uses = Uses(self._noise, site)
        self._battery = Battery.of(site)
        begin = _State(np.zeros(len(FLOWS), np.int64), self._battery.capacity_mj // 2)
        self._states = [begin]
        self._days: dict[int, _Day] = {}
        self._asked = Lock()

    def columns(self, start_ms: int, end_ms: int, step_s: int) -> Columns:
        """Readings at every whole multiple of ``step_s`` (UTC) in ``[start_ms, end_ms)``.

        Raises:
            ValueError: a step that is not 1 s…1 day, or a range that begins less than one step after the
                house was built.
        """
        if not 1 <= step_s <= 86_400:
            raise ValueError(f"a step of {step_s} s cannot be simulated")
        step_ms = step_s * 1000
        first_ms = start_ms + -start_ms % step_ms
        if first_ms - step_ms < self.site.first_ms:
            raise ValueError(f"the house was built on {self.site.since}: nothing is known before")
        edges_s = np.arange(first_ms - step_ms, max(end_ms, first_ms - step_ms + 1), step_ms) // 1000
        with self._asked:
            return self._read(edges_s, step_s)

    def prepare(self, day: int) -> None:
        """Simulate up to a UTC day, so that asking for it is quick."""
        with self._asked:
            self._state(max(day - self.site.first_day, 0))

    def _read(self, edges_s: Int64, step_s: int) -> Columns:
        """Rows at all edges but the first."""
        energy = np.empty((len(FLOWS), len(edges_s)), np.int64)
        stored, temperature, voltage = (np.empty(len(edges_s)) for _ in range(3))
        day_of = edges_s // 86_400
        borders = np.flatnonzero(np.diff(day_of, prepend=day_of[0] - 1, append=day_of[-1] + 1)).tolist()
        for low, high in pairwise(borders):
            day = self._day(int(day_of[low]))
            minute, rest = np.divmod(edges_s[low:high] % 86_400, 60)
            energy[:, low:high] = day.energy_mj[:, minute] + day.power_mw[:, minute] * rest
            if rest.any():
                energy[_GRID_ROWS, low:high] += _tremble_mj(day, minute, rest)
            into = rest / 60.0
            stored[low:high] = day.stored_mj[minute] * (1.0 - into) + day.stored_mj[minute + 1] * into
            temperature[low:high], voltage[low:high] = day.temperature[minute], day.voltage[minute]
        return self._shown(edges_s, step_s, energy, stored, temperature, voltage)

    def _shown(
        self,
        edges_s: Int64,
        step_s: int,
        energy_mj: Int64,
        stored_mj: Float64,
        temperature: Float64,
        voltage: Float64,
    ) -> Columns:
        power = {name: np.diff(energy_mj[row]) / (1000.0 * step_s) for name, row in _ROW.items()}
        register = {name: energy_mj[row, 1:] // _MJ_PER_MWH / 1000.0 for name, row in _ROW.items()}
        values = {
            "grid.power": power["import"] - power["export"],
            "grid.energy_import": register["import"],
            "grid.energy_export": register["export"],
            "grid.voltage": voltage[1:],
            "solar.power": power["production"],
            "solar.energy": register["production"],
            "battery.power": power["discharge"] - power["charge"],
            "battery.soc": np.round(stored_mj[1:] * (100.0 / self._battery.capacity_mj), 1),
            "battery.energy_import": register["charge"],
            "battery.energy_export": register["discharge"],
            "heat-pump.temperature": temperature[1:],
        }
        for name in MEASURED:
            values[f"{name}.power"] = power[name]
            values[f"{name}.energy"] = register[name]
        return Columns(edges_s[1:] * 1000, values, power["consumption"])

    def _state(self, index: int) -> _State:
        """State at the beginning of the day ``index`` after the first."""
        while len(self._states) <= index:
            self._day(self.site.first_day + len(self._states) - 1)
        return self._states[index]

    def _day(self, day: int) -> _Day:
        if day in self._days:
            return self._days[day]
        index = day - self.site.first_day
        simulated = self._simulated(day, self._state(index))
        if len(self._states) == index + 1:
            self._states.append(_State(simulated.energy_mj[:, -1].copy(), int(simulated.stored_mj[-1])))
        if len(self._days) >= _CACHED_DAYS:
            del self._days[next(iter(self._days))]
        self._days[day] = simulated
        return simulated

    def _simulated(self, day: int, state: _State) -> _Day:
        minute = day * MINUTES_PER_DAY + np.arange(MINUTES_PER_DAY, dtype=np.int64)
        sky = sky_of(self._noise, self.site, day)
        uses, whole = self._uses.of_day(day, sky)
        consumption, production = _whole_mw(whole), _whole_mw(self._roof_w(sky.roof, sky.temperature))
        # a regulator measures, then acts: it misses the mark by some watts
        miss = _whole_mw(12.0 + 9.0 * self._noise.normal("regulator", minute))
        charged, stored = self._battery.day(production - consumption + miss, state.stored_mj)
        battery = np.array(charged, np.int64)
        grid = consumption + battery - production
        parts = {
            "import": np.maximum(grid, 0),
            "export": np.maximum(-grid, 0),
            "production": production,
            "charge": np.maximum(battery, 0),
            "discharge": np.maximum(-battery, 0),
            "consumption": consumption,
        } | {name: _whole_mw(watts) for name, watts in uses.items()}
        power_mw = np.stack([parts[name] for name in FLOWS])
        energy_mj = np.empty((len(FLOWS), MINUTES_PER_DAY + 1), np.int64)
        energy_mj[:, 0] = state.energy_mj
        np.cumsum(power_mw * 60, axis=1, out=energy_mj[:, 1:])
        energy_mj[:, 1:] += state.energy_mj[:, None]
        return _Day(
            power_mw,
            energy_mj,
            np.array(stored, np.int64),
            sky.temperature,
            self._voltage(minute, grid),
            self._tremble(minute, grid, consumption),
        )

    def _roof_w(self, irradiance: Float64, temperature: Float64) -> Float64:
        """AC power: cells lose 0.36 % per K, wires and inverter 12 %, the inverter ends at 92 % of the cells."""
        cells = temperature + irradiance * 0.03
        power = (
            self.site.roof_w * self.site.scale * irradiance / 1000.0 * 0.88 * (1.0 - 0.0036 * (cells - 25.0))
        )
        power = np.minimum(power, self.site.roof_w * self.site.scale * 0.92)
        return np.asarray(np.where(power < 12.0, 0.0, power))

    def _voltage(self, minute: Int64, grid_mw: Int64) -> Float64:
        wander = 1.6 * self._noise.smooth("voltage", minute, 90.0) + 0.4 * self._noise.normal("volts", minute)
        return np.asarray(np.round(233.0 + wander - grid_mw * 4e-7, 1), np.float64)

    def _tremble(self, minute: Int64, grid_mw: Int64, consumption_mw: Int64) -> Int64:
        """Never so much that import turns into export: registers would tell another story by the minute."""
        room = np.minimum(np.abs(grid_mw), (consumption_mw * _TREMBLE_SHARE).astype(np.int64))
        drawn = np.stack([self._noise.uniform(f"tremble {part}", minute) for part in range(3)])
        return (drawn * room).astype(np.int64) // _STEP_MW * _STEP_MW


def _whole_mw(watts: Float64) -> Int64:
    return np.rint(watts * (1000 // _STEP_MW)).astype(np.int64) * _STEP_MW


def _tremble_mj(day: _Day, minute: Int64, rest_s: Int64) -> Int64:
    """What the flicker adds to import, export and consumption between a minute's beginning and ``rest_s``.

    Each amplitude is up for ten seconds and down for ten, so at the minute's end nothing is left.
    """
    place = rest_s[None, :] - 20 * np.arange(3)[:, None]
    shape = np.clip(10 - np.abs(place - 10), 0, 10)
    extra = (day.tremble_mw[:, minute] * shape).sum(axis=0)
    imports = day.power_mw[_ROW["import"], minute] > 0
    return np.stack([np.where(imports, extra, 0), np.where(imports, 0, -extra), extra])


@lru_cache(maxsize=4)
def house_of(seed: int, site: Site) -> House:
    """The house of a seed and a site; kept, for its days up to now cost some seconds."""
    return House(seed, site)


def simulate(seed: int, site: Site, start_ms: int, end_ms: int, step_s: int) -> Columns:
    """Readings of a house in ``[start_ms, end_ms)``; the same arguments give the same bits. See :class:`House`."""
    return house_of(seed, site).columns(start_ms, end_ms, step_s)
