"""Defaults in the tables of the manual are those of the schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol
from ruamel.yaml import YAML

from hub.config.schema import SECTIONS
from tests.docs.examples import ROOT, plugins

CONFIGURATION = ROOT / "docs" / "configuration.md"
_ROW = re.compile(r"^\| `(\w+)` \| ([^|]*) \|", re.MULTILINE)
_BASES: Mapping[str, tuple[Path, dict[str, Any]]] = {
    "modbus": (ROOT / "docs/integrations/modbus.md", {"host": "192.0.2.7", "template": "eastron-sdm630"}),
    "shelly": (ROOT / "docs/integrations/shelly.md", {"host": "192.0.2.20"}),
    "mqtt": (ROOT / "docs/integrations/mqtt.md", {}),
    "demo": (ROOT / "docs/integrations.md", {}),
}
"""The page of each integration with options, and the least that it wants to be told."""


def defaults(schema: object, base: Mapping[str, Any]) -> dict[str, Any]:
    """Keys with a plain default, as the schema gives it back."""
    assert isinstance(schema, vol.Schema)
    filled = schema(dict(base))
    return {
        key.schema: filled[key.schema]
        for key in schema.schema
        if isinstance(key, vol.Optional) and not isinstance(key.default, vol.Undefined)
    }


def shown_defaults(text: str) -> Iterator[tuple[str, Any]]:
    """Key and default of every row of a table, the default read as YAML."""
    for key, cell in _ROW.findall(text):
        quoted = re.match(r"`([^`]+)`", cell.strip())
        yield key, YAML(typ="safe", pure=True).load(quoted[1] if quoted else cell.strip())


def section_text(page: Path, section: str) -> str:
    found = re.search(rf"^### {section}$(.*?)(?=^### )", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("section", ["hub", "http", "storage", "mqtt_broker"])
def test_defaults_of_a_section(section: str) -> None:
    schema = SECTIONS[section]
    shown = dict(shown_defaults(section_text(CONFIGURATION, section)))
    wanted = {key: value for key, value in defaults(schema, {}).items() if key != "limits"}

    assert {key: schema({key: shown[key]})[key] for key in wanted} == wanted


@pytest.mark.parametrize("domain", sorted(_BASES))
def test_defaults_of_an_integration(domain: str) -> None:
    page, base = _BASES[domain]
    schema = plugins().schemas()[domain]
    text = page.read_text("utf-8")
    shown = dict(shown_defaults(text[text.index(f"## {domain}:") :] if page.stem == "integrations" else text))
    wanted = {
        key: value for key, value in defaults(schema, base).items() if key not in ("topics", "channels")
    }
    if domain == "demo":
        del wanted["since"]  # the page says it in words

    assert {key: schema({**base, key: shown[key]})[key] for key in wanted} == wanted
