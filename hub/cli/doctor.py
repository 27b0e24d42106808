"""``wattline doctor``: looks at everything around the hub and says what to do, whether a hub runs or not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hub.cli.offline import Place
from hub.cli.options import common, counted, show

if TYPE_CHECKING:
    from hub.cli.examination import Found

_MARKS = {"ok": "ok", "note": "note", "warning": "WARNING", "error": "ERROR"}


@click.command()
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a zip file for a fault report, without secrets and without readings.",
)
@common
def doctor(bundle: Path | None, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Check environment, configuration, rights, ports, disk, clock, store and hub; exit code 1 for errors."""
    from hub.cli.examination import admit, examine

    patient = admit(Place(config_dir, data_dir))
    found = examine(patient)
    written = None
    if bundle is not None:
        from hub.cli.bundle import write_bundle

        written = write_bundle(bundle, patient, found)
    errors = sum(one.level == "error" for one in found)
    answer = {
        "ok": errors == 0,
        "findings": [asdict(one) for one in found],
        "bundle": str(written) if written else None,
    }
    text = _text(found)
    if written:
        text += f"\n\nwritten {written}: look through it before you send it to somebody"
    show(answer, text, as_json=as_json)
    if errors:
        sys.exit(1)


def _text(found: Sequence[Found]) -> str:
    lines = []
    for one in found:
        code = f" {one.code}" if one.code else ""
        lines.append(f"{_MARKS[one.level]:<8} {one.part}{code}: {one.text}")
        if one.hint:
            lines.append(f"         next: {one.hint}")
    errors = sum(one.level == "error" for one in found)
    warnings = sum(one.level == "warning" for one in found)
    lines.append("")
    lines.append(f"{counted(errors, 'error')}, {counted(warnings, 'warning')}")
    return "\n".join(lines)
