"""The loop watchdog: how late the event loop is, and who kept it.

Every 100 ms a timer on the loop notes how late it was called: the lag everybody suffers. A watcher thread
looks whether the timer is overdue; when it is more than 50 ms late the thread reads the stack of the loop's
thread, which shows the code that holds the loop at this moment, and names its owner. A block of more than a
second also puts the stacks of all threads into the log, once, while it lasts.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import FrameType

LOGGER = logging.getLogger(__name__)

LAG_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_WINDOW = 600
_SAMPLE_EVERY_S = 0.02
_MAX_SAMPLES = 50
_STACK_FRAMES = 30
# innermost file of a loop that only waits for input, of asyncio and of uvloop
_IDLE_FILES = ("/selectors.py", "/asyncio/runners.py")
OUTSIDE = "outside of the event loop"
UNKNOWN = "unknown code"
_TELL_BLAMED_S = 0.2
_TELL_OUTSIDE_S = 2.0
_INTEGRATIONS = Path(__file__).parents[2] / "integrations"


@dataclass(frozen=True, slots=True)
class LoopBlocked:
    """Something held the loop. ``label`` names it: ``plugin:…``, ``actor:…``, a task name or a code place.

    ``outside of the event loop`` means that the loop was free but got no time: the machine was asleep or
    overloaded, or another thread kept the interpreter lock.
    """

    label: str
    duration_s: float
    stack: str
    task: str


@dataclass(frozen=True, slots=True)
class LagHistogram:
    """Lag since the start in the shape of Prometheus: ``counts[i]`` samples were at most ``bounds_s[i]``."""

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]
    count: int
    sum_s: float


@dataclass(frozen=True, slots=True)
class _Sample:
    label: str
    stack: str
    task: str


class LagMeter:
    """Distribution of the loop's lag: a histogram since the start and the last 600 samples (one minute)."""

    def __init__(self) -> None:
        self._buckets = [0] * (len(LAG_BUCKETS_S) + 1)
        self._recent: deque[float] = deque(maxlen=_WINDOW)
        self._sum_s = 0.0

    def add(self, lag_s: float) -> None:
        """Count one measurement."""
        self._buckets[bisect_left(LAG_BUCKETS_S, lag_s)] += 1
        self._recent.append(lag_s)
        self._sum_s += lag_s

    def quantile_s(self, share: float) -> float:
        """The lag that ``share`` (0 to 1) of the last minute's samples did not exceed; 0 without samples."""
        if not self._recent:
            return 0.0
        ordered = sorted(self._recent)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    def histogram(self) -> LagHistogram:
        """Cumulative counts since the start."""
        counts, total = [], 0
        for bucket in self._buckets:
            total += bucket
            counts.append(total)
        return LagHistogram(LAG_BUCKETS_S, tuple(counts[:-1]), total, self._sum_s)


class OwnerMap:
    """Says whose code a stack shows: a plugin by its folder, else the task, else the place in the code."""

    def __init__(self, integrations: Path = _INTEGRATIONS) -> None:
        self._integrations = integrations
        self._folders: dict[str, str] = {}

    def add(self, folder: str, label: str) -> None:
        """Everything below ``folder`` belongs to ``label`` (e.g. ``plugin:shelly``)."""
        self._folders[folder.rstrip("/") + "/"] = label

    def label_of(self, stack: traceback.StackSummary, task: str) -> str:
        """The owner of a stack, innermost frame last, run by the task of this name (``""``: no task)."""
        for entry in reversed(stack):
            label = self._by_folder(entry.filename)
            if label:
                return label
        if not task and stack and stack[-1].filename.endswith(_IDLE_FILES):
            return OUTSIDE
        if task and not task.startswith("Task-"):
            return task
        return _code_place(stack)

    def _by_folder(self, filename: str) -> str:
        for folder, label in self._folders.items():
            if filename.startswith(folder):
                return label
        path = PurePath(filename)
        if path.is_relative_to(self._integrations):
            return f"plugin:{path.relative_to(self._integrations).parts[0].removesuffix('.py')}"
        return ""


class Watchdog:
    """Measures the running loop and names what blocks it.

    Args:
        on_blocked: called on the loop with :class:`LoopBlocked`, as soon as the loop is free again.
        owners: whose code lies where; the built-in integrations are known without it.
        interval_s: distance of two measurements.
        late_s: a measurement later than this is an event.
        dump_s: all stacks go to the log when a block lasts longer than this.
    """

    def __init__(
        self,
        on_blocked: Callable[[LoopBlocked], None] | None = None,
        *,
        owners: OwnerMap | None = None,
        interval_s: float = 0.1,
        late_s: float = 0.05,
        dump_s: float = 1.0,
    ) -> None:
        self.owners = owners or OwnerMap()
        self.meter = LagMeter()
        self.blocked = 0
        self._on_blocked = on_blocked
        self._interval_s = interval_s
        self._late_s = late_s
        self._dump_s = dump_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread_id = 0
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._samples: list[_Sample] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the running loop; without effect when it does already."""
        if self._thread is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._loop_thread_id = threading.get_ident()
        self._stopping.clear()
        self._schedule()
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Stop measuring and end the watcher thread."""
        if self._timer is not None:
            self._timer.cancel()
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.join)

    def lag_p99_s(self) -> float:
        """99 % of the measurements of the last minute were not later than this."""
        return self.meter.quantile_s(0.99)

    # --- on the loop

    def _schedule(self) -> None:
        assert self._loop is not None
        self._due_s = time.monotonic() + self._interval_s
        self._timer = self._loop.call_later(self._interval_s, self._beat)

    def _beat(self) -> None:
        lag_s = max(time.monotonic() - self._due_s, 0.0)
        self.meter.add(lag_s)
        with self._lock:
            samples, self._samples = self._samples, []
            self._schedule()
        if lag_s > self._late_s:
            self._report(lag_s, samples)

    def _report(self, lag_s: float, samples: list[_Sample]) -> None:
        self.blocked += 1
        event = _summary(samples, lag_s)
        LOGGER.log(_level(event, lag_s), "%s held the event loop for %.2f s", event.label, lag_s)
        if self._on_blocked is None:
            return
        try:
            self._on_blocked(event)
        except Exception:  # a border: a listener must not end the measuring
            LOGGER.exception("a listener failed on LoopBlocked")

    # --- in the watcher thread

    def _watch(self) -> None:
        dumped_for_s = 0.0
        wait_s = self._interval_s
        while not self._stopping.wait(wait_s):
            due_s = self._due_s
            late_s = time.monotonic() - due_s
            if late_s <= self._late_s:
                wait_s = max(self._late_s - late_s, 0.005)
                continue
            self._take_sample(due_s)
            if late_s > self._dump_s and dumped_for_s != due_s:
                dumped_for_s = due_s
                self._dump(late_s)
            # a long block has shown its face; look less often then
            wait_s = _SAMPLE_EVERY_S if late_s < 1.0 else 0.25

    def _take_sample(self, due_s: float) -> None:
        frame = sys._current_frames().get(self._loop_thread_id)
        if frame is None:
            return
        stack = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=_STACK_FRAMES)
        stack.reverse()
        task = self._task_name()
        sample = _Sample(self.owners.label_of(stack, task), "".join(stack.format()), task)
        with self._lock:
            # the loop may have gone on while the stack was read: then it shows somebody innocent
            if self._due_s == due_s and len(self._samples) < _MAX_SAMPLES:
                self._samples.append(sample)

    def _task_name(self) -> str:
        try:
            task = asyncio.current_task(self._loop)
        except RuntimeError:
            return ""
        return task.get_name() if task is not None else ""

    def _dump(self, late_s: float) -> None:
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        parts = [
            f"--- thread {names.get(ident, ident)}\n{_format(frame)}"
            for ident, frame in sys._current_frames().items()
        ]
        LOGGER.error(
            "the event loop has been held for %.1f s by %s; all stacks:\n%s",
            late_s,
            self._samples[0].label if self._samples else UNKNOWN,
            "\n".join(parts),
        )


def _level(event: LoopBlocked, lag_s: float) -> int:
    """A busy machine makes short lags all day: people hear of those that somebody here is to blame for."""
    blamed = event.label not in (OUTSIDE, UNKNOWN)
    return logging.WARNING if lag_s >= (_TELL_BLAMED_S if blamed else _TELL_OUTSIDE_S) else logging.DEBUG


def _summary(samples: list[_Sample], lag_s: float) -> LoopBlocked:
    """The most frequent owner among the samples, with its first stack."""
    if not samples:
        return LoopBlocked(UNKNOWN, lag_s, "", "")
    label = Counter(sample.label for sample in samples).most_common(1)[0][0]
    first = next(sample for sample in samples if sample.label == label)
    return LoopBlocked(label, lag_s, first.stack, first.task)


def _format(frame: FrameType) -> str:
    return "".join(traceback.format_stack(frame, limit=_STACK_FRAMES))


def _code_place(stack: traceback.StackSummary) -> str:
    """The innermost frame outside of the standard library, as ``file:line function``."""
    for entry in reversed(stack):
        if "/lib/python3" not in entry.filename or "site-packages" in entry.filename:
            return f"{'/'.join(PurePath(entry.filename).parts[-3:])}:{entry.lineno} {entry.name}"
    return UNKNOWN
