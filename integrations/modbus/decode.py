"""Words of a register answer → one number. Pure; the byte order inside a word is always big-endian."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_FORMATS: dict[str, tuple[str, int]] = {
    "uint16": (">H", 1),
    "int16": (">h", 1),
    "uint32": (">I", 2),
    "int32": (">i", 2),
    "uint64": (">Q", 4),
    "int64": (">q", 4),
    "float32": (">f", 2),
    "float64": (">d", 4),
}
_SWAPPED = {f"{name}s": name for name, (_, words) in _FORMATS.items() if words > 1}

DECODES: tuple[str, ...] = (*_FORMATS, *_SWAPPED)
"""Names of the number formats; a trailing ``s`` has the least significant word first (CDAB)."""


def word_count(decode: str) -> int:
    """Registers that one value of this format takes."""
    return _FORMATS[_SWAPPED.get(decode, decode)][1]


def number(words: Sequence[int], decode: str, *, little: bool = False) -> int | float:
    """The number in ``words``; ``little`` has the least significant word first, as ``…s`` formats always do.

    Raises:
        ValueError: not exactly :func:`word_count` words, or a word outside 0…65535.
    """
    plain = _SWAPPED.get(decode, decode)
    form, count = _FORMATS[plain]
    if len(words) != count:
        raise ValueError(f"{decode} takes {count} registers, not {len(words)}")
    if not all(0 <= word <= 0xFFFF for word in words):
        raise ValueError("a register holds 0 to 65535")
    in_order = reversed(words) if little or plain != decode else words
    value: int | float = struct.unpack(form, b"".join(word.to_bytes(2, "big") for word in in_order))[0]
    return value


def not_available(decode: str) -> int | None:
    """The raw value by which vendors usually say "no value": all ones, or the most negative one.

    ``None`` for floats, where NaN says it.
    """
    plain = _SWAPPED.get(decode, decode)
    if plain.startswith("float"):
        return None
    bits = 16 * _FORMATS[plain][1]
    return (1 << bits) - 1 if plain.startswith("uint") else -(1 << (bits - 1))


def scaled(raw: int | float, scale: float) -> float:
    """``raw * scale`` without the dust of binary fractions: 2301 * 0.1 is 230.1.

    The result may be infinite or NaN, which the caller has to refuse.
    """
    if scale == 1:
        return float(raw)
    return float(f"{raw * scale:.15g}")
