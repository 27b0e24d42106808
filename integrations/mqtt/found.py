"""Devices that announce themselves: what they announced, their registration, and the readers of their topics.

An announcement is registered with ``declare(found=True)``: the hub decides whether the device waits in the inbox.
Its topics are subscribed to at once, because many devices send their state right after the announcement.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from hub.plugins.api import (
    DeviceInfo,
    Intake,
    ReadingBatch,
    Refused,
    SeriesHandle,
    WattlineError,
    series_key,
)
from integrations.mqtt import shelly, tasmota, zigbee
from integrations.mqtt.announcement import Availability, Sensor, identity_of, sensors_of
from integrations.mqtt.message import Message, no_time
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.reach import EXPIRY_STEP_S, AvailabilityReader, ExpiryReader, Reach
from integrations.mqtt.readers import Field, FieldReader, Reader
from integrations.mqtt.schema import Settings

MAX_SENSORS = 20_000
_OTHER_QUANTITY = "WL-ING-022"


class FoundDevices:
    """All that was announced on one broker.

    ``unsettled``: announcements wait for registration. ``known``: the retained announcements have been heard.
    ``changed`` is set when other topics are wanted; ``heard`` counts announcements.
    """

    def __init__(self, settings: Settings) -> None:
        self._on = settings.discovery
        self._prefix = settings.discovery_prefix
        self._prefix_bytes = f"{settings.discovery_prefix}/".encode()
        self._tasmota = tasmota.TasmotaDevices()
        self._shelly = shelly.ShellyDevices()
        self._reach = Reach()
        self._announced: dict[str, list[Sensor]] = {}
        self._samples: dict[str, str] = {}
        self._fields: dict[tuple[str, ...], tuple[Sensor, Field]] = {}
        self._by_topic: dict[str, list[tuple[Sensor, Field]]] = {}
        self._reach_topics: dict[str, list[tuple[Sensor, Availability]]] = {}
        self.unsettled = False
        self.known = False
        self.heard = 0
        self.changed = asyncio.Event()

    def is_control(self, topic: bytes) -> bool:
        """Whether a topic carries announcements."""
        return self._on and (
            (topic.startswith(self._prefix_bytes) and topic.endswith(b"/config"))
            or topic.startswith(b"tasmota/discovery/")
            or topic == b"zigbee2mqtt/bridge/devices"
            or (topic.startswith(b"shellies/") and topic.endswith(b"/announce"))
            or topic == b"shellies/announce"
        )

    def announcements(self) -> list[str]:
        """Topic filters of announcements."""
        if not self._on:
            return []
        return [
            f"{self._prefix}/+/+/config",
            f"{self._prefix}/+/+/+/config",
            f"{tasmota.PREFIX}/#",
            zigbee.DEVICES_TOPIC,
            *shelly.ANNOUNCEMENTS,
        ]

    def streams(self) -> tuple[str, ...]:
        """Topic filters of devices that announce themselves by their values."""
        return shelly.STREAMS if self._on else ()

    def topics(self) -> list[str]:
        """State and availability topics of everything that was announced, also while it waits in the inbox.

        Those of :meth:`streams` are left out, they are subscribed to from the start.
        """
        wanted: dict[str, None] = {}
        for sensor in self._all():
            if sensor.identity[0] != shelly.DOMAIN:
                wanted[sensor.state_topic] = None
            wanted.update((entry.topic, None) for entry in sensor.availability)
        return list(wanted)

    def hear(self, topic: str, payload: bytes) -> None:
        """Take an announcement, an update of one, or its removal.

        Raises:
            Unreadable: it cannot be used; what was announced before stays.
        """
        self.heard += 1
        if topic == zigbee.DEVICES_TOPIC:
            name, sensors = topic, zigbee.bridge_sensors(payload)
        elif topic.startswith(f"{tasmota.PREFIX}/"):
            mac, sensors = self._tasmota.hear(topic, payload)
            name = f"{tasmota.PREFIX}/{mac}"
        elif topic.startswith("shellies/"):
            name, sensors = self._shelly.introduce(payload)
        else:
            name, sensors = topic, sensors_of(identity_of(self._prefix, topic), payload)
        self._announce(name, sensors, topic, payload)

    def hear_values(self, topic: str, message: Message) -> None:
        """Take a message of :meth:`streams`: it may hold values that were not known before.

        Raises:
            Unreadable: it is not what such a device sends.
        """
        news = self._shelly.hear(topic, message)
        if news is not None:
            self._announce(*news, topic, message.payload)

    def _announce(self, name: str, sensors: list[Sensor], topic: str, payload: bytes) -> None:
        if sensors == self._announced.get(name, []):
            return
        if sum(map(len, self._announced.values())) + len(sensors) > MAX_SENSORS:
            raise Unreadable("WL-MQT-009", f"more than {MAX_SENSORS} sensors are announced on this broker")
        if sensors:
            self._announced[name] = sensors
            self._samples[name] = f"{topic} {payload[:160].decode(errors='replace')}"
        else:
            self._announced.pop(name, None)
            self._samples.pop(name, None)
        self.unsettled = True
        self.changed.set()

    async def settle(self, intake: Intake) -> list[Unreadable]:
        """Register what was announced and build the tables of topics; returns what the hub refused.

        Raises:
            RetryLater: the registry cannot be reached now; call again.
        """
        errors: list[Unreadable] = []
        handles: dict[tuple[str, ...], tuple[Sensor, SeriesHandle]] = {}
        for sensors, sample in self._by_device():
            for sensor, handle in await self._declare(sensors, sample, intake, errors):
                if handle is not None:
                    handles[sensor.identity] = (sensor, handle)
        self._build(handles)
        self._reach.check_expiry(intake)
        self.unsettled = False
        return errors

    def readers(self, topic: str) -> list[Reader]:
        """Readers of a state or availability topic."""
        found: list[Reader] = []
        sensors = self._by_topic.get(topic)
        if self._on and self._shelly.claims(topic):
            own = [pair for pair in sensors or () if pair[0].identity[0] == shelly.DOMAIN]
            sensors = [pair for pair in sensors or () if pair[0].identity[0] != shelly.DOMAIN]
            found.append(_ShellyReader(self, self._shelly, topic, own))
        if sensors:
            found.append(FieldReader([field for _, field in sensors], no_time, strict=False))
            expiring = [sensor for sensor, _ in sensors if sensor.expire_after_s is not None]
            if expiring:
                found.append(ExpiryReader(self._reach, expiring))
        if topic in self._reach_topics:
            found.append(AvailabilityReader(self._reach, topic, self._reach_topics[topic]))
        return found

    def forget_handles(self) -> None:
        """The registry changed: ask again, a device may have been added, removed or ignored."""
        self.unsettled = bool(self._announced)

    def set_all(self, intake: Intake, *, online: bool) -> None:
        """The broker went away, or came back: then what is known of each device counts again."""
        for device in {sensor.device.id for sensor, _ in self._fields.values()}:
            if online:
                self._reach.forget_told()
                intake.set_availability(device, self._reach.online(device) is not False)
            else:
                intake.set_availability(device, False)

    async def watch_expiry(self, intake: Intake) -> None:
        """Notice sensors that went silent; for ever."""
        while True:
            await asyncio.sleep(EXPIRY_STEP_S)
            self._reach.check_expiry(intake)

    def _all(self) -> Iterable[Sensor]:
        for sensors in self._announced.values():
            yield from sensors

    def _by_device(self) -> list[tuple[list[Sensor], str]]:
        """Sensors of each device with one key each, and a sample of what announced it."""
        groups: dict[str, dict[str, Sensor]] = defaultdict(dict)
        samples: dict[str, str] = {}
        for name, sensors in self._announced.items():
            for sensor in sensors:
                samples.setdefault(sensor.device.id, self._samples.get(name, ""))
                group = groups[sensor.device.id]
                before = group.get(sensor.info.key)
                if before is None:
                    group[sensor.info.key] = sensor
                elif before.state_topic != sensor.state_topic or before.template != sensor.template:
                    renamed = _renamed(sensor, "_".join(part for part in sensor.identity[1:] if part))
                    group.setdefault(renamed.info.key, renamed)
        return [(list(group.values()), samples[device]) for device, group in groups.items()]

    async def _declare(
        self, sensors: list[Sensor], sample: str, intake: Intake, errors: list[Unreadable]
    ) -> list[tuple[Sensor, SeriesHandle | None]]:
        """All sensors of a device in one go; one by one where the hub refuses some of them."""
        device = _richest([sensor.device for sensor in sensors])
        try:
            handles = await intake.declare(
                device, [sensor.info for sensor in sensors], found=True, sample=sample
            )
            return list(zip(sensors, handles, strict=True))
        except Refused as error:
            if len(sensors) > 1:
                parts = [await self._declare([sensor], sample, intake, errors) for sensor in sensors]
                return [pair for part in parts for pair in part]
            if error.code != _OTHER_QUANTITY or not sensors[0].info.unit:
                errors.append(Unreadable(error.code, f"{device.id}: {error.message}", "device"))
                return []
        # the sensor measures something else than it did: that is another series
        other = _renamed(sensors[0], f"{sensors[0].info.key}_{sensors[0].info.unit}")
        try:
            handles = await intake.declare(device, [other.info], found=True, sample=sample)
        except Refused as error:
            errors.append(Unreadable(error.code, f"{device.id}: {error.message}", "device"))
            return []
        return [(other, handles[0])]

    def _build(self, handles: dict[tuple[str, ...], tuple[Sensor, SeriesHandle]]) -> None:
        fields: dict[tuple[str, ...], tuple[Sensor, Field]] = {}
        self._by_topic = {}
        self._reach_topics = {}
        for identity, (sensor, handle) in handles.items():
            field = Field(sensor.info.key, handle, sensor.template, sensor.info.behaviour)
            before = self._fields.get(identity)
            if before is not None and before[0].template == sensor.template:
                field.last = before[1].last
            fields[identity] = (sensor, field)
            self._by_topic.setdefault(sensor.state_topic, []).append((sensor, field))
        for sensor in self._all():
            for entry in sensor.availability:
                self._reach_topics.setdefault(entry.topic, []).append((sensor, entry))
        self._fields = fields
        self._reach.watch(self._all(), frozenset(sensor.device.id for sensor, _ in fields.values()))


class _ShellyReader:
    """Reads what is known of a device and notices what is new; values that it doubts itself are left out."""

    def __init__(
        self,
        found: FoundDevices,
        devices: shelly.ShellyDevices,
        topic: str,
        pairs: list[tuple[Sensor, Field]],
    ) -> None:
        self._found = found
        self._devices = devices
        self._topic = topic
        self._pairs = pairs
        self._time = shelly.notification_time if shelly.has_time(topic) else no_time
        self._all = FieldReader([field for _, field in pairs], self._time, strict=False)

    def read(self, message: Message, batch: ReadingBatch, intake: Intake) -> None:
        """See :class:`integrations.mqtt.readers.Reader`."""
        self._found.hear_values(self._topic, message)
        trusted = [field for sensor, field in self._pairs if not self._devices.doubts(sensor)]
        if len(trusted) == len(self._pairs):
            self._all.read(message, batch, intake)
        else:
            FieldReader(trusted, self._time, strict=False).read(message, batch, intake)


def _renamed(sensor: Sensor, key: str) -> Sensor:
    try:
        return replace(sensor, info=replace(sensor.info, key=series_key(key)))
    except WattlineError:
        return sensor


def _richest(devices: list[DeviceInfo]) -> DeviceInfo:
    """Announcements of one device may name more or less of it."""
    return max(devices, key=lambda one: sum(map(bool, (one.name, one.maker, one.model, one.firmware))))
