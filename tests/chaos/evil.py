"""Plugins that do what plugins must not do, each a folder for ``custom_integrations``."""

from __future__ import annotations

from pathlib import Path

MANIFEST = "domain: {domain}\nname: {domain}\nversion: 1.0.0\napi: 1\n"

_PLUGIN = """\
import asyncio, logging, sys, time
from contextlib import asynccontextmanager
import voluptuous as vol
from hub.plugins.api import DeviceInfo, Integration, hookimpl, known_series

DOMAIN = "{domain}"
{top}


class Source:
    async def run(self, intake):
        {run}


@asynccontextmanager
async def connect(options):
    {connect}
    yield Source()


@hookimpl
def hub_integration():
    {hook}
    return Integration(domain=DOMAIN, schema=vol.Schema({{}}), connect=connect)
"""

_HONEST = """
        power, = await intake.declare(DeviceInfo("honest"), [known_series("power")])
        tasks, turn = set(), 0

        async def insist(batch):
            while True:
                try:
                    await intake.store(batch)
                    return
                except Exception:
                    await asyncio.sleep(0.05)

        while True:
            turn += 1
            batch = intake.batch()
            batch.add(power, intake.now_ms(), float(turn))
            task = asyncio.create_task(insist(batch))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(0.05)
"""

_FLOOD = """
        power, = await intake.declare(DeviceInfo("flood"), [known_series("power")])
        tasks, at = set(), intake.now_ms() - 86_400_000

        async def push(first):
            batch = intake.batch()
            for position in range(5000):
                batch.add(power, first + position, float(position))
            try:
                await intake.store(batch)
            except Exception:
                pass

        while True:
            for _ in range(8):
                at += 5000
                task = asyncio.create_task(push(at % 40_000_000 + 1_760_000_000_000))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(0.05)
"""

_WRONG_TYPES = """
        power, = await intake.declare(DeviceInfo("wrong"), [known_series("power")])
        turn = 0
        while True:
            for what in ("text", None, [1.0], object(), 1 << 80):
                for column in ("values", "ts_ms", "series"):
                    batch = intake.batch()
                    batch.add(power, intake.now_ms(), 1.0)
                    getattr(batch, column)[0] = what
                    try:
                        await asyncio.wait_for(intake.store(batch), 5)
                    except Exception as error:
                        turn += 1
            batch = intake.batch()
            batch.series.append(power.no)
            for strange in (batch, None, "batch", 7):
                try:
                    await asyncio.wait_for(intake.store(strange), 5)
                except Exception:
                    turn += 1
            for strange in (
                lambda: intake.reject("abc"), lambda: intake.set_availability(None, "maybe"),
                lambda: intake.show_stale(None, "x"), lambda: intake.last_reading(None, None),
                lambda: intake.handle([], 5),
            ):
                try:
                    strange()
                except Exception:
                    turn += 1
            for device, series in ((None, None), ("x", [known_series("power")]), (DeviceInfo("y"), [7])):
                try:
                    await intake.declare(device, series)
                except Exception:
                    turn += 1
            await asyncio.sleep(0.2)
"""

_STUBBORN = """
        async def never():
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
        asyncio.create_task(never())
        await never()
"""

_BLOCKS = """
        async def hold():
            while True:
                time.sleep(0.5)
                await asyncio.sleep(0.5)
        await asyncio.create_task(hold())
"""

_LEAKS = """
        kept = []
        while True:
            for _ in range(100):
                kept.append(asyncio.create_task(asyncio.sleep(3600)))
            await asyncio.sleep(0.05)
"""

_LOGS = """
        logger = logging.getLogger("custom_integrations.logs")
        while True:
            for number in range(500):
                logger.warning("the same again, number %d", number)
            await asyncio.sleep(0.05)
"""

EVIL: dict[str, dict[str, str]] = {
    "raises_in_hook": {"hook": 'raise RuntimeError("evil hook")'},
    "raises_at_import": {"top": 'raise RuntimeError("evil import")'},
    "exits_at_import": {"top": "sys.exit(3)"},
    "sleeps_in_hook": {"hook": "time.sleep(300)"},
    "returns_nonsense": {"hook": "return 42"},
    "connect_hangs": {"connect": "await asyncio.Event().wait()"},
    "connect_exits": {"connect": "sys.exit(4)"},
    "run_raises": {"run": 'raise KeyError("evil run")'},
    "run_returns": {"run": "return 7"},
    "run_cancels_itself": {"run": "raise asyncio.CancelledError"},
    "blocks_loop": {"run": _BLOCKS},
    "leaks_tasks": {"run": _LEAKS},
    "never_ends": {"run": _STUBBORN},
    "wrong_types": {"run": _WRONG_TYPES},
    "logs": {"run": _LOGS},
    "floods": {"run": _FLOOD},
    "honest": {"run": _HONEST},
}


def write_plugin(config: Path, domain: str, manifest: str | None = None) -> None:
    """Write one plugin of :data:`EVIL`; ``manifest`` replaces the good one."""
    folder = config / "custom_integrations" / domain
    folder.mkdir(parents=True)
    parts = {
        "top": "",
        "run": "await asyncio.Event().wait()",
        "connect": "pass",
        "hook": "pass",
        **EVIL.get(domain, {}),
    }
    (folder / "__init__.py").write_text(
        _PLUGIN.format(domain=domain, **{k: v.strip() for k, v in parts.items()})
    )
    (folder / "manifest.yaml").write_text(MANIFEST.format(domain=domain) if manifest is None else manifest)
