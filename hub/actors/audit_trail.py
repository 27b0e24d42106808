"""The audit trail as the auth actor keeps it: written at once, kept in memory while the database is away."""

from __future__ import annotations

import logging

from hub.errors import WattlineError
from hub.model.access import Principal
from hub.runtime.clock import Clock
from hub.storage.database import Database
from hub.storage.users import AuditRow, insert_audit

LOGGER = logging.getLogger(__name__)

MAX_WAITING = 1_000


class AuditTrail:
    """Appends lines; none is lost while the database comes back, up to :data:`MAX_WAITING`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: list[AuditRow] = []

    async def record(
        self,
        action: str,
        target: str,
        by: Principal | None,
        address: str,
        *,
        user_id: str | None = None,
        **detail: object,
    ) -> None:
        """Append a line; ``user_id`` is who it is about where nobody is signed in. Never raises for the database."""
        if by is not None:
            detail = {"by": by.name, **({"token": by.token_id} if by.token_id else {}), **detail}
            user_id = user_id or by.user_id or None
        self._waiting.append(AuditRow(self._clock.now_ms(), user_id, action, target, detail, address))
        await self.flush()

    async def flush(self) -> None:
        """Write what waits."""
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        try:
            await self._database.write(lambda connection: insert_audit(connection, rows))
        except WattlineError as error:
            # what was done stays done; its trace is written as soon as the database takes it
            self._waiting = (rows + self._waiting)[-MAX_WAITING:]
            LOGGER.warning("The audit trail waits for the database: %s", error)
