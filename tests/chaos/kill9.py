"""Kill the hub again and again while readings arrive, and count what was lost, doubled or made up.

    python -m tests.chaos.kill9 --runs 100 --rate 2000

Six tenths of the readings come by MQTT (QoS 1, through a mosquitto of the test's own), three tenths as JSON and
line protocol over HTTP, one poll of a Modbus device runs beside them. After each kill the hub is started again (a
fifth of the starts is killed as well), the senders get rid of what was not acknowledged, and the store is judged.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from tests.chaos import store
from tests.chaos.deadline import until
from tests.chaos.hub_process import HubProcess, quiet_config
from tests.chaos.ledger import Ledger, Verdict
from tests.chaos.loads import HttpLoad, Meter, ModbusMeter, MqttLoad, modbus_entry, mqtt_entry, under_load
from tests.peers.mosquitto import Mosquitto

DRAIN_LIMIT_S = 60.0
DERIVE_LIMIT_S = 60.0
FIRST_KILL_S, LAST_KILL_S = 0.2, 5.0
KILLED_STARTS = 0.2


@dataclass(frozen=True, slots=True)
class Round:
    """One kill: when, how long until ready again, and the verdicts."""

    killed_after_s: float
    ready_s: float
    drained_s: float
    verdict: Verdict
    damage: str
    conflicts: int
    not_derived: tuple[str, ...]

    @property
    def faults(self) -> list[str]:
        """What is wrong, in words."""
        faults = [] if self.verdict.clean else [str(self.verdict)]
        faults += [] if self.damage == "ok" else [f"integrity_check: {self.damage}"]
        faults += [f"{self.conflicts} conflicts"] if self.conflicts else []
        return faults + [f"{one} differs from its rebuild" for one in self.not_derived]


@dataclass
class Bench:
    """Hub, broker, senders and ledger of one run of kills."""

    hub: HubProcess
    broker: Mosquitto
    ledger: Ledger
    mqtt: MqttLoad
    http: Sequence[HttpLoad]
    modbus: ModbusMeter
    meters: Sequence[Meter]
    chance: random.Random
    rounds: list[Round] = field(default_factory=list)

    async def round(self, last_kill_s: float) -> Round:
        """One kill under load, one recovery, one judgement."""
        kill_after_s = self.chance.uniform(FIRST_KILL_S, last_kill_s)
        async with under_load(self.mqtt, *self.http):
            await asyncio.sleep(
                kill_after_s
            )  # the load runs; there is nothing to wait for but the hour of death
            self.hub.kill()
            if self.chance.random() < KILLED_STARTS:
                self.hub.spawn()
                await asyncio.sleep(self.chance.uniform(0.0, 1.5))
                self.hub.kill()
            ready_s = await self.hub.start()
        self.modbus.busy = True  # so that the store comes to rest and can be compared
        began_s = time.monotonic()
        verdict = await self._drained()
        done = Round(
            kill_after_s,
            ready_s,
            time.monotonic() - began_s,
            verdict,
            await asyncio.to_thread(store.damage, self.hub.database_path),
            store.count(self.hub.database_path, "conflicts"),
            tuple(await self._derived()),
        )
        self.modbus.busy = False
        self.rounds.append(done)
        return done

    async def totals_are_the_ledgers(self) -> list[str]:
        """Registers whose derived energy is not last minus first of the ledger, to 1e-9 kWh."""
        wrong = []
        for meter in self.meters:
            series = f"{meter.device}.energy_import"
            values = sorted((ts, value) for (name, ts), value in self.ledger.sent.items() if name == series)
            if not values:
                continue
            wanted_wh = values[-1][1] - values[0][1]
            found_wh = await asyncio.to_thread(store.energy_wh, self.hub.database_path, series)
            if abs(found_wh - wanted_wh) > 1e-6:
                wrong.append(f"{series}: {found_wh} Wh, the ledger says {wanted_wh} Wh")
        return wrong

    async def _drained(self) -> Verdict:
        """Wait until the broker has nothing left for the hub; what is absent then is lost."""
        verdict = await self._judge()
        end_s = time.monotonic() + DRAIN_LIMIT_S
        while (verdict.lost or self.mqtt.unacked) and time.monotonic() < end_s:
            await asyncio.sleep(0.2)
            verdict = await self._judge()
        return verdict

    async def _judge(self) -> Verdict:
        rows = await asyncio.to_thread(store.stored_rows, self.hub.database_path)
        return self.ledger.judge(rows)

    async def _derived(self) -> list[str]:
        """Wait until derivation is done; what differs then is wrong."""
        end_s = time.monotonic() + DERIVE_LIMIT_S
        while True:
            wrong = await asyncio.to_thread(store.not_derived, self.hub.database_path)
            if not wrong or time.monotonic() > end_s:
                return wrong
            await asyncio.sleep(0.3)


@contextlib.asynccontextmanager
async def bench(
    folder: Path, rate: float, *, publishers: int = 8, seed: int | None = None
) -> AsyncIterator[Bench]:
    """A started hub with a broker of the test's own and senders that do not send yet."""
    (folder / "broker").mkdir(parents=True, exist_ok=True)
    broker = Mosquitto(folder / "broker").start()
    ledger = Ledger(folder / "ledger.txt")
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(broker.stop)
        stack.callback(ledger.close)
        modbus = ModbusMeter(ledger, "modbus-meter.power")
        port = await modbus.start()
        stack.push_async_callback(modbus.stop)
        config = quiet_config(mqtt_entry(broker.url, "hub"), modbus_entry(port, "modbus-meter"))
        hub = HubProcess(folder, config)
        stack.push_async_callback(hub.close)
        await hub.start()
        await until(lambda: _subscribed(broker), 20, "the hub has subscribed")
        mqtt_meters = [Meter(f"mqtt-{number}") for number in range(publishers)]
        json_meters = [Meter(f"json-{number}") for number in range(4)]
        line_meters = [Meter(f"line-{number}") for number in range(4)]
        mqtt = MqttLoad(broker.port, ledger, rate * 0.6, mqtt_meters, publishers)
        stack.callback(mqtt.close)
        http = [
            HttpLoad(hub, ledger, rate * 0.2, json_meters),
            HttpLoad(hub, ledger, rate * 0.2, line_meters, lines=True),
        ]
        meters = [*mqtt_meters, *json_meters, *line_meters]
        yield Bench(hub, broker, ledger, mqtt, http, modbus, meters, random.Random(seed))


async def _subscribed(broker: Mosquitto) -> bool:
    return "hub 1 chaos/+" in broker.log


async def run(runs: int, rate: float, folder: Path, seed: int | None) -> int:
    """All rounds, with a line each; returns how many had faults."""
    bad = 0
    async with bench(folder, rate, publishers=50, seed=seed) as made:
        for number in range(1, runs + 1):
            done = await made.round(LAST_KILL_S)
            bad += bool(done.faults)
            click.echo(
                f"{number:4d}  killed after {done.killed_after_s:4.2f} s  ready {done.ready_s:4.2f} s"
                f"  drained {done.drained_s:5.2f} s  {done.verdict}  {'; '.join(done.faults) or 'ok'}",
            )
        code, took_s = await made.hub.stop()
        wrong = await made.totals_are_the_ledgers()
        click.echo("\n".join(wrong) or "totals of all registers are those of the ledger")
        ready = sorted(one.ready_s for one in made.rounds)
        click.echo(
            f"{runs - bad}/{runs} rounds without fault; ready again median {statistics.median(ready):.2f} s,"
            f" p95 {ready[int(0.95 * (len(ready) - 1))]:.2f} s; last stop code {code} in {took_s:.2f} s"
        )
        return bad + len(wrong) + (code != 0)


def main() -> None:
    """The command line; exit code 1 where anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--rate", type=float, default=2000.0, help="values a second")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--folder", type=Path, default=None, help="kept afterwards; else a temporary one")
    wanted = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = wanted.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="wattline-kill9-"))
        )
        sys.exit(bool(asyncio.run(run(wanted.runs, wanted.rate, folder, wanted.seed))))


if __name__ == "__main__":
    main()
