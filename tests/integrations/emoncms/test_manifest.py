"""The manifest is one the hub accepts."""

from __future__ import annotations

from pathlib import Path

from hub.plugins.manifest import read_manifest

FOLDER = Path(__file__).parents[3] / "integrations" / "emoncms"


def test_the_manifest_names_its_folder() -> None:
    assert read_manifest(FOLDER).domain == FOLDER.name
