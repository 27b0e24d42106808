"""Heads → handles: registers what is new, remembers what is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hub.plugins.api import (
    Behaviour,
    DeviceInfo,
    Intake,
    Quantity,
    Refused,
    SeriesHandle,
    SeriesInfo,
    known_series,
    same_kind,
    series_key,
)
from integrations.http_json.items import About, Head

MAX_HEADS = 100_000
"""Remembered heads; a sender of ever new names makes the memory start afresh, not grow."""


Handles = dict[Head, SeriesHandle]


class Heads:
    """Handles by head, valid as long as the registry does not change.

    A request takes :meth:`current` once and works with that object: a change that comes while it waits makes
    a new object for the next request instead of emptying this one under its hands.
    """

    def __init__(self) -> None:
        self._handles: Handles = {}
        self._told: set[About] = set()
        self._valid_for: tuple[str, int] = ("", -1)

    def current(self, intake: Intake) -> Handles:
        """What is known under the registry as it is now."""
        now = (intake.entry_id, intake.registry_version)
        if now != self._valid_for or len(self._handles) > MAX_HEADS:
            self._handles = {}
            self._told = set()
            self._valid_for = now
        return self._handles

    async def resolve(
        self, intake: Intake, wanted: Iterable[Head], abouts: Iterable[About], handles: Handles
    ) -> dict[Head, Refused]:
        """Afterwards each wanted head has a handle in ``handles`` or stands in the answer.

        Raises:
            RetryLater: the registry cannot be written now.
        """
        told = self._told
        refused: dict[Head, Refused] = {}
        by_device: dict[str, list[Head]] = {}
        for head in wanted:
            by_device.setdefault(head[0], []).append(head)
        said = {about: None for about in abouts if about not in told}
        for about in said:
            by_device.setdefault(about.device, [])
        for device, heads in by_device.items():
            info = _device_info(device, [about for about in said if about.device == device])
            await _resolve_device(intake, info, heads, handles, refused)
        told.update(said)
        return refused


async def _resolve_device(
    intake: Intake, device: DeviceInfo, heads: Sequence[Head], handles: Handles, refused: dict[Head, Refused]
) -> None:
    infos: dict[Head, SeriesInfo] = {}
    kinds: dict[str, Behaviour] = {}
    for head in heads:
        try:
            info = _series_info(head)
            same_kind(info.key, intake.behaviour(device.id, info.key) or kinds.get(info.key), head[3])
            kinds.setdefault(info.key, info.behaviour)
        except Refused as error:
            refused[head] = error
            continue
        kept = intake.handle(device.id, info.key) if _says_nothing(head, info) else None
        if kept is None:
            infos[head] = info
        else:
            handles[head] = kept
    if infos or device.name or device.role is not None:
        for head, handle in (await _declared(device, infos, intake)).items():
            if isinstance(handle, Refused):
                refused[head] = handle
            else:
                handles[head] = handle


async def _declared(
    device: DeviceInfo, infos: dict[Head, SeriesInfo], intake: Intake
) -> dict[Head, SeriesHandle | Refused]:
    """Handle or refusal of each; all in one call, and one by one where that call is refused."""
    try:
        handles = await intake.declare(device, list(infos.values()))
    except Refused as error:
        if len(infos) <= 1:
            return dict.fromkeys(infos, error)
        answers: dict[Head, SeriesHandle | Refused] = {}
        for head, info in infos.items():
            answers |= await _declared(device, {head: info}, intake)
        return answers
    waiting = Refused(
        "WL-ING-024", "device waits in the inbox or is ignored", where="device", hint="add it there"
    )
    return {head: waiting if one is None else one for head, one in zip(infos, handles, strict=True)}


def _series_info(head: Head) -> SeriesInfo:
    _, key, unit, kind = head
    return known_series(series_key(key), unit=unit, kind=kind)


def _says_nothing(head: Head, info: SeriesInfo) -> bool:
    """Neither the sender nor the name tells what it measures: then the series as registered rules, in its unit."""
    return head[2] is None and info.quantity is Quantity.OTHER


def _device_info(device: str, abouts: Sequence[About]) -> DeviceInfo:
    """Later items win; a name that any of them gives wins over the text that the id was made of."""
    latest = abouts[::-1]
    name = next((about.name for about in latest if about.name), "")
    name = name or next((about.text for about in latest if about.text), "")
    role = next((about.role for about in latest if about.role is not None), None)
    return DeviceInfo(device, name=name, role=role)
