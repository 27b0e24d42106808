"""A register layout of pymodbus' own simulator, served by it and read by us."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hub.plugins.testing import MemoryIntake
from tests.integrations.modbus.devices import options
from tests.integrations.modbus.test_client import rows_of
from tests.peers.ports import free_port

SETUP = Path(__file__).parents[4] / "shared" / "fixtures" / "modbus" / "pymodbus_simulator_setup.json"


@contextlib.asynccontextmanager
async def simulator(folder: Path, device: str) -> AsyncIterator[int]:
    """pymodbus' simulator with the recorded setup on free ports; yields the Modbus port."""
    if not SETUP.exists():
        pytest.skip("no simulator setup at hand")
    from pymodbus.server import ModbusSimulatorServer

    setup: dict[str, Any] = json.loads(SETUP.read_text())
    port, http_port = free_port(), free_port()
    setup["server_list"]["server"] |= {"host": "127.0.0.1", "port": port}
    file = folder / "setup.json"
    file.write_text(json.dumps(setup))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pymodbus warns of its own simulator
        server: Any = ModbusSimulatorServer(
            modbus_device=device, http_host="127.0.0.1", http_port=http_port, log_file="", json_file=str(file)
        )
        await server.run_forever(only_start=True)
    try:
        yield port
    finally:
        await server.stop()


async def test_simulator_setup_is_read(tmp_path: Path) -> None:
    registers = [
        {"key": "count", "address": 3, "decode": "uint16"},
        {"key": "big", "address": 4, "decode": "uint32"},
        {"key": "real", "address": 6, "decode": "float32"},
        {"key": "text", "address": 1, "decode": "uint16"},
    ]
    intake = MemoryIntake()
    async with simulator(tmp_path, "device") as port:
        values = await rows_of(intake, options(port, registers=registers, id="sim", timeout=2), 3)
    assert values["sim.count"] == 17001
    assert values["sim.big"] == 617001
    assert 404 < values["sim.real"] < 410
    assert "sim.text" not in values  # the setup marks register 1 as invalid
