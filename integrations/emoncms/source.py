"""A push format has no connection of its own: its source only lives as long as the hub wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hub.plugins.api import Intake, Options, Source


class WaitingSource:
    """Runs until cancelled; the readings come through the endpoint."""

    async def run(self, intake: Intake) -> None:
        """Wait for the end."""
        await asyncio.Event().wait()


@asynccontextmanager
async def connect(options: Options) -> AsyncIterator[Source]:
    """Open nothing; never fails."""
    yield WaitingSource()
