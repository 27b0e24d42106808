"""Options that every command shares, and how errors reach the person at the terminal."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click

from hub.errors import ConfigError, WattlineError

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_CONFIG = Path("config")
DEFAULT_DATA = Path("data")


def common(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--config``, ``--data`` and ``--json``, and turn expected errors into exit code 1."""

    @click.option(
        "--config",
        "config_dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_CONFIG,
        envvar="WATTLINE_CONFIG",
        show_default=True,
        help="Directory of hub.yaml.",
    )
    @click.option(
        "--data",
        "data_dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_DATA,
        envvar="WATTLINE_DATA",
        show_default=True,
        help="Directory of the hub's data.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except WattlineError as error:
            fail(error, as_json=bool(kwargs.get("as_json")))

    return wrapped


def fail(error: WattlineError, *, as_json: bool) -> NoReturn:
    """Print an error in full and end with exit code 1."""
    findings = _findings(error, as_json=as_json) if isinstance(error, ConfigError) else None
    if findings is not None:
        text = findings
    elif as_json:
        plain = {"code": error.code, "detail": error.message, "where": error.where, "hint": error.hint}
        text = json.dumps({"errors": [plain]}, ensure_ascii=False)
    else:
        place = f"\n  where: {error.where}" if error.where else ""
        hint = f"\n  next:  {error.hint or f'wattline explain {error.code}'}"
        text = f"error {error.code}: {error.message}{place}{hint}"
    click.echo(text, err=not as_json)
    sys.exit(1)


def _findings(error: ConfigError, *, as_json: bool) -> str | None:
    """All positions of a configuration's errors; None for an error without positions."""
    from hub.config.errors import ConfigErrors  # 20 ms that most commands need not pay

    if not isinstance(error, ConfigErrors):
        return None
    if as_json:
        return json.dumps({"errors": error.as_json()}, ensure_ascii=False)
    return error.render(sys.stderr.isatty()).rstrip("\n")


def show(answer: Any, text: str, *, as_json: bool) -> None:
    """Print an answer for people or for programs."""
    click.echo(json.dumps(answer, ensure_ascii=False) if as_json else text)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[str] = ()) -> str:
    """Columns for people, as wide as what stands in them; control characters are shown, not obeyed.

    ``numbers`` are the heads of the columns whose ends stand below each other.
    """
    cells = [list(heads), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    sides = [">" if head in numbers else "<" for head in heads]
    return "\n".join(
        "  ".join(
            f"{text:{side}{width}}" for text, side, width in zip(line, sides, widths, strict=True)
        ).rstrip()
        for line in cells
    )


def _cell(value: object) -> str:
    text = "-" if value is None or value == "" else str(value)
    return "".join(char if char.isprintable() else "?" for char in text)


def moment(ms: int | None) -> str:
    """Epoch milliseconds as ``2026-11-23 02:10:00Z``; a dash for none."""
    return "-" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def counted(number: int, word: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
