"""Configured topics: which setting a topic belongs to, and the reader that comes of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from hub.plugins.api import (
    Behaviour,
    DeviceInfo,
    Intake,
    Quantity,
    ReadingBatch,
    Refused,
    SeriesHandle,
    SeriesInfo,
    WattlineError,
    device_id,
    known_series,
    same_kind,
)
from hub.plugins.api import series_key as key_of
from integrations.mqtt.message import Message, TimeGetter, auto_time, no_time, template_time
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.readers import Field, FieldReader, MembersReader, Reader, RefusingReader
from integrations.mqtt.schema import TopicSetting
from integrations.mqtt.templates import compile_template

MAX_DEVICES = 5000
"""One entry does not register more: with ``meters/+/power`` anybody who may publish could fill the registry."""

_PLACE = re.compile(r"\{(\d+)\}")


def wildcard_texts(pattern: Sequence[str], levels: Sequence[str]) -> tuple[str, ...] | None:
    """What the wildcards of a topic filter stand for in a topic; None if it does not match.

    ``#`` also matches the level above it (with an empty text); a leading wildcard matches no ``$`` topic.
    """
    if pattern[0] in ("+", "#") and levels[0].startswith("$"):
        return None
    texts: list[str] = []
    for number, wanted in enumerate(pattern):
        if wanted == "#":
            return (*texts, "/".join(levels[number:]))
        if number >= len(levels):
            return None
        if wanted == "+":
            texts.append(levels[number])
        elif wanted != levels[number]:
            return None
    return tuple(texts) if len(pattern) == len(levels) else None


def covers(wide: str, narrow: str) -> bool:
    """Whether every topic of the filter ``narrow`` is also one of the filter ``wide``."""
    if wide == narrow:
        return True
    pattern, levels = wide.split("/"), narrow.split("/")
    if pattern[0] in ("+", "#") and levels[0].startswith("$"):
        return False
    for number, wanted in enumerate(pattern):
        if wanted == "#":
            return True
        if number >= len(levels) or levels[number] == "#":
            return False
        if wanted != "+" and wanted != levels[number]:
            return False
    return len(pattern) == len(levels)


class ConfiguredTopics:
    """Turns topics into readers by the settings of the entry."""

    def __init__(self, settings: Sequence[TopicSetting]) -> None:
        self._settings = [(setting.topic.split("/"), setting) for setting in settings]
        self.devices: set[str] = set()
        """Ids of the devices that were heard of."""
        self._members: dict[MembersReader, tuple[TopicSetting, tuple[str, ...]]] = {}

    def subscriptions(self) -> dict[str, int]:
        """Topic filter → QoS; filters that a wider one covers are left out, or messages would come twice."""
        wanted: dict[str, int] = {}
        for _, setting in self._settings:
            wanted[setting.topic] = max(setting.qos, wanted.get(setting.topic, 0))
        kept: dict[str, int] = {}
        for topic, qos in wanted.items():
            if not any(covers(other, topic) for other in wanted if other != topic):
                kept[topic] = max([qos, *(q for other, q in wanted.items() if covers(topic, other))])
        return kept

    async def readers(self, topic: str, intake: Intake) -> list[Reader]:
        """Readers of a topic, with their devices and series registered.

        Raises:
            RetryLater: the registry cannot be reached now.
        """
        found: list[Reader] = []
        levels = topic.split("/")
        for pattern, setting in self._settings:
            texts = wildcard_texts(pattern, levels)
            if texts is None:
                continue
            try:
                found.append(await self._reader(setting, texts, intake))
            except Unreadable as error:
                found.append(RefusingReader(error))
        return found

    async def learn(self, message: Message, intake: Intake, batch: ReadingBatch) -> None:
        """Register the JSON members that readers saw for the first time, and read those."""
        wanted: dict[MembersReader, list[str]] = {}
        for reader, member in message.unseen:
            if isinstance(reader, MembersReader):
                wanted.setdefault(reader, []).append(member)
        for reader, members in wanted.items():
            setting, texts = self._members[reader]
            try:
                await self._learn(setting, texts, members, reader, intake)
                reader.read_members(message, members, batch, intake)
            except Unreadable as error:
                message.errors.append(error)

    async def _reader(self, setting: TopicSetting, texts: tuple[str, ...], intake: Intake) -> Reader:
        device = self._device(setting, texts)
        if setting.members:
            reader = MembersReader(_time_of(setting))
            self._members[reader] = (setting, texts)
            return reader
        fields = []
        infos = [_info(value.key, texts, value.unit, value.kind, value.name) for value in setting.values]
        for value, info in zip(setting.values, infos, strict=True):
            _check_kind(info.key, intake.behaviour(device.id, info.key), value.kind)
        for value, info, handle in zip(
            setting.values, infos, await _declared(device, infos, intake), strict=True
        ):
            if handle is not None:
                template = compile_template(value.template) if value.template else None
                fields.append(Field(info.key, handle, template, info.behaviour))
        return FieldReader(fields, _time_of(setting), strict=bool(fields))

    async def _learn(
        self,
        setting: TopicSetting,
        texts: tuple[str, ...],
        members: Sequence[str],
        reader: MembersReader,
        intake: Intake,
    ) -> None:
        infos: dict[str, SeriesInfo] = {}
        for member in members:
            reader.learn(member, None)
            try:
                info = known_series(key_of(member))
            except WattlineError:
                continue
            if setting.members == "all" or info.quantity is not Quantity.OTHER:
                infos[member] = info
        device = self._device(setting, texts)
        handles = await _declared(device, list(infos.values()), intake) if infos else []
        for (member, info), handle in zip(infos.items(), handles, strict=True):
            if handle is not None:
                reader.learn(member, Field(info.key, handle, None, info.behaviour))

    def forget(self) -> None:
        """The registry changed: look everything up again."""
        self._members.clear()

    def _device(self, setting: TopicSetting, texts: tuple[str, ...]) -> DeviceInfo:
        written = _filled(setting.device, texts)
        try:
            id_ = device_id(written)
        except WattlineError as error:
            raise Unreadable(error.code, error.message, "device") from error
        if id_ not in self.devices and len(self.devices) >= MAX_DEVICES:
            raise Unreadable(
                "WL-MQT-009", f"this entry has {MAX_DEVICES} devices and takes no more", "device"
            )
        self.devices.add(id_)
        name = _filled(setting.name, texts) or (written if written != id_ else "")
        return DeviceInfo(id_, name=name, role=setting.role)


async def _declared(
    device: DeviceInfo, infos: Sequence[SeriesInfo], intake: Intake
) -> Sequence[SeriesHandle | None]:
    try:
        return await intake.declare(device, infos)
    except Refused as error:
        raise Unreadable(error.code, error.message, error.where or "series") from error


def _filled(text: str, texts: tuple[str, ...]) -> str:
    return _PLACE.sub(lambda place: texts[int(place[1]) - 1], text)


def _info(key: str, texts: tuple[str, ...], unit: str | None, kind: str | None, name: str) -> SeriesInfo:
    try:
        info = known_series(key_of(_filled(key, texts)), unit=unit, kind=kind)
    except WattlineError as error:
        raise Unreadable(error.code, error.message, "series") from error
    return replace(info, name=name) if name else info


def _check_kind(key: str, known: Behaviour | None, kind: str | None) -> None:
    try:
        same_kind(key, known, kind)
    except Refused as error:
        raise Unreadable(error.code, error.message, error.where) from error


def _time_of(setting: TopicSetting) -> TimeGetter:
    if setting.ts == "auto":
        return auto_time
    return no_time if setting.ts == "none" else template_time(compile_template(setting.ts))
