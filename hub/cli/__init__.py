"""The command line: ``wattline run | demo | check | …``. Each module holds the commands of one topic."""

from __future__ import annotations

from hub.cli.main import main

__all__ = ["main"]
