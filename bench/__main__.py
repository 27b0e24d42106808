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

from bench.machine import describe
from bench.rows import Context, Row
from bench.table import rendered

BENCHMARKS = (
    "mqtt_ingest",
    "http_ingest",
    "websocket_latency",
    "ws_fanout",
    "history_year",
    "money",
    "start_up",
    "idle",
    "stored_bytes",
    "actors",
    "year_bill",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; the exit code is 1 where a benchmark failed, not where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="shorter and rougher, under two minutes on a quiet machine"
    )
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, metavar="NAME",
                        help="of " + ", ".join(BENCHMARKS))  # fmt: skip
    parser.add_argument("--json", type=Path, help="write the rows to a file too")
    wanted = parser.parse_args(arguments)
    machine = describe()
    rows: list[Row] = []
    failed: list[str] = []
    with TemporaryDirectory(prefix="wattline-bench-") as root:
        context = Context(Path(root), wanted.quick)
        for name in wanted.only:
            begin_s = time.monotonic()
            print(f"{name} …", end=" ", file=sys.stderr, flush=True)
            try:
                rows += importlib.import_module(f"bench.{name}").run(context)
            except Exception:  # noqa: BLE001 - one that fails must not hide the others
                failed.append(name)
                traceback.print_exc()
            print(f"{time.monotonic() - begin_s:.0f} s", file=sys.stderr, flush=True)
    print(rendered(rows, machine, describe()["load before"], quick=wanted.quick))
    for name in failed:
        print(f"FAILED: {name}")
    if wanted.json is not None:
        document = {
            "machine": machine,
            "quick": wanted.quick,
            "failed": failed,
            "rows": [_plain(row) for row in rows],
        }
        wanted.json.write_text(json.dumps(document, indent=1) + "\n")
    return 1 if failed else 0


def _plain(row: Row) -> dict[str, object]:
    return {**asdict(row), "ratio": row.ratio, "met": row.met}


if __name__ == "__main__":
    sys.exit(main())
