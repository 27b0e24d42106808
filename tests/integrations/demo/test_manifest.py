"""The manifest says what the integration is."""

from __future__ import annotations

from pathlib import Path

import integrations.demo
from hub.plugins.manifest import read_manifest


def test_manifest_fits_the_integration() -> None:
    described = integrations.demo.hub_integration()
    manifest = read_manifest(Path(integrations.demo.__file__).parent)
    assert manifest.domain == described.domain == "demo"
    assert manifest.summary
