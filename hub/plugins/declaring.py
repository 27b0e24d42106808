"""Declaring several series of a device of which some may be refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from hub.errors import Refused
from hub.model.device import DeviceInfo
from hub.model.reading import SeriesHandle
from hub.model.series import SeriesInfo


class _Declaring(Protocol):
    async def declare(
        self, device: DeviceInfo, series: Sequence[SeriesInfo]
    ) -> Sequence[SeriesHandle | None]:
        """See :meth:`hub.plugins.api.Intake.declare`."""


async def declare_each(
    intake: _Declaring, device: DeviceInfo, infos: Mapping[str, SeriesInfo]
) -> dict[str, SeriesHandle | Refused]:
    """Handle or refusal of each series, by the names the caller gave them.

    All go in one call; where the hub refuses that, each goes alone, so that one bad unit costs its own series
    only. A device that waits in the inbox or is ignored gives ``WL-ING-024`` for each.
    """
    if not infos:
        return {}
    try:
        handles = await intake.declare(device, list(infos.values()))
    except Refused as error:
        if len(infos) == 1:
            return dict.fromkeys(infos, error)
        answers: dict[str, SeriesHandle | Refused] = {}
        for name, info in infos.items():
            answers |= await declare_each(intake, device, {name: info})
        return answers
    waiting = Refused("WL-ING-024", "device waits in the inbox or is ignored")
    return {name: waiting if one is None else one for name, one in zip(infos, handles, strict=True)}
