"""What a running source sees of the hub: :class:`hub.plugins.api.Intake` on top of the actors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from hub.actors.board import LatestBoard
from hub.actors.device_requests import Declare, ReportAvailability, ShowStale
from hub.actors.device_rules import told_of_device, told_of_series
from hub.actors.recorder import IngestLoad, NoteRejections, StoreReadings
from hub.actors.registry import Registry
from hub.errors import Refused, RetryLater
from hub.model.device import DeviceInfo
from hub.model.names import printable
from hub.model.reading import ReadingBatch, ReadingColumns, SeriesHandle, Stored, columns_of
from hub.model.series import Behaviour, Role, SeriesInfo
from hub.model.units import conversion
from hub.plugins.api import BrokerAddress, Rejection
from hub.runtime.actor import Ref, request
from hub.runtime.clock import Clock

STORE_TIMEOUT_S = 60.0
DECLARE_TIMEOUT_S = 30.0


class HubIntake:
    """One per entry. ``stored_values`` counts what the entry delivered."""

    def __init__(
        self,
        entry_id: str,
        domain: str,
        *,
        recorder: Ref,
        device: Ref,
        registry: Registry,
        board: LatestBoard,
        load: IngestLoad,
        clock: Clock,
        broker: Callable[[], BrokerAddress | None],
        discovery: str | None = None,
    ) -> None:
        self.entry_id = entry_id
        self._domain = domain
        self._recorder = recorder
        self._device = device
        self._registry = registry
        self._board = board
        self._load = load
        self._clock = clock
        self._broker = broker
        self._discovery = discovery
        self.stored_values = 0
        self.last_stored_ms = 0

    @property
    def registry_version(self) -> int:
        """See :class:`hub.plugins.api.Intake`."""
        return self._registry.version

    @property
    def congested(self) -> bool:
        """See :class:`hub.plugins.api.Intake`."""
        return self._load.congested

    @property
    def broker(self) -> BrokerAddress | None:
        """See :class:`hub.plugins.api.Intake`."""
        return self._broker()

    def now_ms(self) -> int:
        """UTC epoch milliseconds by the hub's clock."""
        return self._clock.now_ms()

    def batch(self) -> ReadingBatch:
        """Empty, stamped with now."""
        return ReadingBatch(self.entry_id, self._clock.now_ms())

    def handle(self, device: str, key: str) -> SeriesHandle | None:
        """Handle in the unit of the first message; None where the series is not registered."""
        series = self._registry.find(device, key)
        if series is None:
            return None
        change = conversion(series.quantity, series.sent_unit or None)
        return SeriesHandle(series.no, change.factor, change.offset)

    def behaviour(self, device: str, key: str) -> Behaviour | None:
        """From the registry."""
        series = self._registry.find(device, key)
        return None if series is None else series.behaviour

    async def declare(
        self, device: DeviceInfo, series: Sequence[SeriesInfo], *, found: bool = False, sample: str = ""
    ) -> list[SeriesHandle | None]:
        """Known things are looked up here; only what is new goes to the device actor."""
        device, series = told_of_device(device), tuple(told_of_series(info) for info in series)
        changes = [conversion(info.quantity, info.unit) for info in series]
        known = self._known(device, series)
        numbers: Sequence[int | None]
        if known is None:
            declared = await request(
                self._device,
                Declare(
                    device,
                    tuple(series),
                    self.entry_id,
                    self._domain,
                    found,
                    printable(sample),
                    self._discovery,
                ),
                timeout_s=DECLARE_TIMEOUT_S,
            )
            numbers = declared
        else:
            numbers = known
        return [
            None if number is None else SeriesHandle(number, change.factor, change.offset)
            for number, change in zip(numbers, changes, strict=True)
        ]

    async def store(self, batch: ReadingBatch) -> Stored:
        """Ask the recorder; the answer comes after the commit.

        Raises:
            Refused: ``WL-ING-046``, the batch holds what is no reading.
        """
        columns = _checked(batch, self.entry_id)
        stored = await request(self._recorder, StoreReadings(batch, columns), timeout_s=STORE_TIMEOUT_S)
        self.stored_values += stored.accepted
        if stored.accepted:
            self.last_stored_ms = batch.arrival_ms
        return stored

    def show_stale(self, handle: SeriesHandle, sent: float) -> None:
        """Tell the device actor."""
        self._device.tell(ShowStale(int(handle.no), float(handle.stored(sent))))

    def set_availability(self, device: str, online: bool) -> None:
        """Tell the device actor."""
        if not isinstance(device, str):
            raise _no_readings(self.entry_id, "a device is named by text")
        self._device.tell(ReportAvailability(device, bool(online)))

    def last_reading(self, device: str, key: str) -> tuple[int, float] | None:
        """From the board of latest values."""
        series = self._registry.find(device, key)
        return None if series is None else self._board.newest(series.no)

    def reject(self, rejections: Sequence[Rejection], payload: bytes = b"") -> None:
        """Tell the recorder, which counts and keeps them; under pressure they are counted out."""
        if not all(isinstance(one, Rejection) for one in rejections):
            raise _no_readings(self.entry_id, "a rejection is none")
        try:
            self._recorder.tell(NoteRejections(self.entry_id, tuple(rejections), bytes(payload)))
        except RetryLater:
            return

    def _known(self, device: DeviceInfo, series: Sequence[SeriesInfo]) -> list[int | None] | None:
        """Numbers if the device and all series are registered and nothing new is said of the device."""
        registered = self._registry.devices.get(device.id)
        if registered is None:
            return None
        numbers: list[int | None] = []
        for info in series:
            found = self._registry.find(device.id, info.key)
            if found is None or found.quantity is not info.quantity:
                return None
            numbers.append(found.no)
        said = replace(
            registered,
            firmware=device.firmware or registered.firmware,
            model=device.model or registered.model,
            maker=device.maker or registered.maker,
            serial=device.serial or registered.serial,
            role=device.role if device.role and registered.role is Role.NONE else registered.role,
            name=device.name if device.name and registered.name == registered.id else registered.name,
        )
        return numbers if said == registered else None


def _checked(batch: ReadingBatch, source: str) -> ReadingColumns:
    """A source is foreign code: what it hands over must not fail in a commit that holds the readings of others."""
    try:
        columns = columns_of(batch)
        items = np.array(batch.item, np.int64)
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise _no_readings(source, str(error)) from error
    if {column.shape for column in (*columns, items)} != {(len(batch.series),)}:
        raise _no_readings(source, "its columns differ in length")
    return columns


def _no_readings(source: str, why: str) -> Refused:
    return Refused(
        "WL-ING-046",
        f"the batch of {source} holds what is no reading: {why}",
        where=source,
        hint="fill it by ReadingBatch.add with numbers",
    )
