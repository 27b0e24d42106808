"""The lag of a loop is what its own work held it for."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable

import pytest

from hub.cli.lag import LagWatch

STOPPED = """
import asyncio
from hub.cli.lag import LagWatch

async def main() -> None:
    lag = LagWatch()
    watching = asyncio.create_task(lag.watch())
    await asyncio.sleep(0.05)
    print("watching", flush=True)
    await asyncio.to_thread(input)
    await asyncio.sleep(0.05)
    watching.cancel()
    print(lag.worst_s)

asyncio.run(main())
"""


def sleep() -> None:
    time.sleep(1.0)


def compute() -> None:
    end_s = time.process_time() + 0.5
    while time.process_time() < end_s:
        pass


@pytest.mark.parametrize("hold", [sleep, compute])
async def test_a_sleep_and_a_long_computation_are_both_seen(hold: Callable[[], None]) -> None:
    lag = LagWatch()
    watching = asyncio.create_task(lag.watch())
    await asyncio.sleep(0.05)
    hold()
    await asyncio.sleep(0.05)
    watching.cancel()
    await asyncio.wait([watching])
    assert lag.worst_s > 0.25


async def test_a_machine_that_gives_no_time_is_not_blamed_on_the_loop() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STOPPED, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"watching\n"
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(1.0)  # how long it is stopped is what is tested
    process.send_signal(signal.SIGCONT)
    said, _ = await process.communicate(b"\n")
    assert float(said) < 0.25
