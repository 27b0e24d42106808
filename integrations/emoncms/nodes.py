"""Inputs of nodes → handles: registers what is new, remembers what is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hub.plugins.api import DeviceInfo, Intake, Quantity, Refused, SeriesHandle, SeriesInfo, declare_each
from integrations.emoncms.mapping import device_of, series_of

MAX_INPUTS = 20_000
"""Remembered inputs; a sender of ever new names makes the memory start afresh, not grow."""

Input = tuple[str, str]
"""Node and input as sent."""

Handles = dict[Input, SeriesHandle]


class Nodes:
    """Handles by node and input, valid as long as the registry does not change."""

    def __init__(self) -> None:
        self._handles: Handles = {}
        self._valid_for: tuple[str, int] = ("", -1)
        self._names: dict[str, set[str]] = {}

    def current(self, intake: Intake) -> Handles:
        """What is known under the registry as it is now; a later change makes a new object."""
        now = (intake.entry_id, intake.registry_version)
        if now != self._valid_for or len(self._handles) > MAX_INPUTS:
            self._handles = {}
            self._valid_for = now
        return self._handles

    def names_of(self, device: str) -> frozenset[str]:
        """Inputs that this process has seen of a device."""
        return frozenset(self._names.get(device, ()))

    async def register(
        self, inputs: Iterable[Input], handles: Handles, intake: Intake
    ) -> dict[Input, Refused]:
        """Afterwards each input has a handle in ``handles`` or stands in the answer.

        Raises:
            RetryLater: the registry cannot be written now.
        """
        refused: dict[Input, Refused] = {}
        by_node: dict[str, list[str]] = {}
        for node, name in inputs:
            if (node, name) not in handles:
                by_node.setdefault(node, []).append(name)
        for node, names in by_node.items():
            try:
                device = device_of(node)
            except Refused as error:
                refused |= {(node, name): error for name in names}
                continue
            await self._register_node(node, device, names, handles, refused, intake)
        return refused

    async def _register_node(
        self,
        node: str,
        device: DeviceInfo,
        names: Sequence[str],
        handles: Handles,
        refused: dict[Input, Refused],
        intake: Intake,
    ) -> None:
        infos: dict[str, SeriesInfo] = {}
        for name in names:
            try:
                info = series_of(name)
            except Refused as error:
                refused[node, name] = error
                continue
            # A name that says nothing is what it was registered as, in that unit.
            kept = intake.handle(device.id, info.key) if info.quantity is Quantity.OTHER else None
            if kept is None:
                infos[name] = info
            else:
                handles[node, name] = kept
            self._remember(device.id, name)
        for name, handle in (await declare_each(intake, device, infos)).items():
            if isinstance(handle, Refused):
                refused[node, name] = handle
            else:
                handles[node, name] = handle

    def _remember(self, device: str, name: str) -> None:
        if len(self._names) > MAX_INPUTS:
            self._names.clear()
        self._names.setdefault(device, set()).add(name)
