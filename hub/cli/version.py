"""``wattline version``: in a file of its own, so that it imports next to nothing."""

from __future__ import annotations

import platform
import sqlite3
import sys
from pathlib import Path

import click

from hub import __version__
from hub.cli.options import common, show


@click.command()
@common
def version(config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Show the versions of Wattline, Python and SQLite."""
    answer = {
        "version": __version__,
        "api": "v1",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "platform": sys.platform,
    }
    text = f"wattline {__version__} (Python {answer['python']}, SQLite {answer['sqlite']}, {sys.platform})"
    show(answer, text, as_json=as_json)
