"""The conformance kit: runs an integration against an intake in memory and says what would go wrong in a hub.

It runs in a thread of its own, so that an integration that blocks is found out instead of blocking the command.
"""

from __future__ import annotations

import ast
import asyncio
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import voluptuous as vol

from hub.cli.lag import LagWatch
from hub.errors import QueueFull, RetryLater, WattlineError
from hub.model.reading import ReadingBatch, Stored
from hub.plugins.api import CannotConnect, Integration, InvalidAuth, Source
from hub.plugins.manager import CUSTOM_FOLDER, Plugin, PluginManager
from hub.plugins.testing import MemoryIntake

CONNECT_LIMIT_S = 30.0
CANCEL_LIMIT_S = 2.0
LAG_LIMIT_S = 0.25
_SPARE_S = 20.0
_ALLOWED_OURS = "hub.plugins.api"
_OURS = ("hub", "web", "integrations")
_NONSENSE: tuple[Any, ...] = (None, [], "text", 7, {"": None}, {"no such option": 1}, {1: 2})


@dataclass(frozen=True, slots=True)
class Finding:
    """One point of the kit; ``detail`` says what was seen, or what to do."""

    point: str
    ok: bool
    detail: str = ""


@dataclass(slots=True)
class Report:
    """All points, in order; it ends early where the next ones could not be tried.

    ``stuck`` says that the integration still holds a thread, which only the end of the process can free.
    """

    domain: str = ""
    findings: list[Finding] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    stuck: bool = False

    @property
    def ok(self) -> bool:
        """Every point is fine."""
        return all(one.ok for one in self.findings)

    def note(self, point: str, problem: str = "", fine: str = "") -> bool:
        """Add a point; it is fine where there is no problem."""
        self.findings.append(Finding(point, not problem, problem or fine))
        return not problem


@dataclass(slots=True)
class ClockedIntake(MemoryIntake):
    """The intake in memory, with the time of this machine and a count of stores."""

    stores: int = 0

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def batch(self) -> ReadingBatch:
        """Stamped with the time of this machine."""
        return ReadingBatch(self.entry_id, self.now_ms())

    async def store(self, batch: ReadingBatch) -> Stored:
        """As the hub's, counted before it may fail."""
        self.stores += 1
        async with self.changed:
            self.changed.notify_all()
        return await MemoryIntake.store(self, batch)

    async def wait_stores(self, count: int, timeout_s: float) -> None:
        """Return as soon as ``count`` batches were sent, stored or not.

        Raises:
            TimeoutError: they did not come.
        """
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(lambda: self.stores >= count)


def run_kit(folder: Path, options: Mapping[str, Any], seconds: float) -> Report:
    """Try an integration in a folder.

    Args:
        options: as a person would write them in hub.yaml.
        seconds: how long its first readings may take.
    """
    report = Report()
    with _loaded(folder) as plugin:
        integration = _described(report, folder, plugin)
        if integration is None:
            return report
        _check_imports(report, folder, integration.domain)
        checked = _check_schema(report, integration, options)
        if checked is None:
            return report
        trial = _Trial(report, integration, checked, seconds)
        worker = threading.Thread(target=lambda: _run_aside(trial.run()), name="trial", daemon=True)
        worker.start()
        worker.join(4 * (CONNECT_LIMIT_S + seconds) + _SPARE_S)
        if worker.is_alive():
            report.stuck = True
            report.note("does not block", "it holds the event loop and does not let go")
    return report


def _run_aside(trial: Coroutine[Any, Any, None]) -> None:
    """As ``asyncio.run``, but a task that will not end is left behind instead of being waited for."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # what is left behind was reported as a finding
    try:
        loop.run_until_complete(trial)
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=CANCEL_LIMIT_S))
    finally:
        loop.close()


class _loaded:  # noqa: N801 - reads as a verb where it is used
    """Loads the folder as a hub does, from a configuration directory that holds nothing else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = tempfile.TemporaryDirectory(prefix="wattline-kit-")

    def __enter__(self) -> Plugin | None:
        custom = Path(self._place.name) / CUSTOM_FOLDER
        custom.mkdir()
        (custom / self._folder.name).symlink_to(self._folder, target_is_directory=True)
        logging.getLogger("hub.plugins.manager").setLevel(logging.CRITICAL)
        self._forget()
        plugins = PluginManager(Path(self._place.name))
        plugins.load()
        found = [one for one in plugins.plugins.values() if _is_of(one, self._folder)]
        return found[0] if found else plugins.plugins.get(self._folder.name)

    def __exit__(self, *_: object) -> None:
        self._forget()
        self._place.cleanup()

    def _forget(self) -> None:
        """Python keeps modules; a second look has to see the files as they are then."""
        name = f"{CUSTOM_FOLDER}.{self._folder.name}"
        for module in [one for one in sys.modules if f"{one}.".startswith(f"{name}.")]:
            del sys.modules[module]


def _is_of(plugin: Plugin, folder: Path) -> bool:
    """Whether this plugin came from the folder: as a custom one, or because the folder is a bundled one."""
    if plugin.source == "custom":
        return True
    module = sys.modules.get(f"integrations.{plugin.domain}")
    return module is not None and module.__file__ is not None and Path(module.__file__).parent == folder


def _described(report: Report, folder: Path, plugin: Plugin | None) -> Integration | None:
    if plugin is None:
        report.note("loads", "there is no __init__.py in the folder")
        return None
    if plugin.source != "custom" and not _is_of(plugin, folder):
        report.note("loads", f"the name {plugin.domain} is taken by the {plugin.source} integration")
        return None
    if plugin.integration is None or plugin.manifest is None:
        report.note("loads", f"{plugin.code} {plugin.error}")
        return None
    report.domain = plugin.domain
    manifest = plugin.manifest
    report.note("loads", fine=f"{manifest.name} {manifest.version}, plugin API {manifest.api}")
    same = folder.name == plugin.domain
    report.note(
        "folder has its name", "" if same else f"the folder is {folder.name}, the domain {plugin.domain}"
    )
    return plugin.integration


def _check_imports(report: Report, folder: Path, domain: str) -> None:
    wrong = sorted(
        {
            f"{path.relative_to(folder)}: {name}"
            for path in folder.rglob("*.py")
            if "tests" not in path.relative_to(folder).parts
            for name in _imported(path)
            if name.partition(".")[0] in _OURS
            and name != _ALLOWED_OURS
            and not f"{name}.".startswith(f"integrations.{domain}.")
        }
    )
    report.note(f"imports {_ALLOWED_OURS} only", "; ".join(wrong))


def _imported(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            if node.module == "hub.plugins":
                yield from (f"hub.plugins.{alias.name}" for alias in node.names)
            else:
                yield node.module


def _check_schema(
    report: Report, integration: Integration, options: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """What the schema makes of the options; None where it refuses them."""
    odd = []
    for nonsense in _NONSENSE:
        try:
            integration.schema(nonsense)
        except vol.Invalid:
            continue
        except Exception as error:  # noqa: BLE001 - foreign code: whatever it raises is the finding
            odd.append(f"{nonsense!r} raises {type(error).__name__} instead of vol.Invalid")
        else:
            odd.append(f"{nonsense!r} is accepted")
    report.note("schema refuses nonsense", "; ".join(odd))
    try:
        checked: Mapping[str, Any] = integration.schema(dict(options))
    except vol.Invalid as error:
        report.note("schema accepts the options", f"{error}; give the options with --options")
        return None
    report.note("schema accepts the options")
    return checked


class _Trial:
    """Connects, reads, disturbs and cancels, as a hub would over a long time."""

    def __init__(
        self, report: Report, integration: Integration, options: Mapping[str, Any], seconds: float
    ) -> None:
        self._report = report
        self._integration = integration
        self._options = options
        self._seconds = seconds
        self._pushed = bool(integration.endpoints)
        self._lag = LagWatch()

    async def run(self) -> None:
        """All points that need a running source."""
        watching = asyncio.create_task(self._lag.watch())
        try:
            steps: tuple[tuple[str, Callable[[Source, ClockedIntake], Awaitable[str]]], ...] = (
                ("stores readings", self._stores),
                ("waits while the hub cannot store", self._waits),
                ("ends while it is being stored", self._ends_in_store),
                ("connects again", self._stores),
            )
            for point, step in steps:
                if not await self._step(point, step):
                    break
        finally:
            watching.cancel()
        held = f"the event loop was held for {self._lag.worst_s:.2f} s; use asyncio.to_thread for what blocks"
        self._report.note("does not block", held if self._lag.worst_s > LAG_LIMIT_S else "")

    async def _step(self, point: str, step: Callable[[Source, ClockedIntake], Awaitable[str]]) -> bool:
        """Connect, do one step, cancel the source, disconnect."""
        intake = ClockedIntake()
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S) as limit:
                async with self._integration.connect(self._options) as source:
                    limit.reschedule(None)
                    problem = await step(source, intake)
                    limit.reschedule(asyncio.get_running_loop().time() + CANCEL_LIMIT_S)
        except (CannotConnect, InvalidAuth) as error:
            problem = f"{error}; is the device there, and are the --options right?"
        except TimeoutError:
            problem = f"connecting took longer than {CONNECT_LIMIT_S:.0f} s, or disconnecting {CANCEL_LIMIT_S:.0f} s"
        except Exception as error:  # noqa: BLE001 - foreign code: whatever it raises is the finding
            problem = f"{type(error).__name__}: {error}; connect() may raise CannotConnect or InvalidAuth"
        for name, rows in intake.rows.items():
            self._report.rows[name] = self._report.rows.get(name, 0) + len(rows)
        fine = "a push format: it runs until it is cancelled" if self._pushed else ""
        return self._report.note(point, problem, fine)

    async def _stores(self, source: Source, intake: ClockedIntake) -> str:
        running = asyncio.create_task(source.run(intake))
        problem = await self._until(
            running, intake, intake.wait_rows(1, self._seconds), "no reading was stored"
        )
        return problem or _odd_rows(intake) or await _cancelled(running)

    async def _waits(self, source: Source, intake: ClockedIntake) -> str:
        intake.failure = QueueFull("WL-ING-050", "the queue is full", retry_after_s=0.1)
        running = asyncio.create_task(source.run(intake))
        problem = await self._until(running, intake, intake.wait_stores(1, self._seconds), "nothing was sent")
        intake.failure = None
        problem = problem or await self._until(
            running,
            intake,
            intake.wait_rows(1, 2 * self._seconds),
            "no reading came after the queue was full",
        )
        return problem or await _cancelled(running)

    async def _ends_in_store(self, source: Source, intake: ClockedIntake) -> str:
        intake.gate.clear()
        running = asyncio.create_task(source.run(intake))
        problem = await self._until(running, intake, intake.wait_stores(1, self._seconds), "nothing was sent")
        return problem or await _cancelled(running)

    async def _until(
        self, running: asyncio.Task[None], intake: ClockedIntake, waiting: Awaitable[None], missing: str
    ) -> str:
        """Wait for something of a running source; what stood against it, if anything."""
        if self._pushed:  # nobody pushes here: it only has to stay until it is cancelled
            asyncio.ensure_future(waiting).cancel()
            await asyncio.sleep(0)
            return _ended(running) if running.done() else ""
        hoped = asyncio.ensure_future(waiting)
        done, _ = await asyncio.wait({running, hoped}, return_when=asyncio.FIRST_COMPLETED)
        if hoped in done and hoped.exception() is None:
            return ""
        if running in done:
            hoped.cancel()
            return _ended(running)
        running.cancel()
        await asyncio.wait({running}, timeout=CANCEL_LIMIT_S)
        refused = f"; refused: {intake.rejected[0].text}" if intake.rejected else ""
        return f"{missing} within {self._seconds:g} s{refused}"


def _ended(running: asyncio.Task[None]) -> str:
    if running.cancelled():
        return "run() cancelled itself"
    error = running.exception()
    if error is None:
        return "run() ended by itself; it has to work until it is cancelled"
    if isinstance(error, (RetryLater, InvalidAuth)):
        return str(error)
    kind = "" if isinstance(error, WattlineError) else "; run() may raise CannotConnect"
    return f"run() raised {type(error).__name__}: {error}{kind}"


async def _cancelled(running: asyncio.Task[None]) -> str:
    """Cancel a source: it has to end soon, and not with an error."""
    running.cancel()
    await asyncio.wait({running}, timeout=CANCEL_LIMIT_S)
    if not running.done():
        return f"it goes on {CANCEL_LIMIT_S:.0f} s after it was cancelled"
    if not running.cancelled() and running.exception() is not None:
        return f"cancelled, it raised {type(running.exception()).__name__}: {running.exception()}"
    return ""


def _odd_rows(intake: ClockedIntake) -> str:
    now_ms = intake.now_ms()
    for name, rows in intake.rows.items():
        for ts_ms in rows:
            if ts_ms > now_ms + 60_000:
                return f"{name} has a reading of the future ({ts_ms} ms); is the time in seconds or local?"
            if ts_ms < now_ms - 86_400_000:
                return f"{name} has a reading of more than a day ago ({ts_ms} ms); use intake.now_ms()"
    bad = [one for one in intake.rejected if one.code in ("WL-ING-040", "WL-ING-041")]
    return f"{bad[0].code} {bad[0].text}" if bad else ""
