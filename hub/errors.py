"""The errors of the hub: the class says the policy, the code says which one.

Every error carries four things for the person who meets it: *what* happened (the message), *where* (a file,
a field path, a device), *why* if it is known, and *what next*. The code (``WL-CFG-021``) is stable: it is
documented, searched for and matched by programs, while texts may improve.
"""

from __future__ import annotations

from dataclasses import dataclass


class WattlineError(Exception):
    """Base of all expected errors.

    Args:
        code: stable code such as ``WL-ING-004``.
        message: what happened, one sentence without a trailing dot.
        where: file and line, field path, device or route the error is about.
        hint: what the reader can do next.
    """

    def __init__(self, code: str, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.code} {place}{self.message}{hint}"


class RetryLater(WattlineError):
    """Something outside is away for now: try again with back-off. Carries ``retry_after_s``."""

    def __init__(
        self, code: str, message: str, *, where: str = "", hint: str = "", retry_after_s: float = 5.0
    ) -> None:
        super().__init__(code, message, where=where, hint=hint)
        self.retry_after_s = retry_after_s


class QueueFull(RetryLater):
    """The ingest queue is over its limit (HTTP 429; MQTT stops acknowledging)."""


class StorageAway(RetryLater):
    """The database cannot be reached or its connection broke (HTTP 503)."""


class DiskFull(RetryLater):
    """The disk has no room: writes are refused, reads go on (HTTP 507)."""


class StorageCorrupt(WattlineError):
    """The database file is damaged; a person decides (``wattline db check``, a backup)."""


class AskUser(WattlineError):
    """Only a person can solve this: wrong configuration, wrong credentials."""


class ConfigError(AskUser):
    """A configuration file is wrong; see :mod:`hub.config.errors` for positions."""


class Refused(WattlineError):
    """The input is wrong and will never be right: refused whole, nothing stored (HTTP 4xx)."""


class NotFound(Refused):
    """The object is missing or not yours; both look the same (HTTP 404)."""


class StateConflict(Refused):
    """The object is in a state that does not allow this, such as undone already (HTTP 409)."""


class Forbidden(Refused):
    """Known caller, missing right (HTTP 403)."""


class Unauthenticated(Refused):
    """No or wrong credentials (HTTP 401)."""


class CannotConnect(RetryLater):
    """An integration cannot reach its device: the hub retries with back-off."""

    def __init__(self, message: str, *, code: str = "WL-INT-001", where: str = "", hint: str = "") -> None:
        super().__init__(code, message, where=where, hint=hint)


class InvalidAuth(AskUser):
    """A device refuses our credentials: the hub waits for new configuration instead of retrying."""

    def __init__(self, message: str, *, code: str = "WL-INT-002", where: str = "", hint: str = "") -> None:
        super().__init__(code, message, where=where, hint=hint)


class Bug(WattlineError):
    """A promise of our own code is broken; always logged with its stack."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one item of a batch was not stored.

    ``index`` counts from 0 in the order of arrival, ``field`` is a path such as ``values.power``.
    ``quarantined`` items are kept with their reason and can be imported again.
    """

    index: int
    code: str
    text: str
    field: str = ""
    quarantined: bool = False

    def as_json(self) -> dict[str, object]:
        """Shape of one item in a 207 answer."""
        return {
            "index": self.index,
            "stored": False,
            "quarantined": self.quarantined,
            "code": self.code,
            "detail": self.text,
            "field": self.field,
        }
