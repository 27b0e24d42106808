"""Bodies → slices of lines, none of which holds the event loop for long.

A quoted value may hold newlines, so a body with quotes is cut by a reader that knows them; all others are cut
at newlines, a chunk at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CHUNK_BYTES = 128 << 10
"""Size of a slice: some 1,500 lines, 5 to 10 ms of work."""

MAX_LINE_CHARS = 256 << 10
"""A longer line is refused; the longest honest ones have some hundred fields."""

MAX_LINES = 250_000
"""Lines of one request; a sender with more is told to split (413)."""

_LINES_PER_QUOTED_SLICE = 500
_CONTROLS = bytes(code for code in (*range(32), 127) if code != 10)


@dataclass(frozen=True, slots=True)
class Slice:
    """Some lines; ``plain`` ones may be read the fast way.

    ``cut`` says where lines end if newlines alone do not.
    """

    text: str
    plain: bool
    cut: list[str] | None = None

    @property
    def lines(self) -> list[str]:
        """The lines, blank ones too."""
        return self.text.split("\n") if self.cut is None else self.cut

    def __len__(self) -> int:
        return self.text.count("\n") + 1 if self.cut is None else len(self.cut)


def slices_of(body: bytes) -> Iterator[Slice]:
    """Cut a body. Bytes that are no UTF-8 become lone surrogates, which the grammar refuses line by line."""
    if b"\r" in body:
        body = body.replace(b"\r\n", b"\n").removesuffix(b"\r")
    return _quoted_slices(body) if b'"' in body else _plain_slices(body)


def logical_lines(text: str) -> Iterator[str]:
    """Lines of a text whose quoted values may hold newlines; an open quote ends with its line."""
    start = 0
    while start <= len(text):
        end = _end_of_line(text, start)
        yield text[start:end]
        start = end + 1


def _plain_slices(body: bytes) -> Iterator[Slice]:
    start = 0
    while start < len(body):
        end = body.find(b"\n", start + CHUNK_BYTES)
        end = len(body) if end < 0 else end
        chunk = body[start:end]
        yield Slice(_text(chunk), _is_plain(chunk))
        start = end + 1


def _quoted_slices(body: bytes) -> Iterator[Slice]:
    plain = len(body.translate(None, _CONTROLS)) == len(body)
    lines: list[str] = []
    size = 0
    for line in logical_lines(_text(body)):
        lines.append(line)
        size += len(line)
        if len(lines) >= _LINES_PER_QUOTED_SLICE or size >= CHUNK_BYTES:
            yield Slice("", plain and size <= 2 * CHUNK_BYTES, lines)
            lines, size = [], 0
    yield Slice("", plain, lines)


def _is_plain(chunk: bytes) -> bool:
    """No control characters, which ``float`` would skip, and no line that takes long."""
    return len(chunk) <= 2 * CHUNK_BYTES and len(chunk.translate(None, _CONTROLS)) == len(chunk)


def _text(chunk: bytes) -> str:
    return chunk.decode("utf-8", "surrogateescape")


def _end_of_line(text: str, start: int) -> int:
    """Position of the newline that ends the line at ``start``, or of the end of the text."""
    first = newline = _newline(text, start)
    position = start
    while position - start <= MAX_LINE_CHARS:
        if newline < position:
            newline = _newline(text, position)
        opened = text.find('="', position, newline)
        closed = _closing_quote(text, opened + 2) if opened >= 0 else -1
        if closed < 0:
            return newline
        position = closed + 1
    return first


def _newline(text: str, start: int) -> int:
    found = text.find("\n", start)
    return len(text) if found < 0 else found


def _closing_quote(text: str, start: int) -> int:
    """The first quote from ``start`` with an even number of backslashes before it, -1 where there is none near."""
    quote = start - 1
    while (quote := text.find('"', quote + 1, start + MAX_LINE_CHARS)) >= 0:
        slash = quote
        while slash > start and text[slash - 1] == "\\":
            slash -= 1
        if (quote - slash) % 2 == 0:
            return quote
    return -1
