"""``wattline explain CODE``: what an error code means and what to do, without a network."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hub.cli.options import common, fail, show, table
from hub.errors import Refused

if TYPE_CHECKING:
    from hub.config.codes import CodeText


@click.command()
@click.argument("code", required=False)
@common
def explain(code: str | None, config_dir: Path, data_dir: Path, as_json: bool) -> None:
    """Explain an error CODE such as WL-CFG-021; without one, list all codes."""
    known = all_codes()
    if code is None:
        rows = [(name, known[name].title) for name in sorted(known)]
        show(
            {"items": [{"code": c, "title": t} for c, t in rows]},
            table(("CODE", "MEANING"), rows),
            as_json=as_json,
        )
        return
    wanted = _written(code)
    text = known.get(wanted)
    if text is None:
        near = get_close_matches(wanted, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "`wattline explain` lists all codes"
        fail(
            Refused("WL-CLI-009", f"{code[:40]} is no code of this version", where="CODE", hint=hint),
            as_json=as_json,
        )
    answer = {"code": wanted, "title": text.title, "what": text.what, "why": text.why, "next": text.next}
    show(answer, text.render(wanted).rstrip("\n"), as_json=as_json)


def all_codes() -> Mapping[str, CodeText]:
    """The explanation of every code of this version."""
    from hub.cli.meanings import MEANINGS
    from hub.config.codes import CODES

    return {**CODES, **MEANINGS}


def _written(code: str) -> str:
    """``wl cfg 21`` and ``CFG-021`` are the code ``WL-CFG-021`` as well."""
    parts = code.upper().replace("_", "-").replace(" ", "-").strip("-").split("-")
    if parts[0] != "WL":
        parts.insert(0, "WL")
    if len(parts) == 3 and parts[2].isdecimal():
        parts[2] = parts[2].zfill(3)
    return "-".join(parts)
