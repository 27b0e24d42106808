"""Options that every command shares, and how errors reach the person at the terminal."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click

from hub.config.errors import ConfigErrors
from hub.errors import WattlineError

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
    if isinstance(error, ConfigErrors):
        text = json.dumps({"errors": error.as_json()}) if as_json else error.render(sys.stderr.isatty())
    elif as_json:
        plain = {"code": error.code, "detail": error.message, "where": error.where, "hint": error.hint}
        text = json.dumps({"errors": [plain]})
    else:
        place = f"\n  where: {error.where}" if error.where else ""
        hint = f"\n  next:  {error.hint}" if error.hint else ""
        text = f"error {error.code}: {error.message}{place}{hint}"
    click.echo(text, err=not as_json)
    sys.exit(1)


def show(answer: Any, text: str, *, as_json: bool) -> None:
    """Print an answer for people or for programs."""
    click.echo(json.dumps(answer, ensure_ascii=False) if as_json else text)
