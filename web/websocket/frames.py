"""Websocket frames as ready bytes: built once, written to many connections (RFC 6455, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

_TEXT, _PING = 0x81, 0x89
_SHORT, _MEDIUM, _LONG = Struct("!BB"), Struct("!BBH"), Struct("!BBQ")


def text_frame(payload: bytes) -> bytes:
    """One whole text message, unmasked, as servers send it."""
    return _header(_TEXT, len(payload)) + payload


def ping_frame(payload: bytes) -> bytes:
    """A ping; ``payload`` has at most 125 bytes and comes back in the pong."""
    return _SHORT.pack(_PING, len(payload)) + payload


def event_message(subscription_id: int, event: bytes) -> bytes:
    """The envelope of one event for one subscription, around an event that is JSON already."""
    return b'{"id":%d,"type":"event","event":%b}' % (subscription_id, event)


def message_frames(messages: Sequence[bytes], coalesce: bool) -> bytes:
    """Frames for messages: one array if the client understands arrays, else one frame each."""
    if coalesce and len(messages) > 1:
        return text_frame(b"[" + b",".join(messages) + b"]")
    return b"".join(map(text_frame, messages))


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return _SHORT.pack(first, length)
    if length < 1 << 16:
        return _MEDIUM.pack(first, 126, length)
    return _LONG.pack(first, 127, length)
