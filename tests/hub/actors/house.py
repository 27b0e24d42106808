"""A small house for actor tests: real actors, a real store, readings by the dozen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hub.actors.board import LatestBoard
from hub.actors.corrections import CorrectionsActor
from hub.actors.device import DeviceActor
from hub.actors.device_requests import Declare
from hub.actors.marks import MarkBook
from hub.actors.metering import MeteringActor
from hub.actors.processing import ProcessingActor, WorkNow
from hub.actors.recorder import IngestLoad, RecorderActor, StoreReadings
from hub.actors.registry import Registry
from hub.bus import EventBus
from hub.model.admission import Frontier, TimeLimits
from hub.model.device import DeviceInfo
from hub.model.reading import ReadingBatch, Stored
from hub.model.series import SeriesInfo, known_series
from hub.runtime.actor import Ref, request
from hub.runtime.clock import FakeClock
from hub.runtime.supervisor import Supervisor
from hub.storage import registry as registry_rows
from hub.storage.database import Database
from hub.storage.readings import last_rows

NOW_MS = 1_764_000_000_000
"""2025-11-24 16:00 UTC."""


@dataclass
class House:
    """The actors of one running hub, without web and integrations."""

    database: Database
    clock: FakeClock
    bus: EventBus
    supervisor: Supervisor
    registry: Registry = field(default_factory=Registry)
    board: LatestBoard = field(default_factory=LatestBoard)
    marks: MarkBook = field(default_factory=MarkBook)
    frontier: Frontier = field(default_factory=Frontier)
    load: IngestLoad = field(default_factory=IngestLoad)
    zone: str = "Europe/Paris"

    async def start(self) -> None:
        """Read what is stored and start the actors."""
        devices, series = await self.database.read(
            lambda conn: (registry_rows.load_devices(conn), registry_rows.load_series(conn))
        )
        self.registry.load(devices, series)
        newest = await self.database.read(lambda conn: last_rows(conn, [one.no for one in series]))
        self.frontier.cover(self.registry.count)
        for number, (ts_ms, value, flags) in newest.items():
            self.board.set(number, ts_ms, value, flags)
            self.frontier.last_ms[number] = ts_ms
        self.supervisor.start(
            "recorder",
            lambda: RecorderActor(
                self.database, self.bus, self.clock, registry=self.registry, frontier=self.frontier,
                marks=self.marks, load=self.load, limits=TimeLimits(),
            ),
        )  # fmt: skip
        self.supervisor.start(
            "device",
            lambda: DeviceActor(
                self.database, self.bus, self.clock, registry=self.registry, board=self.board
            ),
        )
        self.supervisor.start(
            "processing",
            lambda: ProcessingActor(
                self.database, self.bus, self.clock, registry=self.registry, board=self.board,
                marks=self.marks, zone=self.zone, seal_after_ms=172_800_000,
            ),
        )  # fmt: skip
        self.supervisor.start(
            "corrections",
            lambda: CorrectionsActor(
                self.database, self.bus, self.clock, registry=self.registry, zone=self.zone
            ),
        )
        self.supervisor.start(
            "metering",
            lambda: MeteringActor(
                self.database, self.bus, self.clock, registry=self.registry,
                device=self.supervisor.ref("device"), recorder=self.supervisor.ref("recorder"), zone=self.zone,
            ),
        )  # fmt: skip
        for name in ("recorder", "device", "processing", "corrections", "metering"):
            await self.supervisor.ready(name)

    def ref(self, name: str) -> Ref:
        """Address of an actor."""
        return self.supervisor.ref(name)

    async def declare(self, device: str, *infos: SeriesInfo | str) -> list[int]:
        """Register series of a device as a configured integration does."""
        wanted = tuple(info if isinstance(info, SeriesInfo) else known_series(info) for info in infos)
        numbers = await request(self.ref("device"), Declare(DeviceInfo(device), wanted, "test", "test"))
        return [number for number in numbers if number is not None]

    async def store(self, rows: Sequence[tuple[int, int, float]]) -> Stored:
        """Store ``(series, ts_ms, value)`` in one batch and wait for the commit."""
        batch = ReadingBatch("test", self.clock.now_ms())
        for position, (number, ts_ms, value) in enumerate(rows):
            batch.series.append(number)
            batch.ts_ms.append(ts_ms)
            batch.values.append(value)
            batch.item.append(position)
        return await request(self.ref("recorder"), StoreReadings(batch))

    async def work(self) -> None:
        """Derive everything that is dirty."""
        await request(self.ref("processing"), WorkNow(), timeout_s=60)


@asynccontextmanager
async def running_house(
    folder: Path, now_ms: int = NOW_MS, zone: str = "Europe/Paris", url: str = "sqlite:///hub.db"
) -> AsyncIterator[House]:
    """A house on the store in ``folder``; leaving stops it cleanly."""
    clock = FakeClock(now_ms)
    database = await Database.open(url, folder, clock=clock)
    house = House(database, clock, EventBus(), Supervisor(clock), zone=zone)
    try:
        await house.start()
        yield house
    finally:
        await house.supervisor.stop_all()
        await database.close()
