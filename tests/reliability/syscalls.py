"""Reads what ``strace`` saw of a hub: which bytes came and went, what was written and synced, in which order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

NETWORK = "read,recvfrom,recvmsg,write,writev,sendto,sendmsg"
TRACED = f"{NETWORK},pwrite64,fdatasync,fsync"
_LINE = re.compile(
    r"^(?P<pid>\d+) +(?:(?P<name>\w+)\((?P<fd>\d+)<(?P<file>[A-Za-z0-9-]+:\[[^\]]*\]|[^>]*)>(?P<rest>.*)"
    r"|<\.\.\. (?P<resumed>\w+) resumed>(?P<more>.*))$"
)
_BYTES = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
_RESULT = re.compile(r"= (-?\d+)[^=]*$")


@dataclass(slots=True)
class Call:
    """A system call on a descriptor. ``began`` and ``ended`` are line numbers: the order in which things happened."""

    name: str
    fd: int
    file: str
    began: int
    ended: int
    data: bytes
    result: int


def command(trace: Path) -> list[str]:
    """What stands before the hub's command."""
    return [
        "strace",
        "-f",
        "-yy",
        "-xx",
        "-s",
        "70000",
        "-e",
        f"trace={TRACED}",
        "-e",
        "signal=none",
        "-o",
        str(trace),
    ]


def calls(trace: Path) -> list[Call]:
    """All calls on files and sockets, by their beginning; one that never ended has ``ended`` beyond the file."""
    found: list[Call] = []
    open_calls: dict[str, Call] = {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        match = _LINE.match(line)
        if match is None:
            continue
        if match["resumed"]:
            call = open_calls.pop(match["pid"], None)
            if call is not None and call.name == match["resumed"]:
                _finish(call, match["more"], number)
            continue
        call = Call(
            match["name"],
            int(match["fd"]),
            _plain(match["file"]).decode(errors="replace"),
            number,
            1 << 60,
            b"",
            -1,
        )
        found.append(call)
        if line.endswith("<unfinished ...>"):
            call.data = _data(match["rest"])
            open_calls[match["pid"]] = call
        else:
            _finish(call, match["rest"], number)
    return found


def packets(stream: Sequence[Call]) -> Iterator[tuple[int, bytes, Call]]:
    """MQTT packets of one direction of a connection: ``(first byte, body, call that completed it)``."""
    buffer = b""
    for call in stream:
        buffer += call.data[: max(call.result, 0)]
        while True:
            cut = _packet_end(buffer)
            if cut is None:
                break
            head, body_at, end = cut
            yield head, buffer[body_at:end], call
            buffer = buffer[end:]


def _packet_end(buffer: bytes) -> tuple[int, int, int] | None:
    length = shift = 0
    for at in range(1, min(len(buffer), 5)):
        length |= (buffer[at] & 0x7F) << shift
        shift += 7
        if not buffer[at] & 0x80:
            end = at + 1 + length
            return (buffer[0], at + 1, end) if len(buffer) >= end else None
    return None


def _finish(call: Call, rest: str, number: int) -> None:
    call.data = call.data or _data(rest)
    found = _RESULT.search(rest)
    call.result = int(found[1]) if found else -1
    call.ended = number


def _data(text: str) -> bytes:
    return b"".join(_plain(part) for part in _BYTES.findall(text))


def _plain(text: str) -> bytes:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1", "replace")
