"""How the hub logs: one event a line, as text for people or as JSON for machines; control characters escaped."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MAX_LOGGERS = 500
_QUIET = ("aiomqtt", "pymodbus", "aiohttp.access", "alembic", "asyncio", "amqtt", "transitions")


class TextFormatter(logging.Formatter):
    """``2026-11-22 10:00:00 INFO    recorder  text``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a stack follows on lines of its own, indented."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        name = record.name.rpartition(".")[2]
        line = f"{at} {record.levelname:<7} {name:<12} {_one_line(record.getMessage())}"
        if record.exc_info:
            line += "\n    " + self.formatException(record.exc_info).replace("\n", "\n    ")
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line with ``time`` (UTC), ``level``, ``logger``, ``text`` and the extras."""

    def format(self, record: logging.LogRecord) -> str:
        """Extras such as ``device`` and ``integration`` are keys of their own, to filter by."""
        plain: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
        }
        plain |= {key: str(value) for key, value in vars(record).items() if key not in _OWN}
        if record.exc_info:
            plain["stack"] = self.formatException(record.exc_info)
        return json.dumps(plain, ensure_ascii=False)


def tame_strangers(record: logging.LogRecord) -> bool:
    """What is not HTTP is the stranger's fault: one line for it, without the stack that the web library adds."""
    error = record.exc_info[1] if record.exc_info else None
    if record.name == "aiohttp.server" and type(error).__module__ == "aiohttp.http_exceptions":
        reason = str(getattr(error, "message", error)).splitlines() or [""]
        record.msg, record.args = "a client sent what is not HTTP: %s", (reason[0][:200],)
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.exc_info = record.exc_text = None
    return True


class FloodGuard(logging.Filter):
    """Lets a logger write ``burst`` lines at once and ``per_s`` a second from then on; the rest is counted.

    One integration that logs in a loop must neither fill the disk nor hide the lines of the others. Warnings
    have an allowance of their own, so that talk cannot use it up. A line that passes tells what was held back.
    """

    def __init__(
        self, burst: int = 400, per_s: float = 20.0, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._burst = burst
        self._per_s = per_s
        self._now_s = now_s
        self._allowances: dict[tuple[str, bool], _Allowance] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line is written; who asks for debug lines gets them all."""
        if record.levelno < logging.INFO:
            return True
        key = (record.name, record.levelno >= logging.WARNING)
        if key not in self._allowances and len(self._allowances) >= _MAX_LOGGERS:
            key = ("", key[1])  # names that are made up all the time share one
        mine = self._allowances.setdefault(key, _Allowance(self._burst, self._now_s()))
        now_s = self._now_s()
        mine.lines = min(mine.lines + (now_s - mine.at_s) * self._per_s, self._burst)
        mine.at_s = now_s
        if mine.lines < 1:
            mine.held += 1
            return False
        mine.lines -= 1
        if mine.held:
            _add(record, f"{mine.held} lines of {record.name} before this one were held back")
            mine.held = 0
        elif mine.lines < 1:
            _add(record, f"{record.name} writes too much; the next lines are held back")
        return True


@dataclass(slots=True)
class _Allowance:
    """Lines that a logger may write now, since when that was counted, and how many it lost."""

    lines: float
    at_s: float
    held: int = 0


def _add(record: logging.LogRecord, note: str) -> None:
    record.msg, record.args = f"{record.getMessage()} [{note}]", ()


def set_up_logging(form: LogFormat = "text", levels: dict[str, str] | None = None) -> None:
    """Log to stderr. ``levels`` are those of the configuration, by logger name (``default`` is the root)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    handler.addFilter(tame_strangers)
    handler.addFilter(FloodGuard())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    wanted = levels or {}
    root.setLevel(wanted.get("default", "INFO").upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name, level in wanted.items():
        if name != "default":
            logging.getLogger(name).setLevel(level.upper())


def _one_line(text: str) -> str:
    """Several lines stay several, each indented; other control characters are shown, not obeyed."""
    shown = "".join(char if char.isprintable() or char == "\n" else f"\\x{ord(char):02x}" for char in text)
    return shown.replace("\n", "\n    ")
