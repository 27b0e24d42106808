"""A hub that is killed at any moment: what it acknowledged is there, once."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hub.runtime.clock import FakeClock
from hub.storage.database import Database
from hub.storage.stats import quick_check
from tests.contract.storage.rows import DAY_MS, T0, pairs

ROOT = Path(__file__).parents[3]
FEEDER = """
import asyncio, sys
from pathlib import Path
from hub.runtime.clock import SystemClock
from hub.storage.database import Database
from hub.storage.sealing import seal_day
from tests.contract.storage.rows import DAY_MS, T0, batch

async def main(url, data_dir, first):
    store = await Database.open(url, Path(data_dir), clock=SystemClock())
    for n in range(first, first + 100_000):
        rows = [(1, T0 + n * 10_000 + k, float(n)) for k in range(20)]
        await store.append(batch(rows, fresh=n % 3 > 0))
        print(n, flush=True)
        if n % 7 == 0:
            await store.write(lambda c: seal_day(c, 1, T0 // DAY_MS, slice_rows=100))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_every_acknowledgement_follows_a_sync_of_what_it_acknowledges(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    calls = "trace=fdatasync,fsync,pwrite64,write"
    program = FEEDER.replace("100_000", "40")
    feeder = [sys.executable, "-c", program, "sqlite:///hub.db", str(tmp_path / "data"), "0"]
    subprocess.run(
        ["strace", "-f", "-y", "-o", str(trace), "-e", calls, *feeder],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, timeout=120, check=True,
    )  # fmt: skip

    unsynced, acknowledged, too_early = False, 0, 0
    for line in trace.read_text(errors="replace").splitlines():
        if "hub.db-wal>" in line and "pwrite64(" in line:
            unsynced = True
        elif "sync resumed" in line or (
            "hub.db-wal>" in line and "sync(" in line and "unfinished" not in line
        ):
            unsynced = False
        elif re.search(r'write\(1<.*>, "\d+', line):
            acknowledged += 1
            too_early += unsynced
    assert acknowledged == 40
    assert too_early == 0


def feed_and_kill(url: str, data_dir: Path, first: int, acks: int) -> list[int]:
    """Run a feeder, kill it after some acknowledgements → all that it acknowledged."""
    feeder = subprocess.Popen(
        [sys.executable, "-c", FEEDER, url, str(data_dir), str(first)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert feeder.stdout is not None
    seen = [int(feeder.stdout.readline()) for _ in range(acks)]
    feeder.kill()
    rest = feeder.stdout.read()
    feeder.wait()
    feeder.stdout.close()
    return [*seen, *(int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n"))]


@pytest.mark.timeout(300)
async def test_acknowledged_rows_survive_kill_and_none_is_there_twice(store_url: str, data_dir: Path) -> None:
    dice = random.Random(4)
    acknowledged: list[int] = []
    for _ in range(4):
        acks = dice.randint(1, 60)
        first = acknowledged[-1] + 1 if acknowledged else 0
        acknowledged += await asyncio.to_thread(feed_and_kill, store_url, data_dir, first, acks)

    store = await Database.open(store_url, data_dir, clock=FakeClock())
    found = await store.read(lambda c: pairs(c, 1))
    problems = await store.read(quick_check)
    await store.close()
    stored = dict(found)
    expected = {T0 + n * 10_000 + k: float(n) for n in acknowledged for k in range(20)}
    unacknowledged = stored.keys() - expected.keys()
    assert problems == []
    assert len(found) == len(stored)
    assert expected.items() <= stored.items()
    assert len(unacknowledged) <= 4 * 20  # at most the batch in flight of each run, and it is whole
    assert len(unacknowledged) % 20 == 0
    assert max(stored) < T0 + DAY_MS
