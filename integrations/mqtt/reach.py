"""Whether found devices can be reached, by their availability topics and by sensors that expire.

A sensor with availability topics cannot be reached until one of them says so; a sensor that expires cannot be
reached from a given time after its last message on. A device is online while any of its sensors can be reached.
Availability masks values, it does not clear them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from hub.plugins.api import Intake, ReadingBatch
from integrations.mqtt.announcement import Availability, Sensor
from integrations.mqtt.message import Message
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.templates import MISSING

EXPIRY_STEP_S = 1.0


class Reach:
    """Availability of all found devices.

    Args:
        now_s: monotonic clock, for expiry.
    """

    def __init__(self, now_s: Callable[[], float] | None = None) -> None:
        self._now_s = now_s or (lambda: asyncio.get_running_loop().time())
        self._sensors: dict[str, list[Sensor]] = {}
        self._said: dict[tuple[str, ...], dict[str, bool]] = {}
        self._last: dict[tuple[str, ...], bool] = {}
        self._heard_s: dict[tuple[str, ...], float] = {}
        self._told: dict[str, bool] = {}
        self._registered: frozenset[str] = frozenset()

    def watch(self, sensors: Iterable[Sensor], registered: frozenset[str]) -> None:
        """All announced sensors; of devices that wait in the inbox it is only remembered what they say."""
        self._registered = registered
        self._sensors = {}
        for sensor in sensors:
            if sensor.availability or sensor.expire_after_s is not None:
                self._sensors.setdefault(sensor.device.id, []).append(sensor)
        self._told = {}

    def hear(self, sensor: Sensor, topic: str, online: bool, intake: Intake) -> None:
        """An availability topic spoke."""
        self._said.setdefault(sensor.identity, {})[topic] = online
        self._last[sensor.identity] = online
        self.tell(sensor.device.id, intake)

    def touch(self, sensor: Sensor, intake: Intake) -> None:
        """A state message of a sensor that expires."""
        self._heard_s[sensor.identity] = self._now_s()
        self.tell(sensor.device.id, intake)

    def check_expiry(self, intake: Intake) -> None:
        """Tell of devices whose last sensor expired; called every second."""
        for device in self._sensors:
            self.tell(device, intake)

    def tell(self, device: str, intake: Intake) -> None:
        """Tell the hub if the answer is another one than before."""
        online = self.online(device) if device in self._registered else None
        if online is not None and self._told.get(device) is not online:
            self._told[device] = online
            intake.set_availability(device, online)

    def online(self, device: str) -> bool | None:
        """None while nothing was heard that would tell."""
        answers = [self._reachable(sensor) for sensor in self._sensors.get(device, ())]
        known = [answer for answer in answers if answer is not None]
        return any(known) if known else None

    def forget_told(self) -> None:
        """Tell everything again when it is next known."""
        self._told = {}

    def _reachable(self, sensor: Sensor) -> bool | None:
        if sensor.availability:
            said = self._said.get(sensor.identity)
            if not said:
                return None
            if not self._available(sensor, said):
                return False
        if sensor.expire_after_s is None:
            return True
        heard_s = self._heard_s.get(sensor.identity)
        if heard_s is None:
            return None
        return self._now_s() - heard_s < sensor.expire_after_s

    def _available(self, sensor: Sensor, said: dict[str, bool]) -> bool:
        if sensor.mode == "all":
            return all(said.get(entry.topic, entry.assumed) for entry in sensor.availability)
        return any(said.values()) if sensor.mode == "any" else self._last[sensor.identity]


class AvailabilityReader:
    """Reads an availability topic for all sensors that name it."""

    def __init__(self, reach: Reach, topic: str, sensors: list[tuple[Sensor, Availability]]) -> None:
        self._reach = reach
        self._topic = topic
        self._sensors = sensors

    def read(self, message: Message, batch: ReadingBatch, intake: Intake) -> None:
        """Payloads that are neither the online nor the offline word are passed over."""
        for sensor, availability in self._sensors:
            word = _word(availability, message)
            if word == availability.online:
                self._reach.hear(sensor, self._topic, True, intake)
            elif word == availability.offline:
                self._reach.hear(sensor, self._topic, False, intake)


def _word(availability: Availability, message: Message) -> object:
    template = availability.template
    try:
        if template is None:
            return message.text()
        return template.evaluate(message.text(), message.json() if template.needs_json else MISSING)
    except Unreadable:
        return None


class ExpiryReader:
    """Notes each state message of the sensors that expire."""

    def __init__(self, reach: Reach, sensors: list[Sensor]) -> None:
        self._reach = reach
        self._sensors = sensors

    def read(self, message: Message, batch: ReadingBatch, intake: Intake) -> None:
        """Appends nothing."""
        for sensor in self._sensors:
            self._reach.touch(sensor, intake)
