"""How the hub logs: one event a line, as text for people or as JSON for machines; control characters escaped."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
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


def set_up_logging(form: LogFormat = "text", levels: dict[str, str] | None = None) -> None:
    """Log to stderr. ``levels`` are those of the configuration, by logger name (``default`` is the root)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
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
