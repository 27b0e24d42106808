"""Polls one Modbus device: reads its map block by block and stores what has a value."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from hub.plugins.api import (
    CannotConnect,
    Intake,
    Options,
    ReadingBatch,
    Rejection,
    SeriesHandle,
    poll,
)
from integrations.modbus.link import Link, LinkAddress, Patience, ReadFailed, ReadRefused, lease
from integrations.modbus.mapping import Meter, meter_of
from integrations.modbus.plan import Block, plan_reads, split

LOGGER = logging.getLogger(__name__)

FAILURES_BEFORE_LOST = 3
"""Polls in a row without an answer after which the device counts as lost: gateways drop single questions."""

_REFUSES_ADDRESS = frozenset({1, 2, 3})
"""Modbus exceptions that say "not this register": illegal function, address or value (1.1b3, section 7)."""

_ASK_AGAIN_S = 3600.0
"""Refused registers are asked again after this time: inverters refuse some while they start."""


@asynccontextmanager
async def connect(options: Options) -> AsyncIterator[ModbusDevice]:
    """Open (or share) the connection to a device.

    Raises:
        CannotConnect: the host takes no TCP connection.
    """
    meter = meter_of(options)
    address = LinkAddress(options["host"], options["port"], options["framer"] == "rtu_over_tcp")
    patience = Patience(options["timeout"], meter.template.connect_delay_s)
    async with lease(address) as link:
        try:
            await link.open(patience)
        except ReadFailed as error:
            raise CannotConnect(
                str(error),
                where=meter.device.id,
                hint="check host and port, that Modbus TCP is switched on, and that no other client holds "
                "the device's only connection",
            ) from error
        yield ModbusDevice(meter, link, patience)


class ModbusDevice:
    """A polled device. Values of one poll share the time at which its first answer came."""

    def __init__(self, meter: Meter, link: Link, patience: Patience) -> None:
        self._meter = meter
        self._link = link
        self._patience = patience
        self._handles: dict[str, SeriesHandle | None] = {}
        self._registry_version = -1
        self._failures = 0
        self._online: bool | None = None
        self._absent: set[str] = set()
        self._blocks: list[Block] = []
        self._refused: set[str] = set()
        self._ask_again_at_s = 0.0
        self._plan_anew()

    async def run(self, intake: Intake) -> None:
        """Poll until cancelled. Raises :class:`CannotConnect` after some polls without an answer."""
        await self._declare(intake)
        await poll(intake, self._meter.interval_s, partial(self._turn, intake))

    async def _turn(self, intake: Intake) -> ReadingBatch:
        """One poll → the readings to store; empty where the device did not answer this time."""
        if intake.registry_version != self._registry_version:
            await self._declare(intake)
        try:
            values, ts_ms = await self._read_all(intake)
        except (ReadFailed, ReadRefused) as error:
            self._count_failure(intake, error)
            return intake.batch()
        self._failures = 0
        self._show(intake, True)
        return self._batch(intake, values, ts_ms)

    async def _read_all(self, intake: Intake) -> tuple[dict[str, float], int]:
        """All values of the map, in the units of the registers, and the moment of the first answer."""
        values: dict[str, float] = {}
        ts_ms: int | None = None
        if self._refused and asyncio.get_running_loop().time() > self._ask_again_at_s:
            self._plan_anew()
        waiting = list(reversed(self._blocks))
        kept: list[Block] = []
        while waiting:
            block = waiting.pop()
            try:
                words = await self._link.read(
                    self._meter.unit, block.kind, block.start, block.count, self._patience
                )
            except ReadRefused as refusal:
                waiting.extend(self._smaller(intake, block, refusal))
                continue
            ts_ms = intake.now_ms() if ts_ms is None else ts_ms
            kept.append(block)
            self._take(intake, block, words, values)
        self._blocks = kept
        if ts_ms is None:
            raise CannotConnect(
                f"unit {self._meter.unit} refuses every register of the map",
                where=self._meter.device.id,
                hint="check unit, template and whether the registers are input or holding ones",
            )
        return values, ts_ms

    def _smaller(self, intake: Intake, block: Block, refusal: ReadRefused) -> list[Block]:
        """The reads to try instead of a refused one, last first; a refused single value is left out."""
        if refusal.code not in _REFUSES_ADDRESS:
            raise refusal
        if len(block.registers) > 1:
            first, second = split(block)
            return [second, first]
        key = block.registers[0].key
        if key not in self._refused:
            self._refused.add(key)
            self._reject(intake, key, "WL-MOD-002", f"device refuses {block.kind} register {block.start}")
        return []

    def _take(self, intake: Intake, block: Block, words: list[int], values: dict[str, float]) -> None:
        for register, value in self._meter.values(block, words):
            if value is not None:
                values[register.key] = value
                self._absent.discard(register.key)
            elif register.key not in self._absent:
                self._absent.add(register.key)
                self._reject(intake, register.key, "WL-MOD-001", "device says it has no value now")

    def _batch(self, intake: Intake, values: dict[str, float], ts_ms: int) -> ReadingBatch:
        batch = intake.batch()
        for item, (key, value) in enumerate(values.items()):
            handle = self._handles[key]
            if handle is not None:
                batch.add(handle, ts_ms, value, item)
        return batch

    def _count_failure(self, intake: Intake, error: Exception) -> None:
        self._failures += 1
        LOGGER.debug("poll %s of %s failed: %s", self._failures, self._meter.device.id, error)
        if self._failures >= FAILURES_BEFORE_LOST:
            self._show(intake, False)
            raise CannotConnect(
                f"{self._failures} polls failed, the last one: {error}",
                where=self._meter.device.id,
                hint="check unit and framer, and whether the device is powered",
            ) from error

    def _show(self, intake: Intake, online: bool) -> None:
        if self._online is not online:
            self._online = online
            intake.set_availability(self._meter.device.id, online)

    async def _declare(self, intake: Intake) -> None:
        series = self._meter.series
        handles = await intake.declare(self._meter.device, series, found=False)
        self._handles = {info.key: handle for info, handle in zip(series, handles, strict=True)}
        self._registry_version = intake.registry_version

    def _plan_anew(self) -> None:
        template = self._meter.template
        self._blocks = plan_reads(template.registers, max_gap=template.max_gap, max_block=template.max_block)
        self._refused.clear()
        self._ask_again_at_s = asyncio.get_running_loop().time() + _ASK_AGAIN_S

    def _reject(self, intake: Intake, key: str, code: str, text: str) -> None:
        where = f"{self._meter.device.id}.{key}"
        intake.reject([Rejection(0, code, text, where)])
