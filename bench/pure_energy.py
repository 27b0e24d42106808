"""How fast the pure energy core is: derive, live fold, period sums, calendar. Prints one line each."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from hub.energy.calendar import local_days, local_hours
from hub.energy.derive import derive
from hub.energy.live import LiveSlots
from hub.energy.periods import aggregate_many
from hub.energy.slots import Readings, Rule
from hub.model.series import Behaviour
from hub.model.units import Quantity

T0_MS = 1_767_225_600_000
DAY_MS = 86_400_000
RULES = {
    "power": Rule(Behaviour.GAUGE, Quantity.POWER),
    "temperature": Rule(Behaviour.GAUGE, Quantity.TEMPERATURE),
    "energy": Rule(Behaviour.COUNTER, Quantity.ENERGY),
    "pulses": Rule(Behaviour.DELTA, Quantity.ENERGY),
}


def best_s(work: Callable[[], object], times: int = 7) -> float:
    """Shortest of several runs in seconds of CPU, so that a busy machine does not count."""
    taken = []
    for _ in range(times):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return min(taken)


def a_day(rule: Rule) -> Readings:
    """A day of 10 s readings."""
    ts = T0_MS + np.arange(8640, dtype=np.int64) * 10_000
    power_w = np.random.default_rng(1).integers(0, 5000, 8640) / 2
    register_wh = 1e6 + np.round(np.cumsum(power_w / 360), 3)
    value = register_wh if rule.behaviour is Behaviour.COUNTER else power_w
    return Readings.of(ts.tolist(), value.tolist())


def bench_derive() -> None:
    for name, rule in RULES.items():
        readings = a_day(rule)
        taken = best_s(partial(derive, rule, readings, T0_MS, T0_MS + DAY_MS, from_first=True))
        print(
            f"derive a day of 10 s {name:<12} {taken * 1e3:7.2f} ms  {8640 / taken / 1e6:6.2f} M readings/s"
        )


def faulty(readings: Readings, share: float) -> Readings:
    """The same with some readings of a meter at work replaced: zeros, jitter, spikes, in equal parts."""
    random = np.random.default_rng(2)
    value = readings.value.copy()
    bad = random.random(len(value)) < share
    bad[0] = False
    shown = np.stack([np.zeros(len(value)), value * 0.9995, value + 1e9])
    value[bad] = shown[random.integers(0, 3, len(value)), np.arange(len(value))][bad]
    return Readings.of(readings.ts_ms.tolist(), value.tolist())


def bench_faults() -> None:
    for share in (0.001, 0.01, 0.1):
        readings = faulty(a_day(RULES["energy"]), share)
        work = partial(derive, RULES["energy"], readings, T0_MS, T0_MS + DAY_MS, from_first=True)
        taken = best_s(work)
        print(
            f"derive a day of 10 s energy, {share:5.1%} faults {taken * 1e3:7.2f} ms"
            f"  {8640 / taken / 1e6:6.2f} M readings/s"
        )


def bench_live(series_count: int, batch_rows: int) -> None:
    """Rows of all series in turn, one reading per series and second."""
    live = LiveSlots()
    rules = [list(RULES.values())[no % 4] for no in range(series_count)]
    for no, rule in enumerate(rules):
        readings = Readings.of([T0_MS], [1e6])
        live.start(no, rule, derive(rule, readings, T0_MS - DAY_MS, T0_MS + DAY_MS, from_first=True))
    count = max(40_000 // batch_rows, 40)
    rows = np.arange(count * batch_rows)
    series = (rows % series_count).astype(np.int32)
    ts = T0_MS + 1000 * (1 + rows // series_count)
    value = np.where(series % 4 == 2, 1e6 + rows * 0.001, 20.0)
    flags = np.zeros(len(rows), np.uint8)
    begin = time.perf_counter()
    for low in range(0, len(rows), batch_rows):
        part = slice(low, low + batch_rows)
        if live.fold(series[part], ts[part], value[part], flags[part]).left:
            raise SystemExit("an ordinary stream left the fast path")
    taken = time.perf_counter() - begin
    begin = time.perf_counter()
    live.take_changed()
    taken_ms = (time.perf_counter() - begin) * 1e3
    print(
        f"live {series_count:5d} series x {batch_rows:5d} rows  {taken / count * 1e6:8.1f} µs/call"
        f"  {taken / len(rows) * 1e6:6.3f} µs/row  take {taken_ms:.2f} ms"
    )


def bench_calendar() -> None:
    year_ms = 365 * DAY_MS
    begin = time.perf_counter()
    hours = local_hours("Europe/Paris", T0_MS, T0_MS + year_ms)
    cold_ms = (time.perf_counter() - begin) * 1e3
    days_ms = best_s(lambda: local_days("America/Santiago", T0_MS, T0_MS + year_ms), times=1) * 1e3
    print(f"calendar: a year of {len(hours)} hours {cold_ms:.2f} ms cold, of days {days_ms:.2f} ms cold")


def bench_periods() -> None:
    """200 series over a year of slots."""
    deltas = np.random.default_rng(1).integers(0, 2**31 - 1, (200, 365 * 96), dtype=np.int32)
    for name, found in (
        ("hours", local_hours("Europe/Paris", T0_MS, T0_MS + 365 * DAY_MS)),
        ("days", local_days("Europe/Paris", T0_MS, T0_MS + 365 * DAY_MS)),
    ):
        taken = best_s(partial(aggregate_many, deltas, T0_MS, found.start_ms, found.end_ms))
        print(f"periods: 200 series x 35,040 slots -> {name:<5} {taken * 1e3:.1f} ms")


def main() -> None:
    """Run all."""
    bench_derive()
    bench_faults()
    for series_count, batch_rows in ((5, 50), (50, 100), (200, 1000), (1000, 1000), (1000, 5000)):
        bench_live(series_count, batch_rows)
    bench_calendar()
    bench_periods()


if __name__ == "__main__":
    main()
