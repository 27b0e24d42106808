"""The manifest says what the integration is."""

from __future__ import annotations

from pathlib import Path

import integrations.shelly
from hub.plugins.manifest import read_manifest


def test_manifest_fits_the_integration() -> None:
    described = integrations.shelly.hub_integration()
    manifest = read_manifest(Path(integrations.shelly.__file__).parent)
    assert manifest.domain == described.domain == "shelly"
    assert manifest.summary
