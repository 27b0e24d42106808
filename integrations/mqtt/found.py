"""Devices that announce themselves."""

from __future__ import annotations

import asyncio

from hub.plugins.api import Intake
from integrations.mqtt.numbers import Unreadable
from integrations.mqtt.readers import Reader
from integrations.mqtt.schema import Settings


class FoundDevices:
    def __init__(self, settings: Settings) -> None:
        self.unsettled = False
        self.known = False
        self.heard = 0
        self.changed = asyncio.Event()

    def is_control(self, topic: bytes) -> bool:
        return False

    def announcements(self) -> list[str]:
        return []

    def topics(self) -> list[str]:
        return []

    def hear(self, topic: str, payload: bytes) -> None: ...
    async def settle(self, intake: Intake) -> list[Unreadable]:
        return []

    def readers(self, topic: str) -> list[Reader]:
        return []

    def forget_handles(self) -> None: ...
    def set_all(self, intake: Intake, online: bool) -> None: ...
    async def watch_expiry(self, intake: Intake) -> None:
        await asyncio.Event().wait()
