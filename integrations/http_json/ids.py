"""The instant that a message id carries.

An amount (a *delta*) that is sent twice must count once, also when the hub was killed between its commit and
its answer. Only the stored key (series, time) can promise that, so an id makes a message without ``ts``
repeatable exactly when the time can be read from the id itself: UUID version 7 (RFC 9562, 48 bits of
milliseconds first) and ULID (10 characters of milliseconds first). A list of ids kept in memory would forget.
"""

from __future__ import annotations

import re

_UUID7 = re.compile(
    r"([0-9a-f]{8})-?([0-9a-f]{4})-?7[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE | re.ASCII
)
_ULID = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}", re.IGNORECASE | re.ASCII)
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def time_of_id(message_id: str) -> int | None:
    """Epoch milliseconds out of a UUIDv7 or a ULID; None for any other id."""
    uuid = _UUID7.fullmatch(message_id)
    if uuid:
        return int(uuid[1] + uuid[2], 16)
    if not _ULID.fullmatch(message_id):
        return None
    ts_ms = 0
    for char in message_id[:10].lower():
        ts_ms = ts_ms * 32 + _CROCKFORD.index(char)
    return ts_ms
