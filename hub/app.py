"""The hub: builds the actors from the configuration, starts them in order and stops them in reverse.

This is the composition root below the command line; it knows every part and no part knows it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from hub import __version__
from hub.actors.access_tokens import load_signing_key
from hub.actors.auth import AuthActor, AuthBook
from hub.actors.board import LatestBoard
from hub.actors.correction_cost import pricer_of
from hub.actors.corrections import CorrectionsActor
from hub.actors.device import DeviceActor
from hub.actors.device_requests import ApplyDevices, CheckSilence
from hub.actors.energy_desk import EnergyDesk
from hub.actors.energy_months import EnergySettings
from hub.actors.holders import LoopHolders
from hub.actors.intake import HubIntake
from hub.actors.integration import PutToRest
from hub.actors.marks import MarkBook
from hub.actors.metering import MeteringActor
from hub.actors.money import MoneyDesk
from hub.actors.money_requests import MoneySettings, SetMoney
from hub.actors.processing import KeepHouse, ProcessingActor, WorkNow
from hub.actors.recorder import IngestLoad, RecorderActor, SetTimeLimits
from hub.actors.registry import InboxItem, Registry
from hub.broker import BrokerState, BrokerSupervisor
from hub.bus import EventBus
from hub.config.diff import effective
from hub.config.errors import ConfigErrors
from hub.config.keep import load_or_keep, remember_good
from hub.config.loader import load_tolerant
from hub.config.settings import HubConfig
from hub.config.tree import MAIN_FILE
from hub.entries import Entries, EntryView
from hub.errors import RetryLater, WattlineError
from hub.health import HubHealth
from hub.metrics import HubCollector
from hub.model.admission import Frontier, TimeLimits
from hub.model.device import DeviceInfo
from hub.model.events import HealthChanged
from hub.plugins.api import BrokerAddress, Endpoint, Options
from hub.plugins.manager import PluginManager
from hub.runtime.actor import Ref, request
from hub.runtime.clock import Clock, SystemClock
from hub.runtime.jobs import PeriodicTask
from hub.runtime.supervisor import Supervisor
from hub.runtime.watchdog import LoopBlocked, Watchdog
from hub.storage import registry as registry_rows
from hub.storage.database import Database
from hub.storage.readings import last_rows
from hub.storage.sites import save_site

LOGGER = logging.getLogger(__name__)

WORK_EVERY_S = 2.0
SILENCE_EVERY_S = 15.0
HOUSE_EVERY_S = 60.0
STOP_LIMIT_S = 3.0


@dataclass(frozen=True, slots=True)
class HubOptions:
    """What the command line says; ``None`` leaves it to the configuration."""

    config_dir: Path
    data_dir: Path
    host: str | None = None
    port: int | None = None
    safe_mode: bool = False
    main_file: str = MAIN_FILE


class Hub:
    """One running hub. :meth:`start` it, serve it, :meth:`stop` it.

    Attributes are the collaborators that web and the command line need: refs of the actors, the bus, the
    database, the registry and board (to read, on the loop), the clock, the configuration.
    """

    recorder: Ref
    device: Ref
    processing: Ref
    auth: Ref
    corrections: Ref
    metering: Ref
    database: Database

    def __init__(self, options: HubOptions, clock: Clock | None = None) -> None:
        self.options = options
        self.config_dir = options.config_dir
        self.data_dir = options.data_dir
        self.clock: Clock = clock or SystemClock()
        self.version = __version__
        self.bus = EventBus()
        self.supervisor = Supervisor(self.clock, on_event=self.bus.publish)
        self.registry = Registry()
        self.board = LatestBoard()
        self.load = IngestLoad()
        self.auth_book = AuthBook()
        self.run_key = secrets.token_urlsafe(32)
        self.safe_mode: ConfigErrors | None = None
        self.config: HubConfig
        self.plugins = PluginManager(options.config_dir)
        self.started_ms = self.clock.now_ms()
        self._frontier = Frontier()
        self._marks = MarkBook()
        self._entries = Entries(self.supervisor, self.plugins, self.bus, self.clock, self._make_intake)
        self._jobs: list[PeriodicTask] = []
        self._broker: BrokerSupervisor | None = None
        self._broker_address: BrokerAddress | None = None
        self._health = HubHealth(self.supervisor, self.load, self.bus, self.clock, self.data_dir)
        self.watchdog = Watchdog(self._on_blocked)
        self._holders = LoopHolders()
        self.metrics_registry = CollectorRegistry()
        self.metrics_registry.register(HubCollector(self))
        self._levelled: set[str] = set()

    # --- life

    async def start(self) -> None:
        """Open the store, start the actors, the broker and the integrations; the web comes after.

        Raises:
            WattlineError: the store or the signing key cannot be used; nothing was started.
        """
        await asyncio.to_thread(self.plugins.load)
        for plugin in self.plugins.plugins.values():
            if plugin.folder is not None:
                self.watchdog.owners.add(str(plugin.folder), f"plugin:{plugin.domain}")
        self.config, self.safe_mode = await asyncio.to_thread(
            load_tolerant,
            self.config_dir,
            self.plugins.schemas(),
            main_file=self.options.main_file,
        )
        self._set_log_levels()
        if self.safe_mode is not None:
            LOGGER.error(
                "the configuration has errors, the hub starts in safe mode\n%s", self.safe_mode.render()
            )
        self.database = await Database.open(self.config.storage.url, self.data_dir, clock=self.clock)
        try:
            await asyncio.to_thread(
                load_signing_key, self.data_dir
            )  # a bad one is a person's to mend, at once
            await self._load_registry()
            self.watchdog.start()
            await self._start_actors()
            await self._start_broker()
            self._start_jobs()
            if not self.options.safe_mode:
                self._entries.start_all(self.config)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop everything in reverse; what was accepted is committed before the store closes."""
        for job in self._jobs:
            await job.stop()
        self._jobs.clear()
        forced = await self._entries.stop_all()
        forced += await self.supervisor.stop_all(timeout_s=STOP_LIMIT_S)
        if forced:
            LOGGER.warning("these parts had to be cancelled: %s", ", ".join(forced))
        if self._broker is not None:
            await self._broker.stop()
        await self.watchdog.stop()
        await self.database.close()
        self.run_file.unlink(missing_ok=True)

    @property
    def run_file(self) -> Path:
        """Where the command line finds the running hub: loopback address and a key for this process."""
        return self.data_dir / "run.json"

    def announce(self, host: str, port: int) -> None:
        """Write the run file, readable by the owner only."""
        plain = {
            "url": f"http://{host}:{port}",
            "key": self.run_key,
            "pid": os.getpid(),
            "version": self.version,
        }
        temporary = self.run_file.with_suffix(".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(plain, file)
        temporary.replace(self.run_file)

    async def _load_registry(self) -> None:
        config = self.config

        def job(conn: Any) -> tuple[Any, ...]:
            series = registry_rows.load_series(conn)
            return (
                registry_rows.load_devices(conn),
                series,
                last_rows(conn, [one.no for one in series]),
                registry_rows.load_inbox(conn),
                registry_rows.load_ignored_sources(conn),
            )

        devices, series, newest, inbox, ignored = await self.database.read(job)
        self.registry.load(devices, series)
        self.registry.inbox.update((item["device"].id, InboxItem(**item)) for item in inbox)
        self.registry.ignored_sources.update(ignored)
        self._frontier.cover(self.registry.count)
        for number, (ts_ms, value, flags) in newest.items():
            self.board.set(number, ts_ms, value, flags)
            self._frontier.last_ms[number] = ts_ms
        await self.database.write(lambda conn: save_site(conn, config.site, self.clock.now_ms()))

    async def _start_actors(self) -> None:
        config = self.config
        self.device = self.supervisor.start(
            "device",
            lambda: DeviceActor(
                self.database,
                self.bus,
                self.clock,
                registry=self.registry,
                board=self.board,
                discovery=self.config.discovery,
            ),
        )
        self.processing = self.supervisor.start("processing", self._make_processing)
        # after processing, so that it stops before it: what is committed last is still derived
        self.recorder = self.supervisor.start(
            "recorder",
            lambda: RecorderActor(
                self.database,
                self.bus,
                self.clock,
                registry=self.registry,
                frontier=self._frontier,
                marks=self._marks,
                load=self.load,
                limits=_time_limits(self.config),
            ),
        )
        self.auth = self.supervisor.start(
            "auth", lambda: AuthActor(self.database, self.bus, self.clock, self.data_dir, self.auth_book)
        )
        self.corrections = self.supervisor.start(
            "corrections",
            lambda: CorrectionsActor(
                self.database,
                self.bus,
                self.clock,
                registry=self.registry,
                zone=config.site.time_zone,
                pricer=pricer_of(self.processing),
            ),
        )
        self.metering = self.supervisor.start(
            "metering",
            lambda: MeteringActor(
                self.database,
                self.bus,
                self.clock,
                registry=self.registry,
                device=self.device,
                recorder=self.recorder,
                zone=config.site.time_zone,
            ),
        )
        for name in ("device", "processing", "recorder", "auth", "corrections", "metering"):
            await self.supervisor.ready(name)
        await request(self.device, ApplyDevices(_device_infos(config), config.discovery))

    def _make_processing(self) -> ProcessingActor:
        """Derivation with its desks: energy asks money what a kWh costs."""
        zone = self.config.site.time_zone
        money = MoneyDesk(self.database, self.registry, self.board, zone, MoneySettings.of(self.config))
        settings = _energy_settings(self.config)
        energy = EnergyDesk(self.database, self.registry, zone, prices=money.prices, settings=settings)
        return ProcessingActor(
            self.database,
            self.bus,
            self.clock,
            registry=self.registry,
            board=self.board,
            marks=self._marks,
            zone=zone,
            seal_after_ms=int(self.config.storage.seal_after_s * 1000),
            money=money,
            energy=energy,
        )

    async def _start_broker(self) -> None:
        settings = self.config.broker
        if settings.mode == "off":
            return
        self._broker = BrokerSupervisor(settings, self.data_dir, listener=self._on_broker)
        await self._try_broker()

    async def _try_broker(self) -> None:
        """Start the broker; where it cannot start, say so once and try again later."""
        if self._broker is None or self._broker_address is not None:
            return
        try:
            found = await self._broker.start()
            self._broker_address = BrokerAddress(
                found.host, found.port, found.username, found.password, found.mqtt5
            )
        except WattlineError as error:
            if not self._health.is_ill("broker"):
                LOGGER.warning("no MQTT broker of our own: %s", error)
            self._health.note(HealthChanged("broker", False, error.code, str(error)))
            return
        if self._health.is_ill("broker"):
            LOGGER.info("the MQTT broker runs now")
            self._health.note(HealthChanged("broker", True))
        self._entries.wake_users_of_the_broker()

    def _on_broker(self, state: BrokerState, text: str) -> None:
        ok = state in (BrokerState.RUNNING, BrokerState.STOPPED)
        self.bus.publish(HealthChanged("broker", ok, "" if ok else "WL-BRK-004", text))

    def _start_jobs(self) -> None:
        self._jobs = [
            PeriodicTask("derive", WORK_EVERY_S, self._work, self.clock, at_once=True),
            PeriodicTask("silence", SILENCE_EVERY_S, self._check_silence, self.clock),
            PeriodicTask("house", HOUSE_EVERY_S, self._keep_house, self.clock),
        ]
        for job in self._jobs:
            job.start()

    async def _work(self) -> None:
        await request(self.processing, WorkNow(), timeout_s=600.0)

    async def _keep_house(self) -> None:
        await request(self.processing, KeepHouse(), timeout_s=3600.0)

    async def _check_silence(self) -> None:
        self.device.tell(CheckSilence())
        self._health.check_disk()
        await self._try_broker()

    # --- entries

    def _make_intake(self, entry_id: str, domain: str, options: Options) -> HubIntake:
        return HubIntake(
            entry_id,
            domain,
            recorder=self.recorder,
            device=self.device,
            registry=self.registry,
            board=self.board,
            load=self.load,
            clock=self.clock,
            broker=lambda: self._broker_address,
            discovery=options.get("discovery"),
        )

    def endpoints(self) -> list[tuple[Endpoint, HubIntake]]:
        """HTTP routes of the push formats, for web to mount behind its gate."""
        return self._entries.endpoints()

    def entries(self) -> list[EntryView]:
        """State of every entry of the configuration, and of every push format."""
        return self._entries.views()

    async def reload(self) -> dict[str, Any]:
        """Apply the configuration as it is on disk; an invalid one changes nothing and its errors are returned."""
        outcome = await asyncio.to_thread(
            load_or_keep,
            self.config,
            self.config_dir,
            self.plugins.schemas(),
            main_file=self.options.main_file,
        )
        if outcome.errors is not None:
            LOGGER.error("the configuration has errors, the last good one stays\n%s", outcome.errors.render())
            return {"applied": False, "errors": outcome.errors.as_json()}
        restart = [*outcome.diff.restart]
        if outcome.config.site.time_zone != self.config.site.time_zone:
            restart.append("hub.time_zone")
        site = replace(outcome.config.site, time_zone=self.config.site.time_zone)
        self.config = replace(effective(self.config, outcome.config), site=site)
        self.safe_mode = None
        self._set_log_levels()
        self.recorder.tell(SetTimeLimits(_time_limits(self.config)))
        self.processing.tell(_energy_settings(self.config))
        changes = await self._entries.apply(self.config)
        await request(self.device, ApplyDevices(_device_infos(self.config), self.config.discovery))
        await request(self.processing, SetMoney(MoneySettings.of(self.config)))
        await asyncio.to_thread(remember_good, self.data_dir, self.config)
        LOGGER.info("configuration applied: %s", json.dumps(changes))
        return {
            "applied": True,
            "errors": [],
            **changes,
            "live": [*outcome.diff.live],
            "needs_restart": restart,
        }

    # --- health

    def _on_blocked(self, event: LoopBlocked) -> None:
        self._health.note_blocked(event)
        if not self._holders.too_many(event, self.clock.monotonic_s()):
            return
        detail = f"held the event loop again and again, the last time for {event.duration_s:.1f} s"
        self._entries.put_to_rest(event.label, PutToRest("WL-INT-007", detail, event.stack))

    @property
    def blocked(self) -> Sequence[LoopBlocked]:
        """The last times somebody held the event loop for over 50 ms."""
        return self._health.blocked

    def health(self) -> dict[str, dict[str, Any]]:
        """Parts of the hub: ``{"recorder": {"ok": true, "code": "", "detail": ""}, …}``."""
        return self._health.parts(self._entries.statuses(), self.safe_mode)

    def ready(self) -> tuple[bool, list[str]]:
        """Whether readings are taken and stored in time, and what stands against it."""
        return self._health.ready()

    def _set_log_levels(self) -> None:
        """Levels of the configuration by logger name, ``default`` for the root; those taken out go back."""
        wanted = self.config.logging
        for name in self._levelled - wanted.keys():
            root = name == "default"
            logging.getLogger(None if root else name).setLevel(logging.INFO if root else logging.NOTSET)
        for name, level in wanted.items():
            logging.getLogger(None if name == "default" else name).setLevel(str(level).upper())
        self._levelled = set(wanted)

    async def wait_idle(self) -> None:
        """Return when everything stored is derived; for commands that end the process afterwards."""
        try:
            await self._work()
        except RetryLater as error:
            LOGGER.warning("derivation was not finished: %s", error)


def _energy_settings(config: HubConfig) -> EnergySettings:
    site = config.site
    return EnergySettings(site.co2_factor_g_per_kwh, site.gas_kwh_per_m3, site.first_fed)


def _time_limits(config: HubConfig) -> TimeLimits:
    return TimeLimits(int(config.site.late_after_s * 1000), int(config.site.past_limit_s * 1000))


def _device_infos(config: HubConfig) -> tuple[DeviceInfo, ...]:
    return tuple(
        DeviceInfo(id=one.id, name=one.name or "", role=one.role, area=one.area, parent=one.parent)
        for one in config.devices
    )
