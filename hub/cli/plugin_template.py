"""The small integration that ``wattline integration new`` writes: it works at once and is meant to be changed.

It reads the load of this machine, so that it measures something real before any device is at hand.
"""

from __future__ import annotations

from collections.abc import Mapping

_MANIFEST = """\
domain: @NAME@
name: @TITLE@
version: 0.1.0
api: @API@
summary: Reads the load of this machine; change it to read your device.
capabilities: [poll]
requirements: []
quality: bronze
"""

_INIT = '''\
"""@TITLE@: what it is; the work is in client.py."""

from hub.plugins.api import Integration, hookimpl

from .client import connect
from .schema import SCHEMA


@hookimpl
def hub_integration() -> Integration:
    """Describe the integration. Hooks only describe: no files, no network."""
    return Integration(domain="@NAME@", schema=SCHEMA, connect=connect)
'''

_SCHEMA = '''\
"""What may stand under `@NAME@:` in hub.yaml. Unknown keys are refused."""

import voluptuous as vol

SCHEMA = vol.Schema(
    {
        vol.Optional("device", default="@SLUG@"): vol.All(str, vol.Match(r"^[a-z0-9][a-z0-9_-]{0,63}$")),
        vol.Optional("name", default="@TITLE@"): vol.All(str, vol.Length(min=1, max=200)),
        vol.Optional("interval", default=10): vol.All(vol.Any(int, float), vol.Range(min=0.1, max=86400)),
    }
)
'''

_CLIENT = '''\
"""Talks to the device. The hub owns retry, logging and availability; this file owns the wire."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from hub.plugins.api import (
    CannotConnect,
    DeviceInfo,
    Intake,
    Options,
    ReadingBatch,
    SeriesHandle,
    known_series,
    poll,
)

# Keys with a meaning of their own are `power`, `energy_import`, `voltage` and so on; others are plain gauges.
SERIES = ("load_1min", "load_5min", "load_15min")


@asynccontextmanager
async def connect(options: Options) -> AsyncIterator["Meter"]:
    """Open the device, or say why not.

    Raises:
        CannotConnect: the hub tries again with growing pauses. (InvalidAuth: it waits for new configuration.)
    """
    await read_values()
    yield Meter(options)


class Meter:
    """A device that is asked every `interval` seconds."""

    def __init__(self, options: Options) -> None:
        self._device = DeviceInfo(id=options["device"], name=options["name"], kind="computer")
        self._interval_s = float(options["interval"])
        self._handles: Sequence[SeriesHandle | None] = ()
        self._registry_version = -1

    async def run(self, intake: Intake) -> None:
        """Work until cancelled; raise CannotConnect when the device is lost."""
        await poll(intake, self._interval_s, partial(self._turn, intake))

    async def _turn(self, intake: Intake) -> ReadingBatch:
        """One poll. Without a time of the device, the moment of the answer is the time of the reading."""
        values = await read_values()
        ts_ms = intake.now_ms()
        if intake.registry_version != self._registry_version:
            self._handles = await intake.declare(self._device, [known_series(key) for key in SERIES])
            self._registry_version = intake.registry_version
        batch = intake.batch()
        for handle, value in zip(self._handles, values, strict=True):
            if handle is not None:  # None: the device waits in the inbox, or is ignored
                batch.add(handle, ts_ms, value)
        return batch


async def read_values() -> tuple[float, float, float]:
    """Ask the device. What blocks belongs into a thread, or the whole hub waits."""
    try:
        return await asyncio.to_thread(os.getloadavg)
    except OSError as error:
        raise CannotConnect("this system does not tell its load", where="@NAME@") from error
'''

_TEST = '''\
"""The integration against the hub's own intake in memory: `pytest @NAME@/tests`."""

import asyncio
from pathlib import Path

import pytest
import voluptuous as vol

from hub.plugins.api import Integration
from hub.plugins.manager import PluginManager
from hub.plugins.testing import MemoryIntake

CONFIG_DIR = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def integration() -> Integration:
    plugins = PluginManager(CONFIG_DIR)
    plugins.load()
    found = plugins.integration("@NAME@")
    assert found is not None, plugins.plugins["@NAME@"].error
    return found


def test_a_poll_stores_every_value(integration: Integration) -> None:
    intake = MemoryIntake()

    async def one_poll() -> None:
        async with integration.connect(integration.schema({"device": "here"})) as source:
            running = asyncio.create_task(source.run(intake))
            await intake.wait_rows(3)
            running.cancel()

    asyncio.run(one_poll())

    assert set(intake.rows) == {"here.load_1min", "here.load_5min", "here.load_15min"}


def test_a_misspelt_option_is_refused(integration: Integration) -> None:
    with pytest.raises(vol.Invalid, match="extra keys"):
        integration.schema({"intervall": 5})
'''

_README = """\
# @TITLE@

An integration for Wattline, in `custom_integrations/@NAME@` of the configuration directory. Add it to `hub.yaml`:

```yaml
integrations:
  - @NAME@: {interval: 10}
```

- `manifest.yaml` says what it is, `schema.py` what may be configured, `client.py` talks to the device.
- `wattline integration test PATH` runs the conformance kit, `pytest PATH/tests` its own tests.
- It imports `hub.plugins.api` and nothing else of the hub.
"""


def plugin_files(name: str, api_version: int) -> Mapping[str, str]:
    """The files of a new integration by relative path."""
    words = {
        "@NAME@": name,
        "@SLUG@": name.replace("_", "-").strip("-"),
        "@TITLE@": name.replace("_", " ").strip().capitalize(),
        "@API@": str(api_version),
    }
    templates = {
        "manifest.yaml": _MANIFEST,
        "__init__.py": _INIT,
        "schema.py": _SCHEMA,
        "client.py": _CLIENT,
        "README.md": _README,
        f"tests/test_{name}.py": _TEST,
    }
    return {path: _filled(text, words) for path, text in templates.items()}


def _filled(text: str, words: Mapping[str, str]) -> str:
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text
