"""The short form of :mod:`tests.chaos.kill9`: five kills at a rate that a busy machine bears."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.kill9 import bench
from tests.peers.mosquitto import require_mosquitto


@pytest.mark.timeout(300)
async def test_no_acknowledged_reading_is_lost_doubled_or_made_up_by_kills(tmp_path: Path) -> None:
    require_mosquitto()
    async with bench(tmp_path, 600.0, seed=20261122) as made:
        for _ in range(5):
            done = await made.round(last_kill_s=2.0)
            assert not done.faults
        assert made.ledger.acked
        code, _ = await made.hub.stop()
        assert code == 0
        assert await made.totals_are_the_ledgers() == []
