"""Every code that the program can show is explained, offline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.cli.explain import all_codes
from tests.hub.cli.conftest import Shell

ROOT = Path(__file__).parents[3]
CODE = re.compile(r"WL-[A-Z]+-\d{3}")


def test_every_code_in_the_program_is_explained() -> None:
    used = {
        code
        for top in ("hub", "web", "integrations")
        for path in (ROOT / top).rglob("*.py")
        for code in CODE.findall(path.read_text(encoding="utf-8"))
    }

    assert sorted(used - all_codes().keys()) == []


def test_every_explanation_says_what_why_and_what_next() -> None:
    for code, text in all_codes().items():
        assert CODE.fullmatch(code), code
        assert all((text.title, text.what, text.why, text.next)), code
        assert text.next.endswith((".", "NAME")) or "`" in text.next or "}" in text.next, code


@pytest.mark.parametrize("written", ["WL-CFG-021", "wl-cfg-021", "cfg-21", "CFG 021", "wl_cfg_21"])
def test_a_code_is_found_however_it_is_written(shell: Shell, written: str) -> None:
    done = shell.run("explain", written)

    assert done.code == 0
    assert done.out.startswith("WL-CFG-021: ")
    assert "\nNext: " in done.out


def test_an_unknown_code_names_the_nearest(shell: Shell) -> None:
    done = shell.run("explain", "WL-CFG-0211")

    assert done.code == 1
    assert "did you mean WL-CFG-021?" in done.err
    assert shell.run("explain", "\x1b[31m", "--json").code == 1


def test_all_codes_can_be_listed(shell: Shell) -> None:
    listed = shell.run("explain", "--json").json["items"]

    assert [one["code"] for one in listed] == sorted(all_codes())
