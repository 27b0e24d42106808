"""Passwords: argon2id, always in a thread, and the same work for a user who does not exist."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from hub.errors import Refused, RetryLater

MIN_CHARS = 8
MAX_BYTES = 1024
TIME_COST, MEMORY_KIB, LANES = 1, 47_104, 1
"""OWASP's first choice for argon2id: 46 MiB, one pass, one lane (about 40 ms on a small machine)."""
MAX_WAITING = 64

# Nobody's hash: well-formed, so that checking against it costs what a real one costs, and never equal.
_NOBODY = (
    f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={LANES}$"
    f"{base64.b64encode(bytes(16)).decode().rstrip('=')}${base64.b64encode(bytes(32)).decode().rstrip('=')}"
)


def check_password(password: str) -> None:
    """Refuse passwords that are too short or too long; no rules about kinds of characters.

    Raises:
        Refused: ``WL-AUTH-022``.
    """
    if len(password) < MIN_CHARS:
        raise Refused(
            "WL-AUTH-022",
            f"the password has fewer than {MIN_CHARS} characters",
            where="password",
            hint="15 characters or a few words are a good length",
        )
    if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise Refused("WL-AUTH-022", f"the password has more than {MAX_BYTES} bytes", where="password")


class Passwords:
    """Hashes and checks passwords, one at a time: a flood of sign-ins can take one core and 46 MiB, not more."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "passwords")
        self._waiting = 0

    async def hashed(self, password: str) -> str:
        """The argon2id string of a password that :func:`check_password` let pass."""
        return await self._in_thread(_hash, password)

    async def matches(self, stored_hash: str | None, password: str) -> bool:
        """True where the password belongs to the hash; ``None`` (no such user) takes as long and is False."""
        if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            stored_hash, password = None, ""
        equal = await self._in_thread(_verify, stored_hash or _NOBODY, password)
        return equal == "yes" and stored_hash is not None

    def close(self) -> None:
        """Stop the thread after what it has begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[..., str], *args: str) -> str:
        if self._waiting >= MAX_WAITING:
            raise RetryLater("WL-AUTH-030", "too many people sign in at this moment", retry_after_s=5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        finally:
            self._waiting -= 1


def _hash(password: str) -> str:
    from argon2 import PasswordHasher  # not before the first sign-in

    return PasswordHasher(TIME_COST, MEMORY_KIB, LANES).hash(password)


def _verify(stored_hash: str, password: str) -> str:
    from argon2 import PasswordHasher  # not before the first sign-in
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        PasswordHasher().verify(stored_hash, password)
    except (VerificationError, InvalidHashError):
        return "no"
    return "yes"
