"""``python -m bench [--quick] [--only NAME…] [--json FILE]``: one table of what the hub does on this machine."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.limits import OutOfTime, limited
from bench.machine import describe
from bench.rows import Context, Row
from bench.table import rendered

BENCHMARKS = (  # what needs the most time stands last: on a busy machine that is what is left out
    "actors",
    "stored_bytes",
    "idle",
    "year_bill",
    "websocket_latency",
    "ws_fanout",
    "mqtt_ingest",
    "http_ingest",
    "history_year",
    "money",
    "energy_year",
    "start_up",
)
LIMIT_S = 14 * 60.0
"""All together; what would begin later is left out and named."""

LONGEST_S = 240.0
QUICK_LIMIT_S, QUICK_LONGEST_S = 8 * 60.0, 150.0


class Report:
    """What was measured so far; it is on disk after each benchmark, and shown whatever happens."""

    def __init__(self, *, quick: bool, path: Path | None) -> None:
        self.rows: list[Row] = []
        self.failed: list[str] = []
        self._quick = quick
        self._path = path
        self._machine = describe()

    def add(self, rows: Sequence[Row]) -> None:
        """Take in a benchmark's rows."""
        self.rows += rows
        self.save()

    def fail(self, name: str, why: str) -> None:
        """A benchmark has no rows."""
        self.failed.append(f"{name}: {why}")
        self.save()

    def save(self) -> None:
        """Write the file, if one is wanted."""
        if self._path is None:
            return
        document = {
            "machine": self._machine,
            "quick": self._quick,
            "failed": self.failed,
            "rows": [_plain(row) for row in self.rows],
        }
        self._path.write_text(json.dumps(document, indent=1) + "\n")

    def shown(self) -> str:
        """The table, and what is missing in it."""
        table = rendered(self.rows, self._machine, describe()["load before"], quick=self._quick)
        return "\n".join([table, *(f"FAILED: {one}" for one in self.failed)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; the exit code is 1 where a benchmark failed, not where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="shorter and rougher, under two minutes on a quiet machine"
    )
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, metavar="NAME",
                        help="of " + ", ".join(BENCHMARKS))  # fmt: skip
    parser.add_argument("--json", type=Path, help="write the rows to a file too, after each benchmark")
    wanted = parser.parse_args(arguments)
    report = Report(quick=wanted.quick, path=wanted.json)
    try:
        with TemporaryDirectory(prefix="wattline-bench-", ignore_cleanup_errors=True) as root:
            _run_all(wanted.only, Context(Path(root), wanted.quick), report)
    finally:
        print(report.shown(), flush=True)
    return 1 if report.failed else 0


def _run_all(names: Sequence[str], context: Context, report: Report) -> None:
    """One after the other; one that fails or takes too long must not hide the others."""
    longest_s = QUICK_LONGEST_S if context.quick else LONGEST_S
    end_s = time.monotonic() + (QUICK_LIMIT_S if context.quick else LIMIT_S)
    for name in names:
        begin_s = time.monotonic()
        if begin_s >= end_s:
            report.fail(name, "left out, the time is over")
            continue
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        try:
            with limited(min(longest_s, end_s - begin_s)):
                report.add(importlib.import_module(f"bench.{name}").run(context))
        except OutOfTime as error:
            report.fail(name, str(error))
        except Exception as error:  # noqa: BLE001 - the others still have something to say
            report.fail(name, f"{type(error).__name__}: {error}")
            traceback.print_exc()
        print(f"{time.monotonic() - begin_s:.0f} s", file=sys.stderr, flush=True)


def _plain(row: Row) -> dict[str, object]:
    return {**asdict(row), "ratio": row.ratio, "met": row.met}


if __name__ == "__main__":
    sys.exit(main())
